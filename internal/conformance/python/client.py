"""kafka-python as a client program of the conformance driver: see package talk.

It knows neither idempotence nor, without a group, positions that the broker
keeps. One request in flight keeps its records in order; a retry may write some
of them twice.
"""

import base64
import sys
import threading
import time

import kafka
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

FOREVER = 1 << 30


def text(b):
    return "-" if b is None else base64.b64encode(b).decode()


def data(s):
    return None if s == "-" else base64.b64decode(s)


def say(line):
    sys.stdout.write(line + "\n")


def fields(line):
    return line.rstrip("\n").split("\t")


def produce(bootstrap, codec):
    producer = kafka.KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", retries=FOREVER, max_in_flight_requests_per_connection=1,
        compression_type=None if codec == "none" else codec, linger_ms=5, batch_size=32 << 10,
        retry_backoff_ms=50, reconnect_backoff_ms=20, reconnect_backoff_max_ms=100, metadata_max_age_ms=5000)

    def told(number, invoked):
        def acked(at):
            say(f"{number}\t{invoked}\t{time.monotonic_ns()}\t{at.offset}\t{at.timestamp}")

        def failed(error):
            say(f"{number}\t{invoked}\t{time.monotonic_ns()}\t!\t{error!r}".replace("\n", " "))
        return acked, failed

    for line in sys.stdin:
        number, topic, partition, timestamp, key, value, headers = fields(line)
        pairs = []
        for h in filter(None, headers.split(",")):
            name, v = h.split(":")
            pairs.append((name, data(v)))
        acked, failed = told(number, time.monotonic_ns())
        future = producer.send(topic, value=data(value), key=data(key), headers=pairs,
                               partition=int(partition), timestamp_ms=int(timestamp))
        future.add_callback(acked)
        future.add_errback(failed)
    producer.flush()
    producer.close()


def consume(bootstrap, topics):
    partitions = [kafka.TopicPartition(t, p) for t, n in (a.rsplit("/", 1) for a in topics) for p in range(int(n))]
    until = {}

    def listen():
        for line in sys.stdin:
            topic, partition, end = fields(line)
            until[kafka.TopicPartition(topic, int(partition))] = int(end)

    threading.Thread(target=listen, daemon=True).start()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=100,
        retry_backoff_ms=50, reconnect_backoff_ms=20, reconnect_backoff_max_ms=100, metadata_max_age_ms=5000)
    consumer.assign(partitions)
    position = {}
    for p in partitions:
        consumer.seek(p, 0)
        position[p] = 0
    while any(p not in until or position[p] < until[p] for p in partitions):
        invoked = time.monotonic_ns()
        polled = consumer.poll(timeout_ms=100, max_records=5000)
        completed = time.monotonic_ns()
        for p, records in polled.items():
            before, position[p] = position[p], records[-1].offset + 1
            say(f"{p.topic}\t{p.partition}\t{invoked}\t{completed}\t{before}\t{position[p]}\t{len(records)}")
            for r in records:
                headers = ",".join(f"{name}:{text(v)}" for name, v in r.headers)
                say(f"{r.offset}\t{r.timestamp}\t{text(r.key)}\t{text(r.value)}\t{headers}")
    consumer.close()


def times(bootstrap):
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    for line in sys.stdin:
        topic, partition, asked = fields(line)[:3]
        p = kafka.TopicPartition(topic, int(partition))
        invoked = time.monotonic_ns()
        found = consumer.offsets_for_times({p: int(asked)})[p]
        offset = -1 if found is None else found.offset
        say(f"{topic}\t{partition}\t{asked}\t{invoked}\t{time.monotonic_ns()}\t{offset}")
    consumer.close()


def console(bootstrap, topic):
    """What this client's admin can ask of a cluster without groups."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    cluster = admin.describe_cluster()
    assert cluster["cluster_id"] and len(cluster["brokers"]) == 1, cluster
    say("describe_cluster")
    (described,) = admin.describe_topics([topic])
    assert described["error_code"] == 0 and described["partitions"], described
    say("describe_topics")
    for kind, name, want in ((ConfigResourceType.TOPIC, topic, "retention.ms"),
                             (ConfigResourceType.BROKER, str(cluster["brokers"][0]["node_id"]), "log.retention.hours")):
        (answer,) = admin.describe_configs([ConfigResource(kind, name)])
        (resource,) = answer.resources
        names = [entry[0] for entry in resource[4]]
        assert resource[0] == 0 and want in names, (resource[:2], names)
        say(f"describe_configs of a {kind.name.lower()}: {len(names)} settings")
    admin.close()


def main():
    verb, bootstrap, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if verb == "produce":
        produce(bootstrap, rest[0])
    elif verb == "consume":
        consume(bootstrap, rest)
    elif verb == "times":
        times(bootstrap)
    elif verb == "console":
        console(bootstrap, rest[0])
    else:
        sys.exit(f"no such verb: {verb}")


main()
