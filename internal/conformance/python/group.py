"""kafka-python as a member of groups, for the conformance driver: see package talk.

It speaks the classic protocol and assigns eagerly: before it joins again it gives
everything back. What generation it is in it keeps to itself, so that is taken from
its coordinator.

A connection that is closed while it has something to send fails the next poll of
version 2.0.2 with a ValueError, or ends the thread that sends heartbeats, unheard.
Here such connections are passed by: what they were to send has failed already.
"""

import json
import sys
import threading
import time

import kafka
from kafka.client_async import KafkaClient
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError, NoBrokersAvailable
from kafka.structs import OffsetAndMetadata

ASSIGNORS = {
    "range": [RangePartitionAssignor],
    "roundrobin": [RoundRobinPartitionAssignor],
    "default": [RangePartitionAssignor, RoundRobinPartitionAssignor],
}


def without_the_closed(register):
    def passing_by(client):
        client._sending -= {c for c in client._sending if c._sock is None}
        register(client)
    return passing_by


KafkaClient._register_send_sockets = without_the_closed(KafkaClient._register_send_sockets)


class Member(ConsumerRebalanceListener):
    def __init__(self, group, name):
        self.group, self.name = group, name
        self.memberships, self.id, self.op = 0, None, 0
        self.consumer = None

    def say(self, type, at=None, process=None, **fields):
        if at is not None:
            fields |= {"group": self.group, "topic": at.topic, "partition": at.partition}
        process = process or f"{self.name}.{self.memberships}"
        line = {"type": type, "process": process, "time_ns": time.monotonic_ns(), **fields}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        return process

    def generation(self):
        return self.consumer._coordinator._generation

    def on_partitions_assigned(self, assigned):
        now = self.generation()
        if now.member_id != self.id:
            self.memberships += 1
            self.id = now.member_id
        for at in assigned:
            self.say("assign", at, generation=now.generation_id)

    def on_partitions_revoked(self, revoked):
        # It is called, too, when the group has thrown it out: then it has no generation.
        if self.id is None or self.generation().member_id != self.id:
            self.id = None
            return
        for at in revoked:
            self.say("revoke", at)

    def commit(self, offsets):
        generation = self.generation().generation_id
        if generation < 0:
            return  # the group has thrown it out
        open_ = []
        for at, offset in offsets.items():
            self.op += 1
            process = self.say("invoke", at, f="offset-commit", op=self.op, generation=generation, offset=offset)
            open_.append((process, self.op))
        try:
            self.consumer.commit({at: OffsetAndMetadata(offset, "") for at, offset in offsets.items()})
            type, why = "ok", {}
        except KafkaError as e:
            type, why = "info", {"error": repr(e)}
        for process, op in open_:
            self.say(type, process=process, f="offset-commit", op=op, **why)


def patient(make):
    """A consumer asks one broker for its versions when it is made, and gives up soon; with
    a ValueError as above, if the broker dies meanwhile."""
    while True:
        try:
            return make()
        except (NoBrokersAvailable, ValueError):
            time.sleep(0.05)


def group(bootstrap, name, strategy, as_, topics):
    member = Member(name, as_)
    member.consumer = consumer = patient(lambda: kafka.KafkaConsumer(
        bootstrap_servers=bootstrap.split(","), group_id=name, enable_auto_commit=False, auto_offset_reset="earliest",
        partition_assignment_strategy=ASSIGNORS[strategy], session_timeout_ms=3000, heartbeat_interval_ms=500,
        max_poll_interval_ms=10000, request_timeout_ms=30000, fetch_max_wait_ms=100, retry_backoff_ms=50,
        reconnect_backoff_ms=20, reconnect_backoff_max_ms=100, metadata_max_age_ms=5000))
    consumer.subscribe(topics, listener=member)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        offsets = {}
        for at, records in consumer.poll(timeout_ms=100, max_records=100).items():
            member.say("processed", at, offsets=[r.offset for r in records])
            offsets[at] = records[-1].offset + 1
        if offsets:
            member.commit(offsets)
    member.on_partitions_revoked(consumer.assignment())
    consumer.close()


if sys.argv[1] != "group":
    sys.exit(f"no such verb: {sys.argv[1]}")
group(*sys.argv[2:6], sys.argv[6:])
