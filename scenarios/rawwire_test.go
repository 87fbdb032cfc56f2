package scenarios

import (
	"encoding/binary"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that does not serve the version of ApiVersions answers in version 0, and only of
// ApiVersions.
func TestWhatAnOlderBrokerAnswersIsRead(t *testing.T) {
	refused := kmsg.NewPtrApiVersionsResponse()
	refused.ErrorCode = int16(kafka.ErrUnsupportedVersion)
	refused.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: int16(kmsg.ApiVersions), MaxVersion: 2}}
	answer := refused.AppendTo(binary.BigEndian.AppendUint32(nil, 7))
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 3
	if err := decodeRaw(answer, 7, resp); err != nil || resp.Version != 0 || len(resp.ApiKeys) != 1 || resp.ErrorCode != refused.ErrorCode {
		t.Errorf("%+v, %v", resp, err)
	}
	refused.ErrorCode = int16(kafka.ErrInvalidRequest)
	answer = refused.AppendTo(binary.BigEndian.AppendUint32(nil, 7))
	resp = kmsg.NewPtrApiVersionsResponse()
	resp.Version = 3
	if err := decodeRaw(answer, 7, resp); err == nil {
		t.Errorf("another error was read in version 0: %+v", resp)
	}
}
