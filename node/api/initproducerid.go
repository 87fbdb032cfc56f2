package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerId (key 22): a producer id for an idempotent producer. 0 to 5.
//
// Each call answers a new id with epoch 0, whatever id the producer had before: v3
// tells id and epoch (KIP-360), both or neither, or the answer is INVALID_REQUEST.
// v5 adds an error code of transactions. Transactional ids are not served: the
// answer is UNSUPPORTED_VERSION, which clients take for final; an empty one is
// INVALID_REQUEST.

func initProducerID(s *Server, call *Call, q *kmsg.InitProducerIDRequest) kmsg.Response {
	r := kmsg.NewPtrInitProducerIDResponse()
	r.ProducerID, r.ProducerEpoch = int64(kafka.NoProducerID), -1
	if code := checkInitProducerID(call.Version, q); code != kafka.None {
		r.ErrorCode = int16(code)
		return r
	}
	id, err := s.broker.NewProducerID()
	if err != nil {
		r.ErrorCode = kafka.Code(err)
		return r
	}
	r.ProducerID, r.ProducerEpoch = int64(id), 0
	return r
}

func checkInitProducerID(version int16, q *kmsg.InitProducerIDRequest) kafka.Error {
	switch {
	case q.TransactionalID != nil && *q.TransactionalID == "":
		return kafka.ErrInvalidRequest
	case q.TransactionalID != nil:
		return kafka.ErrUnsupportedVersion
	case version >= 3 && (q.ProducerID < 0) != (q.ProducerEpoch < 0):
		return kafka.ErrInvalidRequest
	}
	return kafka.None
}
