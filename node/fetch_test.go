package node

import (
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Four partitions with three batches each, of the same size.
func batches(t *testing.T) (w *wire, one int) {
	m := run(t)
	if _, err := kadm.NewClient(m.client()).CreateTopic(within(t), 4, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	w = m.wire()
	for range 3 {
		for p := range int32(4) {
			q := produceRequest("orders", -1, batchOf("0123456789"))
			q.Topics[0].Partitions[0].Partition = p
			r := kmsg.NewPtrProduceResponse()
			w.ask(q, 9, r)
			wantCode(t, "produce", r.Topics[0].Partitions[0].ErrorCode, kafka.None)
		}
	}
	return w, len(batchOf("0123456789"))
}

// The limits of a fetch are those of Kafka: of all, of each partition, and one batch
// that may exceed both, the first there is.
func TestLimitsOfAFetch(t *testing.T) {
	w, one := batches(t)
	const all = 1 << 20
	for _, c := range []struct {
		name      string
		maxBytes  int
		partition []int // max bytes of each
		want      []int // batches
	}{
		{"no limits", all, []int{all, all, all, all}, []int{3, 3, 3, 3}},
		{"each partition its own", all, []int{2 * one, all, 2*one + 1, one}, []int{2, 3, 2, 1}},
		{"of all", 4 * one, []int{all, all, all, all}, []int{3, 1, 0, 0}},
		{"of all, in the middle of a batch", 5*one - 1, []int{all, all, all, all}, []int{3, 1, 0, 0}},
		{"the first batch exceeds its partition's", all, []int{1, 1, all, all}, []int{1, 0, 3, 3}},
		{"the first batch exceeds the limit of all", 1, []int{all, all, all, all}, []int{1, 0, 0, 0}},
		{"limits of nothing", 0, []int{0, 0, 0, 0}, []int{1, 0, 0, 0}},
		{"limits below nothing", -7, []int{-7, -7, -7, -7}, []int{1, 0, 0, 0}},
	} {
		q := fetchRequest("orders", 0, 1, time.Hour)
		q.MaxBytes = int32(c.maxBytes)
		part := q.Topics[0].Partitions[0]
		q.Topics[0].Partitions = nil
		for p, limit := range c.partition {
			part.Partition, part.PartitionMaxBytes = int32(p), int32(limit)
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, part)
		}
		r := kmsg.NewPtrFetchResponse()
		w.ask(q, 11, r)
		for p, got := range r.Topics[0].Partitions {
			if len(got.RecordBatches) != c.want[p]*one || got.ErrorCode != 0 {
				t.Errorf("%s: partition %d: %d bytes with error %d, want %d batches of %d", c.name, p, len(got.RecordBatches), got.ErrorCode, c.want[p], one)
			}
		}
	}
}

// What a partition has to tell at once does not wait for the others' bytes.
func TestAFetchDoesNotWaitForWhatWillNotCome(t *testing.T) {
	w, _ := batches(t)
	r := kmsg.NewPtrFetchResponse()
	none := fetchRequest("orders", 0, 1, time.Hour)
	none.Topics = nil
	w.ask(none, 11, r)
	if len(r.Topics) != 0 {
		t.Errorf("of nothing: %+v", r)
	}
	for name, c := range map[string]struct {
		change func(*kmsg.FetchRequestTopicPartition)
		want   kafka.Error
	}{
		"above the log's end":           {func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 4 }, kafka.ErrOffsetOutOfRange},
		"below zero":                    {func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, kafka.ErrOffsetOutOfRange},
		"a partition that there is not": {func(p *kmsg.FetchRequestTopicPartition) { p.Partition = 4 }, kafka.ErrUnknownTopicOrPartition},
		"a leader epoch to come":        {func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 9 }, kafka.ErrUnknownLeaderEpoch},
	} {
		q := fetchRequest("orders", 3, 1, time.Hour) // at the end: it would wait
		part := q.Topics[0].Partitions[0]
		c.change(&part)
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, part)
		w.ask(q, 11, r)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 2 {
			t.Fatalf("%s: %+v", name, r)
		}
		wantCode(t, name, r.Topics[0].Partitions[1].ErrorCode, c.want)
	}
}

// A segment is read at a time, and so much of a partition: that there is less than
// min bytes in it is no reason to wait (docs/bugs/0019.md).
func TestAFetchDoesNotWaitBeforeTheEnd(t *testing.T) {
	m := run(t)
	small, value := "256", strings.Repeat("x", 200) // each batch gets a segment of its own
	if _, err := kadm.NewClient(m.client()).CreateTopic(within(t), 1, 1, map[string]*string{"internal.segment.bytes": &small}, "orders"); err != nil {
		t.Fatal(err)
	}
	w := m.wire()
	for range 3 {
		r := kmsg.NewPtrProduceResponse()
		w.ask(produceRequest("orders", -1, batchOf(value)), 9, r)
		wantCode(t, "produce", r.Topics[0].Partitions[0].ErrorCode, kafka.None)
	}
	one := len(batchOf(value))
	r := kmsg.NewPtrFetchResponse()
	w.ask(fetchRequest("orders", 0, int32(one+1), time.Hour), 11, r)
	if got := r.Topics[0].Partitions[0].RecordBatches; len(got) != one {
		t.Errorf("%d bytes, want %d", len(got), one)
	}
}

// KIP-227: what a session was told once is not told again.
func TestAFetchSessionTellsWhatHasChanged(t *testing.T) {
	w, one := batches(t)
	q := fetchRequest("orders", 2, 1, time.Hour)
	q.SessionEpoch = 0 // asks for a session
	r := kmsg.NewPtrFetchResponse()
	w.ask(q, 12, r)
	if r.SessionID == 0 || r.ErrorCode != 0 || len(r.Topics[0].Partitions[0].RecordBatches) != one {
		t.Fatalf("a first fetch: %+v", r)
	}
	q.SessionID, q.SessionEpoch, q.MaxWaitMillis = r.SessionID, 1, 0
	q.Topics[0].Partitions[0].FetchOffset = 3
	w.ask(q, 12, r)
	wantCode(t, "nothing new", r.ErrorCode, kafka.None)
	if len(r.Topics) != 0 || r.SessionID != q.SessionID {
		t.Errorf("nothing new: %+v", r)
	}
	w.wantProduced("orders", batchOf("x"), 3)
	q.SessionEpoch, q.Topics = 2, nil
	w.ask(q, 12, r)
	if len(r.Topics) != 1 || r.Topics[0].Partitions[0].HighWatermark != 4 || len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("a record more: %+v", r)
	}
	w.ask(q, 12, r)
	wantCode(t, "the same again", r.ErrorCode, kafka.ErrInvalidFetchSessionEpoch)
	q.SessionEpoch = 3
	w.ask(q, 13, r)
	wantCode(t, "topic ids all of a sudden", r.ErrorCode, kafka.ErrFetchSessionTopicIDError)
	q.SessionEpoch = -1 // ends the session
	w.ask(q, 12, r)
	wantCode(t, "the last of a session", r.ErrorCode, kafka.None)
	q.SessionEpoch = 3
	w.ask(q, 12, r)
	wantCode(t, "one of a session that was ended", r.ErrorCode, kafka.ErrFetchSessionIDNotFound)
}
