package client

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

func TestVerdicts(t *testing.T) {
	p := &Producer{w: &env.World{Sight: env.Blind{}}, c: DefaultProducer()}
	said := func(code kafka.Error) outbox.Verdict {
		return p.judge(kafka.TopicPartition{Topic: "t"}, &kmsg.ProduceResponseTopicPartition{ErrorCode: int16(code)})
	}
	for _, c := range []struct {
		name  string
		got   outbox.Verdict
		fate  outbox.Fate
		final bool
	}{
		{"not sent", unanswered(fmt.Errorf("x: %w", link.ErrNotSent)), outbox.NotAppended, false},
		{"a version nobody speaks", unanswered(fmt.Errorf("%w: %w", link.ErrNotSent, kafka.ErrUnsupportedVersion)), outbox.NotAppended, true},
		{"no answer", unanswered(fmt.Errorf("x: %w", link.ErrNoAnswer)), outbox.MaybeAppended, false},
		{"who knows", unanswered(errors.New("x")), outbox.MaybeAppended, false},
		{"no error", said(kafka.None), outbox.Appended, false},
		{"too large", said(kafka.ErrMessageTooLarge), outbox.NotAppended, true},
		{"out of order", said(kafka.ErrOutOfOrderSequence), outbox.NotAppended, true},
		{"too few replicas", said(kafka.ErrNotEnoughReplicas), outbox.NotAppended, false},
		{"too few replicas after the append", said(kafka.ErrNotEnoughReplicasAfterAppend), outbox.MaybeAppended, false},
		{"timed out", said(kafka.ErrRequestTimedOut), outbox.MaybeAppended, false},
		{"disk out of service", said(kafka.ErrStorageError), outbox.MaybeAppended, false},
		{"not the leader, perhaps any more", said(kafka.ErrNotLeaderOrFollower), outbox.MaybeAppended, false},
		{"topic gone, perhaps just now", said(kafka.ErrUnknownTopicOrPartition), outbox.MaybeAppended, false},
		{"a failure without a name", said(kafka.ErrUnknownServerError), outbox.MaybeAppended, true},
		{"a code of the future", said(999), outbox.MaybeAppended, false},
	} {
		if c.got.Fate != c.fate || c.got.Final != c.final {
			t.Errorf("%s: fate %d, final %v; want %d, %v", c.name, c.got.Fate, c.got.Final, c.fate, c.final)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want kafka.Outcome
	}{
		{fmt.Errorf("x: %w: %w", link.ErrNotSent, env.ErrDeadline), kafka.Retriable},
		{fmt.Errorf("x: %w: %w", link.ErrNoAnswer, env.ErrReset), kafka.Unknown},
		{env.ErrCanceled, kafka.Unknown},
		{fmt.Errorf("x: %w", kafka.ErrTopicAlreadyExists), kafka.Definite},
		{brokerError{kafka.ErrRequestTimedOut, "x"}, kafka.Unknown},
		{ErrTooLarge, kafka.Definite},
		{errors.New("x"), kafka.Unknown},
	} {
		if got := OutcomeOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
