package link

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whatever a broker answers, decoding ends in an answer or an error.
func FuzzDecodeAnswer(f *testing.F) {
	for _, key := range []int16{0, 1, 2, 3, 18, 19, 20, 22} {
		for _, version := range []int16{0, 4, 9, 12} {
			req := kmsg.RequestForKey(key)
			req.SetVersion(min(version, req.MaxVersion()))
			f.Add(key, version, append([]byte{0, 0, 0, 7, 0}, req.ResponseKind().AppendTo(nil)...))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, frame []byte) {
		req := kmsg.RequestForKey(key)
		if req == nil || version < 0 || version > req.MaxVersion() {
			return
		}
		req.SetVersion(version)
		resp, err := decodeAnswer(frame, 7, req.ResponseKind())
		if (resp == nil) == (err == nil) {
			t.Fatalf("answer %v, error %v", resp, err)
		}
		decodeVersions(frame, 7, version&3)
	})
}
