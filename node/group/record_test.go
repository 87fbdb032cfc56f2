package group

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

var texts = rapid.StringMatching(`[a-zé]{0,12}`)

func bytesOf(t *rapid.T, label string) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, label)
	if len(b) == 0 {
		return nil
	}
	return b
}

func millisOf(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.Int32Range(0, 1<<31-1).Draw(t, label)) * time.Millisecond
}

// kmsg is the oracle: what we write it reads, and what it writes of any version we
// read.
func TestOffsetsAreKafkasRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := offsetKey(texts.Draw(t, "group"), texts.Draw(t, "topic"), rapid.Int32().Draw(t, "partition"))
		var key kmsg.OffsetCommitKey
		if err := key.ReadFrom(k.encode()); err != nil || key.Group != k.group || key.Topic != k.topic || key.Partition != k.partition || key.Version != 1 {
			t.Fatalf("%v is read as %+v: %v", k, key, err)
		}
		if back, known, err := decodeKey(key.AppendTo(nil)); err != nil || !known || back != k {
			t.Fatalf("%v comes back as %v: %v", k, back, err)
		}
		value := kmsg.OffsetCommitValue{
			Version: rapid.Int16Range(0, 4).Draw(t, "version"), Offset: rapid.Int64().Draw(t, "offset"),
			LeaderEpoch: rapid.Int32().Draw(t, "epoch"), Metadata: texts.Draw(t, "metadata"),
			CommitTimestamp: rapid.Int64().Draw(t, "at"), ExpireTimestamp: rapid.Int64Range(0, 1<<50).Draw(t, "until"),
		}
		want := committed{offset: kafka.Offset(value.Offset), metadata: value.Metadata, at: kafka.Timestamp(value.CommitTimestamp),
			epoch: kafka.NoLeaderEpoch, expires: kafka.NoTimestamp}
		if value.Version >= 3 {
			want.epoch = kafka.LeaderEpoch(value.LeaderEpoch)
		}
		if value.Version == 1 {
			want.expires = kafka.Timestamp(value.ExpireTimestamp)
		}
		if value.Version >= 4 {
			value.TopicID[3] = rapid.Byte().Draw(t, "id")
			want.topic = value.TopicID
		}
		got, err := decodeOffset(value.AppendTo(nil))
		if err != nil || got != want {
			t.Fatalf("%+v is read as %+v: %v", value, got, err)
		}
		var back kmsg.OffsetCommitValue
		if err := back.ReadFrom(got.encode()); err != nil || back.Offset != value.Offset || back.Metadata != value.Metadata ||
			back.CommitTimestamp != value.CommitTimestamp || back.TopicID != value.TopicID {
			t.Fatalf("%+v is written as %+v: %v", value, back, err)
		}
	})
}

func TestGenerationsAreKafkasRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGeneration(t)
		var back kmsg.GroupMetadataValue
		if err := back.ReadFrom(g.encode()); err != nil {
			t.Fatal(err)
		}
		for version := int16(0); version <= 4; version++ {
			back.Version = version
			got, err := decodeGeneration(back.AppendTo(nil))
			if err != nil {
				t.Fatalf("version %d: %v", version, err)
			}
			if d := cmp.Diff(asOf(g, version), got, cmp.AllowUnexported(generation{}, recordedMember{})); d != "" {
				t.Fatalf("version %d (-want +got):\n%s", version, d)
			}
		}
	})
}

func drawGeneration(t *rapid.T) generation {
	g := generation{
		protocolType: texts.Draw(t, "type"), protocol: texts.Draw(t, "protocol"), leader: texts.Draw(t, "leader"),
		number: Generation(rapid.Int32().Draw(t, "generation")), since: kafka.Timestamp(rapid.Int64().Draw(t, "since")),
		members: []recordedMember{},
	}
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		g.members = append(g.members, recordedMember{
			id: texts.Draw(t, "id"), instance: texts.Draw(t, "instance"),
			client:    Client{texts.Draw(t, "client"), texts.Draw(t, "host")},
			rebalance: millisOf(t, "rebalance"), session: millisOf(t, "session"),
			subscription: bytesOf(t, "subscription"), assignment: bytesOf(t, "assignment"),
		})
	}
	return g
}

