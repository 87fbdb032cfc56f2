package peer

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keys of the messages that only klamm's nodes speak with each other. They stand
// on the controllers' listeners. Their version is 0; all are flexible, so that
// what comes later can go into tagged fields.
const (
	RaftStepKey     kmsg.Key = 20000
	ReadMetadataKey kmsg.Key = 20001
	ForwardKey      kmsg.Key = 20002
)

// Bounds of what a message may hold; who exceeds them has sent garbage.
const (
	MaxRaftMessages = 1024     // in one RaftStep
	MaxFrame        = 81 << 20 // bytes of a private message: the largest is one of raft's with a snapshot
	maxName         = 1 << 10  // bytes of an id, a principal, a listener's name
)

// PrivateKeys returns the keys of the private messages.
func PrivateKeys() []kmsg.Key { return []kmsg.Key{RaftStepKey, ReadMetadataKey, ForwardKey} }

// RequestForKey returns a new request of a key, private or Kafka's; nil if there
// is none.
func RequestForKey(key int16) kmsg.Request {
	switch kmsg.Key(key) {
	case RaftStepKey:
		return &RaftStep{}
	case ReadMetadataKey:
		return &ReadMetadata{}
	case ForwardKey:
		return &Forward{}
	}
	return kmsg.RequestForKey(key)
}

// NameForKey returns the name of an API, private or Kafka's.
func NameForKey(key int16) string {
	if n, ok := RequestForKey(key).(interface{ Name() string }); ok {
		return n.Name()
	}
	return kmsg.NameForKey(key)
}

// A RaftStep (key 20000) brings raft's messages from one controller to another.
type RaftStep struct {
	ClusterID string // "" while the sender does not know it
	From      int32
	Directory [16]byte // the sender's: a voter that lost its disk is another one
	Messages  [][]byte
}

// RaftStepped answers a RaftStep: the messages were taken, or why not
// (INCONSISTENT_CLUSTER_ID, INVALID_REQUEST).
type RaftStepped struct{ ErrorCode int16 }

// A ReadMetadata (key 20001) asks any controller for committed metadata.
type ReadMetadata struct {
	ClusterID     string // "" while the asker does not know it
	ReplicaID     int32  // the node that asks
	From          int64  // the first metadata offset that it wants
	MaxBytes      int32
	MaxWaitMillis int32
	Directory     [16]byte // the asker's first log directory
}

// MetadataRead answers a ReadMetadata.
type MetadataRead struct {
	ErrorCode    int16
	ErrorMessage string
	Page         []byte // as quorum.AppendPage writes it
}

// A Forward (key 20002) carries a client's request to the active controller, as
// it came.
type Forward struct {
	APIKey        int16
	APIVersion    int16
	ClientID      string
	Principal     string
	Listener      string // that the client came by
	TimeoutMillis int32  // how long the client's broker waits
	Body          []byte // of the request, without its header
}

// Forwarded answers a Forward.
type Forwarded struct {
	ErrorCode    int16 // why there is no answer: NOT_CONTROLLER, UNSUPPORTED_VERSION
	ErrorMessage string
	Offset       int64  // the metadata offset that the answer speaks of
	Body         []byte // of the answer, without its header
}

func (*RaftStep) Name() string     { return "RaftStep" }
func (*ReadMetadata) Name() string { return "ReadMetadata" }
func (*Forward) Name() string      { return "Forward" }

func (*RaftStep) Key() int16            { return int16(RaftStepKey) }
func (*RaftStepped) Key() int16         { return int16(RaftStepKey) }
func (*ReadMetadata) Key() int16        { return int16(ReadMetadataKey) }
func (*MetadataRead) Key() int16        { return int16(ReadMetadataKey) }
func (*Forward) Key() int16             { return int16(ForwardKey) }
func (*Forwarded) Key() int16           { return int16(ForwardKey) }
func (*RaftStep) MaxVersion() int16     { return 0 }
func (*RaftStepped) MaxVersion() int16  { return 0 }
func (*ReadMetadata) MaxVersion() int16 { return 0 }
func (*MetadataRead) MaxVersion() int16 { return 0 }
func (*Forward) MaxVersion() int16      { return 0 }
func (*Forwarded) MaxVersion() int16    { return 0 }
func (*RaftStep) SetVersion(int16)      {}
func (*RaftStepped) SetVersion(int16)   {}
func (*ReadMetadata) SetVersion(int16)  {}
func (*MetadataRead) SetVersion(int16)  {}
func (*Forward) SetVersion(int16)       {}
func (*Forwarded) SetVersion(int16)     {}
func (*RaftStep) GetVersion() int16     { return 0 }
func (*RaftStepped) GetVersion() int16  { return 0 }
func (*ReadMetadata) GetVersion() int16 { return 0 }
func (*MetadataRead) GetVersion() int16 { return 0 }
func (*Forward) GetVersion() int16      { return 0 }
func (*Forwarded) GetVersion() int16    { return 0 }
func (*RaftStep) IsFlexible() bool      { return true }
func (*RaftStepped) IsFlexible() bool   { return true }
func (*ReadMetadata) IsFlexible() bool  { return true }
func (*MetadataRead) IsFlexible() bool  { return true }
func (*Forward) IsFlexible() bool       { return true }
func (*Forwarded) IsFlexible() bool     { return true }

