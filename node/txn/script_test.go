package txn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/kafka"
)

// TestScripts runs the golden scripts. Commands:
//
//	send p=1 e=0 seq=0 n=5 [ts=1]   what a producer sends; appended if it is new
//	copy p=1 e=0 seq=0 n=5 [at=9]   a batch that is in the log, from another replica
//	marker p=1 e=0                  the end of a transaction
//	settle end=N, undo end=N, expire now=N after=N, restart
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := script{producers: &Producers{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			return s.run()
		})
	})
}

type script struct {
	t         *testing.T
	d         *datadriven.TestData
	producers *Producers
	end       kafka.Offset
}

func (s *script) arg(name string, otherwise int64) int64 {
	s.d.MaybeScanArgs(s.t, name, &otherwise)
	return otherwise
}

func (s *script) batch() (Batch, kafka.Offset) {
	first, n := kafka.Sequence(s.arg("seq", 0)), int32(s.arg("n", 1))
	return Batch{
		Producer: kafka.ProducerID(s.arg("p", 1)), Epoch: kafka.ProducerEpoch(s.arg("e", 0)),
		First: first, Last: first.Add(n - 1), Base: kafka.Offset(s.arg("at", int64(s.end))),
		Timestamp: kafka.Timestamp(s.arg("ts", 0)),
	}, kafka.Offset(n)
}

func (s *script) run() string {
	switch s.d.Cmd {
	case "send":
		return s.send()
	case "copy":
		b, n := s.batch()
		s.producers.Record(b)
		s.end = b.Base + n
	case "marker":
		s.producers.RecordMarker(kafka.ProducerID(s.arg("p", 1)), kafka.ProducerEpoch(s.arg("e", 0)), s.end, kafka.Timestamp(s.arg("ts", 0)))
		s.end++
	case "settle":
		s.producers.Settle(kafka.Offset(s.arg("end", int64(s.end))))
	case "undo":
		s.end = kafka.Offset(s.arg("end", 0))
		s.producers.Undo(s.end)
	case "expire":
		n := s.producers.Expire(kafka.Timestamp(s.arg("now", 0)), s.arg("after", 0))
		return fmt.Sprintf("%d expired\n%s", n, s.state())
	case "restart":
		decoded, err := Decode(s.producers.Encode(nil))
		if err != nil {
			return err.Error()
		}
		s.producers = decoded
	default:
		s.t.Fatalf("%s: unknown command %q", s.d.Pos, s.d.Cmd)
	}
	return s.state()
}

func (s *script) send() string {
	b, n := s.batch()
	d := s.producers.Check(b)
	switch d.Verdict {
	case Append:
		s.producers.Record(b)
		s.end += n
		return fmt.Sprintf("append at %d\n", b.Base)
	case Duplicate:
		return fmt.Sprintf("duplicate of %d, timestamp %d\n", d.Batch.Base, d.Batch.Timestamp)
	}
	return d.Err().Error() + "\n"
}

func (s *script) state() string {
	var out strings.Builder
	for _, i := range s.producers.All() {
		fmt.Fprintf(&out, "producer %d epoch=%d last sequence=%d offset=%d timestamp=%d\n",
			i.ID, i.Epoch, i.LastSequence, i.LastOffset, i.LastTimestamp)
	}
	if err := s.producers.Consistent(); err != nil {
		fmt.Fprintln(&out, err)
	}
	if out.Len() == 0 {
		return "no producers\n"
	}
	return out.String()
}