// asOf is what a version can say of a generation.
func asOf(g generation, version int16) generation {
	g.members = append([]recordedMember{}, g.members...)
	for i := range g.members {
		m := &g.members[i]
		if version < 3 {
			m.instance = ""
		}
		if version < 1 {
			m.rebalance = m.session
		}
	}
	if version < 2 {
		g.since = kafka.NoTimestamp
	}
	return g
}

// A group's key is what GroupMetadataKey is, and kinds of records that we do not know
// are passed over.
func TestKeys(t *testing.T) {
	var key kmsg.GroupMetadataKey
	if err := key.ReadFrom((kindOf(classicKind, "orders", "")).encode()); err != nil || key.Version != 2 || key.Group != "orders" {
		t.Errorf("%+v: %v", key, err)
	}
	s := newStage().shard
	for _, k := range []kind{9, 10, 11, 12, 13, 14, 15, 17, 19, 99, -1} {
		if err := s.Replay(machine.Record{Key: []byte{byte(k >> 8), byte(k), 7}, Value: []byte{1}}, 0); err != nil {
			t.Errorf("kind %d: %v", k, err)
		}
	}
	if s.Stats().Skipped != 11 || s.Groups() != 0 {
		t.Errorf("%d skipped, %d groups", s.Stats().Skipped, s.Groups())
	}
	for _, bad := range []string{"", "\x00", "\x00\x01\x00\x05abc", "\x00\x02\xff\xff", "\x00\x05\x00\x01g\x7f\xff"} {
		if err := s.Replay(machine.Record{Key: []byte(bad)}, 0); err == nil {
			t.Errorf("key %q is understood", bad)
		}
	}
	good := kindOf(classicKind, "g", "").encode()
	for _, bad := range []string{"", "\x00", "\x00\x05", "\xff\xff", "\x00\x03\x00\x01a", "\x00\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if err := s.Replay(machine.Record{Key: good, Value: []byte(bad)}, 0); err == nil || !strings.Contains(err.Error(), "classic g") {
			t.Errorf("value %q: %v", bad, err)
		}
	}
}

func kindOf(k kind, group, member string) key { return key{kind: k, group: group, member: member} }

// No bytes make a record that is dangerous to read, and what is understood says the
// same when it is written again.
func FuzzReplay(f *testing.F) {
	var seeds []machine.Record
	st := newStage()
	st.reload()
	st.limits.InitialDelay = 0
	st.shard.Join(st.now, 1, JoinRequest{Group: "g", Instance: "i", ProtocolType: "consumer", Session: time.Minute, Version: 9,
		Protocols: []Protocol{{"range", subscribing("orders")}}})
	st.until(1)
	st.shard.Sync(st.now, 2, SyncRequest{Group: "g", Member: "i-1", Instance: "i", Generation: 1, Assignments: []Assignment{{"i-1", []byte("A")}}})
	st.shard.CommitOffsets(st.now, 3, CommitRequest{Group: "g", Generation: 1, Member: "i-1", Retention: -1,
		Topics: []CommitTopic{{Name: "orders", ID: kafka.TopicID{1}, Partitions: []CommitPartition{{1, 2, 3, "m"}}}}})
	st.settle()
	for _, l := range st.log {
		seeds = append(seeds, l.Record)
	}
	seeds = append(seeds, moreSeeds()...)
	for _, r := range seeds {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, k, v []byte) {
		st := newStage()
		err := st.shard.Replay(machine.Record{Key: k, Value: v}, 0)
		st.shard.Loaded(st.now)
		st.until(kafka.Instant(time.Hour))
		key, _, _ := decodeKey(k)
		if broken := st.shard.Check(); broken != nil && err == nil && key.kind <= classicKind { // KIP-848's say something together only
			t.Fatalf("%q %q: %v", k, v, broken)
		}
	})
}

