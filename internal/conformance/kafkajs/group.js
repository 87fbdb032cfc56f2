// kafkajs as a member of groups, for the conformance driver: see package talk.
//
// It speaks the classic protocol, and brings one assignor, under a name of its own:
// that is the strategy "default". Range and round robin, by the names that other
// clients know, are registered as applications register theirs. Its events do not
// tell generations; what it logs of an assignment does.
'use strict'

const { Kafka, PartitionAssigners, AssignerProtocol, logLevel } = require('kafkajs')

const now = () => Number(process.hrtime.bigint())
const patient = { retries: 1000, initialRetryTime: 50, maxRetryTime: 200, restartOnFailure: async () => true }

const range = ({ cluster }) => ({
  name: 'range',
  version: 0,
  async assign({ members, topics }) {
    const sorted = members.map(m => m.memberId).sort()
    const shares = new Map(sorted.map(id => [id, {}]))
    for (const topic of topics) {
      const ids = cluster.findTopicPartitionMetadata(topic).map(p => p.partitionId).sort((a, b) => a - b)
      sorted.forEach((id, i) => {
        const cut = k => Math.floor(ids.length / sorted.length) * k + Math.min(k, ids.length % sorted.length)
        shares.get(id)[topic] = ids.slice(cut(i), cut(i + 1))
      })
    }
    return sorted.map(memberId => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: shares.get(memberId), userData: Buffer.alloc(0) }),
    }))
  },
  protocol({ topics }) {
    return { name: this.name, metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }) }
  },
})

const assigners = {
  default: [PartitionAssigners.roundRobin],
  roundrobin: [options => ({ ...PartitionAssigners.roundRobin(options), name: 'roundrobin' })],
  range: [range],
}

class Member {
  constructor(group, name) {
    Object.assign(this, { group, name, memberships: 0, id: null, op: 0, generation: -1, owned: new Set() })
  }

  say(type, fields) {
    const line = { type, process: `${this.name}.${this.memberships}`, time_ns: now(), ...fields }
    process.stdout.write(JSON.stringify(line) + '\n')
    return line
  }

  at(topic, partition) {
    return { group: this.group, topic, partition }
  }

  assigned({ memberId, generationId, memberAssignment }) {
    if (memberId !== this.id) {
      this.memberships++
      this.id = memberId
    }
    this.generation = generationId
    this.owned.clear()
    for (const [topic, partitions] of Object.entries(memberAssignment)) {
      for (const p of partitions) {
        this.owned.add(`${topic}/${p}`)
        this.say('assign', { ...this.at(topic, p), generation: generationId })
      }
    }
  }

  // revoked gives back everything: batches that are still to come find that they are
  // nobody's.
  revoked() {
    for (const place of this.owned) {
      const [topic, p] = place.split('/')
      this.say('revoke', this.at(topic, Number(p)))
    }
    this.owned.clear()
  }

  async batch({ batch, commitOffsetsIfNecessary, resolveOffset, heartbeat, isStale }) {
    const { topic, partition } = batch
    const generation = this.generation
    for (let i = 0; i < batch.messages.length; i += 100) {
      if (isStale() || generation !== this.generation || !this.owned.has(`${topic}/${partition}`)) return
      const offsets = batch.messages.slice(i, i + 100).map(m => Number(m.offset))
      this.say('processed', { ...this.at(topic, partition), offsets })
      const offset = offsets[offsets.length - 1] + 1
      const invoke = this.say('invoke', { f: 'offset-commit', op: ++this.op, ...this.at(topic, partition), generation, offset })
      const end = { f: invoke.f, op: invoke.op, process: invoke.process }
      try {
        await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: String(offset) }] }] })
        this.say('ok', end)
      } catch (e) {
        this.say('info', { ...end, error: String(e).replace(/\s+/g, ' ') })
        throw e
      }
      resolveOffset(String(offset - 1))
      await heartbeat()
    }
  }
}

// insist tries again: before it runs, a consumer does so for some errors only, and not if a
// broker dies between taking a connection and its first answer.
async function insist(what) {
  for (;;) {
    try {
      return await what()
    } catch (e) {
      process.stderr.write(`${e}\n`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

async function main() {
  const [verb, bootstrap, group, strategy, name, ...topics] = process.argv.slice(2)
  if (verb !== 'group') throw new Error(`no such verb: ${verb}`)
  const member = new Member(group, name)
  const logCreator = () => ({ log }) => {
    if (log.message === 'Received assignment') member.assigned(log)
  }
  const kafka = new Kafka({ clientId: name, brokers: bootstrap.split(','), logLevel: logLevel.DEBUG, logCreator, retry: patient })
  const consumer = kafka.consumer({
    groupId: group, partitionAssigners: assigners[strategy], sessionTimeout: 3000, rebalanceTimeout: 10000, heartbeatInterval: 500,
    maxWaitTimeInMs: 100, metadataMaxAge: 5000, retry: patient,
  })
  consumer.on(consumer.events.REBALANCING, () => member.revoked())
  consumer.on(consumer.events.CRASH, ({ payload }) => process.stderr.write(`crash: ${payload.error} restart ${payload.restart}\n`))
  await insist(() => consumer.connect())
  await insist(() => consumer.subscribe({ topics, fromBeginning: true }))
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: b => member.batch(b) })
  await new Promise(resolve => process.stdin.on('end', resolve).resume())
  member.revoked()
  // It tells the coordinator once that it leaves, and fails if a broker dies meanwhile.
  await consumer.disconnect().catch(e => process.stderr.write(`leaving: ${e}\n`))
}

main().then(
  () => process.stdout.write('', () => process.exit(0)), // when all before it is written
  e => {
    process.stderr.write(`${e.stack}\n`)
    process.exit(1)
  },
)
