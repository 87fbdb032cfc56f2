package api

import (
	"encoding/binary"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offloadAbove is the size of requests and answers that are worth letting other
// tasks run while they are decoded, checked or encoded.
const offloadAbove = 64 << 10

// A Client is who is at the other end of a connection.
type Client struct {
	Principal string // "User:ANONYMOUS" until somebody authenticates
	Listener  string // the name of the listener it came by
	Peer      string // its address

	via side // of the listener: ofBrokers or ofControllers

	// What the client calls itself, from ApiVersions 3 on.
	Software, SoftwareVersion string
}

// Anonymous is the principal of a connection without authentication.
const Anonymous = "User:ANONYMOUS"

// A Call is one request on its way.
type Call struct {
	Key, Version int16
	Correlation  int32
	ClientID     string
	Client       *Client
	Arrived      kafka.Instant

	handler *handler
	body    []byte // of the frame
	frame   *frame
	answer  answer
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// appendHeader begins an answer; the size is filled in by finish. The answer to
// ApiVersions has the header of version 0 always, so that a client can read it
// whatever version it asked for (KIP-511).
func (call *Call) appendHeader(dst []byte) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(call.Correlation))
	if call.flexible() && call.Key != int16(kmsg.ApiVersions) {
		dst = append(dst, 0) // no tagged fields
	}
	return dst
}

func (call *Call) flexible() bool { return call.Version >= call.handler.flexibleFrom }

// putSize writes the size of an answer whose bytes after b, if any, are elsewhere.
func putSize(b []byte, elsewhere int64) {
	binary.BigEndian.PutUint32(b, uint32(int64(len(b))-4+elsewhere))
}

// appendResponse appends a whole answer.
func (call *Call) appendResponse(dst []byte, response kmsg.Response) []byte {
	dst = response.AppendTo(call.appendHeader(dst))
	putSize(dst, 0)
	return dst
}