func moreSeeds() []machine.Record {
	return []machine.Record{
		{Key: kindOf(classicKind, "g", "").encode()},
		{Key: offsetKey("g", "t", 0).encode()},
		{Key: kindOf(consumerEpochKind, "g", "").encode(), Value: epochValue{3, 4}.encode()},
		{Key: kindOf(targetEpochKind, "g", "").encode(), Value: encodeTarget(3)},
		{Key: kindOf(consumerMemberKind, "g", "m").encode(), Value: (&enrolment{instance: "i", topics: []string{"a"}, regex: "b.*"}).encode()},
		{Key: kindOf(targetMemberKind, "g", "m").encode(), Value: encodePlaces(places{{kafka.TopicID{1}, 2}})},
		{Key: kindOf(currentMemberKind, "g", "m").encode(), Value: (&progress{epoch: 3, assigned: places{{kafka.TopicID{1}, 2}}}).encode()},
	}
}

// KIP-848's records have no oracle: these are the bytes that their schemas say, and
// what we write we read.
func TestModernRecords(t *testing.T) {
	topic := strings.Repeat("01", 16)
	one := kafka.TopicID{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"epoch", epochValue{7, 9}.encode(), "0000" + "00000007" + "01" + "00" + "08" + "0000000000000009"},
		{"target epoch", encodeTarget(7), "0000" + "00000007" + "00"},
		{"member", (&enrolment{instance: "i", client: Client{"c", "/h"}, topics: []string{"t"}, rebalance: time.Second}).encode(),
			"0000" + "0269" + "00" + "0263" + "032f68" + "020274" + "00" + "000003e8" + "00" + "00"},
		{"target", encodePlaces(places{{one, 2}, {one, 3}}), "0000" + "02" + topic + "03" + "00000002" + "00000003" + "00" + "00"},
		{"current", (&progress{epoch: 7, previous: 6, state: unreleased, assigned: places{{one, 2}}}).encode(),
			"0000" + "00000007" + "00000006" + "02" + "02" + topic + "02" + "00000002" + "00" + "01" + "00"},
		{"key", kindOf(currentMemberKind, "g", "m").encode(), "0008" + "000167" + "00016d"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s is written\n%s, should be\n%s", c.name, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := progress{epoch: rapid.Int32().Draw(t, "epoch"), previous: rapid.Int32().Draw(t, "previous"), state: progressState(rapid.Int8().Draw(t, "state")),
			assigned: drawPlaces(t), revoking: drawPlaces(t)}
		if back, err := decodeProgress(v.encode()); err != nil || !back.equal(&v) {
			t.Fatalf("%+v is read as %+v: %v", v, back, err)
		}
		e := enrolment{instance: texts.Draw(t, "instance"), rack: texts.Draw(t, "rack"), client: Client{texts.Draw(t, "id"), texts.Draw(t, "host")},
			regex: texts.Draw(t, "regex"), rebalance: millisOf(t, "rebalance"), assignor: texts.Draw(t, "assignor"),
			topics: rapid.SliceOfN(texts, 1, 3).Draw(t, "topics")}
		if back, err := decodeEnrolment(e.encode()); err != nil || !cmp.Equal(e, back, cmp.AllowUnexported(enrolment{})) {
			t.Fatalf("%+v is read as %+v: %v", e, back, err)
		}
	})
}

func drawPlaces(t *rapid.T) (out places) {
	for range rapid.IntRange(0, 3).Draw(t, "places") {
		out = out.with(places{{kafka.TopicID{rapid.Byte().Draw(t, "topic")}, rapid.Int32Range(0, 9).Draw(t, "partition")}})
	}
	return out
}
