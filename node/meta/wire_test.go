package meta

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
)

// samples has records of every kind.
func samples() []Record {
	value := "1"
	return []Record{
		Feature{MetadataVersion, 1}, Cluster{"c"},
		Broker{ID: 1, Epoch: 2, Endpoints: []Endpoint{{"P", "h", 3}}, Directories: []DirectoryID{{4}, {5}}, Rack: "r", Volatile: true,
			Offline: []Replica{{kafka.TopicID{1}, 0}, {kafka.TopicID{1}, 1}}},
		BrokerChange{1, 2, true, true}, BrokerOffline{1, 2, []Replica{{kafka.TopicID{1}, 0}}}, RemoveBroker{1, 2}, BrokerEpoch{7},
		TopicRecord{"t", kafka.TopicID{1}}, RemoveTopic{kafka.TopicID{1}}, ProducerBlock{1, 2},
		one(kafka.TopicID{1}, 2, PartitionState{Replicas: ids(1, 2, 3, 300), Adding: ids(3), Removing: ids(2), ISR: ids(1), ELR: ids(2),
			LastELR: ids(3), Leader: 1, LeaderEpoch: 2, Epoch: 3}),
		Partitions{[]PartitionRecord{{kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), Leader: 1}},
			{kafka.TopicID{1}, 1, PartitionState{Leader: NoLeader}}, {kafka.TopicID{2}, 0, PartitionState{Leader: NoLeader}}}},
		ConfigRecord{kafka.TopicID{1}, "a", &value}, ConfigRecord{kafka.TopicID{1}, "a", nil},
		BrokerConfig{EveryBroker, "a", &value}, BrokerConfig{1, "a", nil}, GroupConfig{"g", "a", &value}, GroupConfig{"g", "a", nil},
	}
}

// What decodes encodes to the same bytes: there is one way to write a record.
func FuzzDecode(f *testing.F) {
	for _, r := range samples() {
		f.Add(Encode(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		if again := Encode(r); !bytes.Equal(again, b) {
			t.Fatalf("%v: %x encodes to %x", r, b, again)
		}
		read, err := Decode(Encode(r))
		if diff := cmp.Diff(r, read); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

// DecodeAll takes whatever it is given, and needs memory in proportion.
func FuzzDecodeAll(f *testing.F) {
	f.Add(EncodeAll(nil, samples()))
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0, 1})
	f.Add([]byte{0, 0, 0, 24, 0, 5, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := DecodeAll(b)
		if err != nil {
			return
		}
		if again := EncodeAll(nil, rs); !bytes.Equal(again, b) {
			t.Fatalf("%v: %x encodes to %x", rs, b, again)
		}
	})
}

func TestAllRecordsOfADecisionAreReadBack(t *testing.T) {
	want := samples()
	b := EncodeAll([]byte("before"), want)
	got, err := DecodeAll(b[len("before"):])
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for n := range b[len("before"):] {
		rs, err := DecodeAll(b[len("before"):][:n])
		if err == nil && len(EncodeAll(nil, rs)) != n {
			t.Errorf("%d bytes of %d: %d records", n, len(b), len(rs))
		}
	}
}

func TestWhatALaterVersionWroteIsNotGuessedAt(t *testing.T) {
	for _, b := range [][]byte{{0, byte(lastKind) + 1, 0, 0}, {0, 1, 0, 1, 0, 0, 0, 1}} {
		if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), ErrTooNew.Error()) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
