package checker_test

import (
	"fmt"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
)

// A run in which the second of two acknowledged records is gone at the end.
func Example() {
	var now history.Instant
	after := func(ms history.Instant) { now += ms * 1e6 }
	r := history.NewRecorder(func() history.Instant { return now })
	producer, reader, orders := r.Client("p1"), r.Client("reader"), r.Partition("orders", 2)

	var sent []history.Read // as they will be read
	for offset := range history.Offset(2) {
		id := r.NextRecord()
		value := append(history.AppendIdentity(nil, id), "two shoes"...)
		digest := history.DigestOf(nil, value, nil)
		send := r.Send(history.Send{
			Client: producer, Partition: orders, Seq: int64(offset), Record: id, Digest: digest,
			Acks: history.AcksAll, Delivery: history.Idempotent,
		})
		after(1200)
		send.Acked(offset, history.NoTimestamp)
		sent = append(sent, history.Read{Offset: offset, Record: history.IdentityOf(value), Digest: digest, Epoch: 1})
	}
	back := r.ReadBack(reader, orders)
	poll := r.Poll(history.Poll{Client: reader, Partition: orders, Final: true, Before: 0})
	after(5)
	poll.Returned(sent[:1], 1, 1)
	back.Done(0, 1)

	report := checker.Judge(r.History(), checker.Demands{Leaders: true})
	fmt.Println(report.Status())
	for _, v := range report.Violations() {
		fmt.Println(v)
	}
	// Output:
	// violated
	// no-lost-ack: orders-2 offset 1 acknowledged at 2.400s, absent at the end: the log ends at offset 1
	// linearizable-log: orders-2 the append at offset 1 was over at 2.400s, but the lookup that told the log ends at 1 began only at 2.400s
}
