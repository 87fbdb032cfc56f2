// kafkajs as a client program of the conformance driver: see package talk.
//
// Its consumer cannot do without a group: that is group.js. Here everything is read
// from the beginning, and so reading takes the two layers below the consumer, as
// kafkajs' own tests do: the cluster, which finds leaders and connects again, and the
// broker, which fetches and decodes.
//
// Its plug-in for zstd (@kafkajs/zstd) does not build on current Node.js. The codec
// is registered the same way, with another library below it.
'use strict'

const readline = require('readline')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require('kafkajs')
const Cluster = require('kafkajs/src/cluster')
const { createLogger } = require('kafkajs/src/loggers')
const consoleLogger = require('kafkajs/src/loggers/console')
const socketFactory = require('kafkajs/src/network/socketFactory')
const zstd = require('@bokuweb/zstd-wasm')
const LZ4 = require('kafkajs-lz4')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

const types = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
const patient = { retries: 1000, initialRetryTime: 50, maxRetryTime: 200 }

const now = () => process.hrtime.bigint()
const text = b => (b === null || b === undefined ? '-' : Buffer.from(b).toString('base64'))
const data = s => (s === '-' ? null : Buffer.from(s, 'base64'))
const say = line => process.stdout.write(line + '\n')
const lines = () => readline.createInterface({ input: process.stdin, crlfDelay: Infinity })
const kafka = bootstrap => new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: patient })

function parseHeaders(list) {
  const headers = {}
  for (const h of list.split(',').filter(Boolean)) {
    const [name, value] = h.split(':')
    headers[name] = name in headers ? [].concat(headers[name], data(value)) : data(value)
  }
  return headers
}

const headersText = headers =>
  Object.entries(headers)
    .flatMap(([name, values]) => [].concat(values).map(v => `${name}:${text(v)}`))
    .join(',')

// produce sends what has come while the last request was under way, as
// applications do that collect.
async function produce(bootstrap, codec) {
  const producer = kafka(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1, retry: patient })
  await producer.connect()
  const waiting = []
  let ended = false
  let wake = () => {}
  lines()
    .on('line', line => {
      waiting.push({ line, invoked: now() })
      wake()
    })
    .on('close', () => {
      ended = true
      wake()
    })
  for (;;) {
    if (waiting.length === 0) {
      if (ended) break
      await new Promise(resolve => (wake = resolve))
      continue
    }
    await sendAll(producer, types[codec], waiting.splice(0, 300))
  }
  await producer.disconnect()
}

async function sendAll(producer, compression, batch) {
  const topics = new Map()
  const placed = new Map() // by partition, in order
  for (const { line, invoked } of batch) {
    const [number, topic, partition, timestamp, key, value, headers] = line.split('\t')
    if (!topics.has(topic)) topics.set(topic, [])
    topics.get(topic).push({ partition: Number(partition), timestamp, key: data(key), value: data(value), headers: parseHeaders(headers) })
    const at = `${topic}/${partition}`
    if (!placed.has(at)) placed.set(at, [])
    placed.get(at).push({ number, invoked })
  }
  try {
    const topicMessages = [...topics].map(([topic, messages]) => ({ topic, messages }))
    for (const a of await producer.sendBatch({ acks: -1, compression, topicMessages })) {
      placed.get(`${a.topicName}/${a.partition}`).forEach(({ number, invoked }, i) => {
        say(`${number}\t${invoked}\t${now()}\t${BigInt(a.baseOffset) + BigInt(i)}\t-1`)
      })
    }
  } catch (e) {
    for (const { number, invoked } of [...placed.values()].flat()) {
      say(`${number}\t${invoked}\t${now()}\t!\t${String(e).replace(/\s+/g, ' ')}`)
    }
  }
}

async function consume(bootstrap, topics) {
  const logger = createLogger({ level: logLevel.NOTHING, logCreator: consoleLogger })
  const cluster = new Cluster({
    logger, socketFactory: socketFactory(), brokers: [bootstrap], clientId: 'kafkajs', connectionTimeout: 1000, requestTimeout: 30000,
    metadataMaxAge: 300000, retry: patient, allowAutoTopicCreation: false, isolationLevel: 0,
  })
  const places = topics.flatMap(a => {
    const [topic, n] = a.split('/')
    return Array.from({ length: Number(n) }, (_, partition) => ({ topic, partition, position: 0n, until: null }))
  })
  lines().on('line', line => {
    const [topic, partition, until] = line.split('\t')
    places.find(p => p.topic === topic && p.partition === Number(partition)).until = BigInt(until)
  })
  const open = () => places.filter(p => p.until === null || p.position < p.until)
  while (open().length > 0) {
    try {
      if (!cluster.isConnected()) await cluster.connect()
      for (const topic of new Set(places.map(p => p.topic))) await cluster.addTargetTopic(topic)
      await fetchOnce(cluster, open())
    } catch (e) {
      process.stderr.write(`fetch: ${e}\n`)
      await new Promise(resolve => setTimeout(resolve, 50))
      await cluster.refreshMetadata().catch(() => {})
    }
  }
  await cluster.disconnect()
}

