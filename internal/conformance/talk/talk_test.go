package talk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var record = Record{Timestamp: 17, Key: []byte{}, Value: nil, Headers: []Header{{"a", []byte("x\ty\n")}, {"a", nil}, {"b", []byte{}}}}

// Null, empty and full of tabs: what one program writes, another reads.
func TestLinesAreReadAsTheyWereWritten(t *testing.T) {
	send := Send{3, "t", 2, record}
	gotSend, err := ParseSend(send.String())
	same(t, send, gotSend, err)
	for _, ack := range []Ack{{1, 2, 3, 4, -1, ""}, {1, 2, 3, -1, -1, "failed: in two lines"}} {
		told := ack
		told.Error = strings.ReplaceAll(strings.TrimPrefix(ack.Error, "failed: "), " ", "\n\t")
		got, err := ParseAck(told.String())
		same(t, ack, got, err)
	}
	poll := Poll{"t", 1, 2, 3, 4, 6, []Read{{4, record}, {5, Record{}}}}
	lines := strings.Split(poll.String(), "\n")
	gotPoll, err := ParsePoll(lines[0], func() string { lines = lines[1:]; return lines[0] })
	same(t, poll, gotPoll, err)
	end := End{"t", 1, 99}
	gotEnd, err := ParseEnd(end.String())
	same(t, end, gotEnd, err)
	lookup := Lookup{"t", 1, 2, 3, 4, -1}
	gotLookup, err := ParseLookup(lookup.String())
	same(t, lookup, gotLookup, err)
}

func same[T any](t *testing.T, want, got T, err error) {
	t.Helper()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestMalformedLinesAreRefused(t *testing.T) {
	for _, text := range []string{"", "1\tt", "x\tt\t0\t0\t-\t-\t", "1\tt\t0\t0\t*\t-\t", "1\tt\t0\t0\t-\t-\t\tmore"} {
		if s, err := ParseSend(text); err == nil {
			t.Errorf("%q read as %v", text, s)
		}
	}
	if p, err := ParsePoll("t\t0\t1\t2\t0\t1\t1", func() string { return "" }); err == nil {
		t.Errorf("a poll whose record is missing read as %v", p)
	}
}
