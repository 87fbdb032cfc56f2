package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerId (key 22): a producer id for an idempotent producer. 0 to 4.
//
// Each call answers a new id with epoch 0, whatever id the producer had before
// (v3 tells it, KIP-360). Transactional ids are not served: the answer is
// UNSUPPORTED_VERSION, which clients take for final.

func initProducerID(s *Server, _ *Call, q *kmsg.InitProducerIDRequest) kmsg.Response {
	r := kmsg.NewPtrInitProducerIDResponse()
	r.ProducerID, r.ProducerEpoch = int64(kafka.NoProducerID), -1
	if q.TransactionalID != nil {
		r.ErrorCode = int16(kafka.ErrUnsupportedVersion)
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