func (*RaftStep) ResponseKind() kmsg.Response     { return &RaftStepped{} }
func (*ReadMetadata) ResponseKind() kmsg.Response { return &MetadataRead{} }
func (*Forward) ResponseKind() kmsg.Response      { return &Forwarded{} }
func (*RaftStepped) RequestKind() kmsg.Request    { return &RaftStep{} }
func (*MetadataRead) RequestKind() kmsg.Request   { return &ReadMetadata{} }
func (*Forwarded) RequestKind() kmsg.Request      { return &Forward{} }

// AppendTo appends the message.
func (m *RaftStep) AppendTo(dst []byte) []byte {
	dst = kbin.AppendCompactString(dst, m.ClusterID)
	dst = kbin.AppendInt32(dst, m.From)
	dst = kbin.AppendUuid(dst, m.Directory)
	dst = kbin.AppendCompactArrayLen(dst, len(m.Messages))
	for _, one := range m.Messages {
		dst = kbin.AppendCompactBytes(dst, one)
	}
	return append(dst, noTags)
}

// ReadFrom reads the message; what it holds aliases src.
func (m *RaftStep) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.ClusterID = name(&b)
	m.From = b.Int32()
	m.Directory = b.Uuid()
	n := b.CompactArrayLen()
	if n > MaxRaftMessages {
		return fmt.Errorf("raft step with %d messages, at most %d", n, MaxRaftMessages)
	}
	m.Messages = nil
	for range n {
		if !b.Ok() {
			break
		}
		m.Messages = append(m.Messages, b.CompactBytes())
	}
	return finish(&b)
}

// AppendTo appends the message.
func (m *RaftStepped) AppendTo(dst []byte) []byte {
	return append(kbin.AppendInt16(dst, m.ErrorCode), noTags)
}

// ReadFrom reads the message.
func (m *RaftStepped) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.ErrorCode = b.Int16()
	return finish(&b)
}

// AppendTo appends the message.
func (m *ReadMetadata) AppendTo(dst []byte) []byte {
	dst = kbin.AppendCompactString(dst, m.ClusterID)
	dst = kbin.AppendInt32(dst, m.ReplicaID)
	dst = kbin.AppendInt64(dst, m.From)
	dst = kbin.AppendInt32(dst, m.MaxBytes)
	dst = kbin.AppendInt32(dst, m.MaxWaitMillis)
	dst = kbin.AppendUuid(dst, m.Directory)
	return append(dst, noTags)
}

// ReadFrom reads the message.
func (m *ReadMetadata) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.ClusterID = name(&b)
	m.ReplicaID = b.Int32()
	m.From = b.Int64()
	m.MaxBytes = b.Int32()
	m.MaxWaitMillis = b.Int32()
	m.Directory = b.Uuid()
	return finish(&b)
}

// AppendTo appends the message.
func (m *MetadataRead) AppendTo(dst []byte) []byte {
	dst = kbin.AppendInt16(dst, m.ErrorCode)
	dst = kbin.AppendCompactString(dst, m.ErrorMessage)
	dst = kbin.AppendCompactBytes(dst, m.Page)
	return append(dst, noTags)
}

// ReadFrom reads the message; what it holds aliases src.
func (m *MetadataRead) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.ErrorCode = b.Int16()
	m.ErrorMessage = b.CompactString()
	m.Page = b.CompactBytes()
	return finish(&b)
}

// AppendTo appends the message.
func (m *Forward) AppendTo(dst []byte) []byte {
	dst = kbin.AppendInt16(dst, m.APIKey)
	dst = kbin.AppendInt16(dst, m.APIVersion)
	dst = kbin.AppendCompactString(dst, m.ClientID)
	dst = kbin.AppendCompactString(dst, m.Principal)
	dst = kbin.AppendCompactString(dst, m.Listener)
	dst = kbin.AppendInt32(dst, m.TimeoutMillis)
	dst = kbin.AppendCompactBytes(dst, m.Body)
	return append(dst, noTags)
}

// ReadFrom reads the message; its body aliases src.
func (m *Forward) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.APIKey = b.Int16()
	m.APIVersion = b.Int16()
	m.ClientID = b.CompactString() // as long as the client made it: int16
	m.Principal = name(&b)
	m.Listener = name(&b)
	m.TimeoutMillis = b.Int32()
	m.Body = b.CompactBytes()
	return finish(&b)
}

// AppendTo appends the message.
func (m *Forwarded) AppendTo(dst []byte) []byte {
	dst = kbin.AppendInt16(dst, m.ErrorCode)
	dst = kbin.AppendCompactString(dst, m.ErrorMessage)
	dst = kbin.AppendInt64(dst, m.Offset)
	dst = kbin.AppendCompactBytes(dst, m.Body)
	return append(dst, noTags)
}

// ReadFrom reads the message; its body aliases src.
func (m *Forwarded) ReadFrom(src []byte) error {
	b := kbin.Reader{Src: src}
	m.ErrorCode = b.Int16()
	m.ErrorMessage = b.CompactString()
	m.Offset = b.Int64()
	m.Body = b.CompactBytes()
	return finish(&b)
}

// noTags ends a message without tagged fields.
const noTags = 0

// name reads a short string.
func name(b *kbin.Reader) string {
	s := b.CompactString()
	if len(s) > maxName {
		b.Span(-1) // makes the reader fail
		return ""
	}
	return s
}

// finish skips the tagged fields that this version does not know, and reports
// whether the message ended where its bytes do.
func finish(b *kbin.Reader) error {
	for n := b.Uvarint(); n > 0 && b.Ok(); n-- {
		b.Uvarint()
		b.Span(int(b.Uvarint()))
	}
	return b.Complete()
}
