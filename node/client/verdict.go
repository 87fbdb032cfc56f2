package client

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/kafka"
)

// unanswered judges a request that got no answer.
func unanswered(err error) outbox.Verdict {
	if errors.Is(err, link.ErrNotSent) {
		return outbox.Verdict{Fate: outbox.NotAppended, Err: err,
			Final: errors.Is(err, kafka.ErrUnsupportedVersion)}
	}
	return outbox.Verdict{Fate: outbox.MaybeAppended, Err: err}
}

// judge judges a broker's answer about one partition.
func (p *Producer) judge(tp kafka.TopicPartition, part *kmsg.ProduceResponseTopicPartition) outbox.Verdict {
	code := kafka.Error(part.ErrorCode)
	if code == kafka.None && p.c.Idempotent && p.w.Buggify("a producer loses an answer it was given") {
		return outbox.Verdict{Fate: outbox.MaybeAppended, Err: kafka.ErrNetworkException}
	}
	if code == kafka.None {
		return outbox.Verdict{Fate: outbox.Appended, Base: kafka.Offset(part.BaseOffset),
			Timestamp: kafka.Timestamp(part.LogAppendTime)}
	}
	err := fmt.Errorf("produce to %s: %w", tp, toldBy(part.ErrorCode, part.ErrorMessage))
	v := outbox.Verdict{Fate: outbox.NotAppended, Err: err}
	switch {
	case code.Outcome() == kafka.Unknown:
		v.Fate = outbox.MaybeAppended
		v.Final = code == kafka.ErrUnknownServerError
	case code.Outcome() == kafka.Definite:
		v.Final = true
	case p.c.Acks == kafka.AcksAll && losesLeadership(code):
		v.Fate = outbox.MaybeAppended
	}
	return v
}

// losesLeadership reports whether a code can also be the answer to a batch that
// was appended: Kafka answers so when the partition moved, or was deleted, while
// acks=all was awaited (KAFKA-13574). The new leader may have the batch.
func losesLeadership(code kafka.Error) bool {
	switch code {
	case kafka.ErrNotLeaderOrFollower, kafka.ErrUnknownTopicOrPartition, kafka.ErrUnknownTopicID, kafka.ErrLeaderNotAvailable,
		kafka.ErrFencedLeaderEpoch:
		return true
	}
	return false
}