async function fetchOnce(cluster, places) {
  const byTopic = new Map()
  for (const p of places) {
    if (!byTopic.has(p.topic)) byTopic.set(p.topic, [])
    byTopic.get(p.topic).push({ partition: p.partition, fetchOffset: p.position.toString(), maxBytes: 1 << 20 })
  }
  const [{ leader }] = cluster.findTopicPartitionMetadata(places[0].topic)
  const broker = await cluster.findBroker({ nodeId: String(leader) })
  const invoked = now()
  const answer = await broker.fetch({
    maxWaitTime: 100, minBytes: 1, maxBytes: 10 << 20, isolationLevel: 0,
    topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })),
  })
  const completed = now()
  for (const { topicName, partitions } of answer.responses) {
    for (const { partition, messages } of partitions) {
      const p = places.find(p => p.topic === topicName && p.partition === partition)
      const records = messages.filter(m => BigInt(m.offset) >= p.position)
      if (records.length === 0) continue
      const before = p.position
      p.position = BigInt(records[records.length - 1].offset) + 1n
      say(`${topicName}\t${partition}\t${invoked}\t${completed}\t${before}\t${p.position}\t${records.length}`)
      for (const r of records) say(`${r.offset}\t${r.timestamp}\t${text(r.key)}\t${text(r.value)}\t${headersText(r.headers)}`)
    }
  }
}

// times tells "none" where the admin answers with the end of the log, for that is
// how it puts it.
async function times(bootstrap) {
  const admin = kafka(bootstrap).admin()
  await admin.connect()
  for await (const line of lines()) {
    const [topic, partition, asked] = line.split('\t')
    const invoked = now()
    const all = await admin.fetchTopicOffsetsByTimestamp(topic, Number(asked))
    const completed = now()
    const ends = await admin.fetchTopicOffsets(topic)
    const of = list => list.find(o => o.partition === Number(partition)).offset
    const offset = of(all) === of(ends) ? '-1' : of(all)
    say(`${topic}\t${partition}\t${asked}\t${invoked}\t${completed}\t${offset}`)
  }
  await admin.disconnect()
}

function check(holds, what) {
  if (!holds) throw new Error(JSON.stringify(what, (_, v) => (typeof v === 'bigint' ? String(v) : v)))
}

// console asks what its admin can ask of a cluster without groups.
async function console_(bootstrap, topic) {
  const admin = kafka(bootstrap).admin()
  await admin.connect()
  const cluster = await admin.describeCluster()
  check(cluster.brokers.length === 1 && cluster.clusterId && cluster.controller !== null, cluster)
  say('describeCluster')
  check((await admin.listTopics()).includes(topic), topic)
  say('listTopics')
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
  check(metadata.topics[0].partitions.length > 0, metadata)
  say('fetchTopicMetadata')
  for (const [type, name, want] of [
    [ConfigResourceTypes.TOPIC, topic, 'retention.ms'],
    [ConfigResourceTypes.BROKER, String(cluster.brokers[0].nodeId), 'log.retention.hours'],
  ]) {
    const { resources } = await admin.describeConfigs({ resources: [{ type, name }], includeSynonyms: true })
    const entries = resources[0].configEntries
    check(resources[0].errorCode === 0 && entries.some(e => e.configName === want), resources)
    say(`describeConfigs of ${type === ConfigResourceTypes.TOPIC ? 'a topic' : 'a broker'}: ${entries.length} settings`)
  }
  await admin.disconnect()
}

async function main() {
  await zstd.init()
  const [verb, bootstrap, ...rest] = process.argv.slice(2)
  if (verb === 'produce') await produce(bootstrap, rest[0])
  else if (verb === 'consume') await consume(bootstrap, rest)
  else if (verb === 'times') await times(bootstrap)
  else if (verb === 'console') await console_(bootstrap, rest[0])
  else throw new Error(`no such verb: ${verb}`)
}

main().then(
  () => process.stdout.write('', () => process.exit(0)), // when all before it is written
  e => {
    process.stderr.write(`${e.stack}\n`)
    process.exit(1)
  },
)
