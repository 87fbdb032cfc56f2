package node

import (
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Who asks for a coordinator is told in every version that there is none, and why.
func TestThereAreNoCoordinators(t *testing.T) {
	w := run(t).wire()
	for version := int16(0); version <= 6; version++ {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey, q.CoordinatorKeys = "workers", []string{"workers", "drivers"}
		r := kmsg.NewPtrFindCoordinatorResponse()
		w.ask(q, version, r)
		codes, messages := []int16{r.ErrorCode}, []*string{r.ErrorMessage}
		if version >= 4 {
			codes, messages = nil, nil
			for _, c := range r.Coordinators {
				codes, messages = append(codes, c.ErrorCode), append(messages, c.ErrorMessage)
			}
		}
		if want := 1 + int(version/4); len(codes) != min(want, 2) {
			t.Fatalf("version %d: %d answers", version, len(codes))
		}
		for i, code := range codes {
			wantCode(t, "a coordinator", code, kafka.ErrUnsupportedVersion)
			if m := messages[i]; version >= 1 && (m == nil || !strings.Contains(*m, "not served")) {
				t.Errorf("version %d: message %v", version, m)
			}
		}
	}
}
