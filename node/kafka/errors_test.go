package kafka

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestEveryCodeHasTheNameThatClientsKnow(t *testing.T) {
	renamed := map[Error]string{ErrNotLeaderOrFollower: "NOT_LEADER_FOR_PARTITION"}
	for code := Error(-1); code <= ErrShareSessionLimitReached; code++ {
		want := "NONE"
		var theirs *kerr.Error
		if errors.As(kerr.ErrorForCode(int16(code)), &theirs) {
			want = theirs.Message
		}
		got := code.Name()
		if old, ok := renamed[code]; ok {
			got = old
		}
		if got != want {
			t.Errorf("code %d is called %s, want %s", code, got, want)
		}
	}
}

// A client that retries what we call definite, or gives up on what we call
// retriable, has been told something else than we meant.
func TestClientsRetryWhatIsNotDefinite(t *testing.T) {
	different := map[Error]string{
		ErrUnknownServerError:       "a client gives up, and still does not know",
		ErrConcurrentTransactions:   "clients handle it by themselves, by trying again",
		ErrShareSessionNotFound:     "as fetch sessions",
		ErrInvalidShareSessionEpoch: "as fetch sessions",
	}
	for code := Error(-1); code <= ErrShareSessionLimitReached; code++ {
		if code == None || different[code] != "" {
			continue
		}
		ours := code.Outcome() != Definite
		theirs := kerr.IsRetriable(kerr.ErrorForCode(int16(code)))
		if ours != theirs {
			t.Errorf("%s: retried by us: %v, by a client: %v", code.Name(), ours, theirs)
		}
	}
}

func TestErrorOfFindsTheCodeInsideTheContext(t *testing.T) {
	wrapped := fmt.Errorf("orders-2: offset 9: %w", ErrOffsetOutOfRange)
	for _, c := range []struct {
		err  error
		want Error
	}{
		{nil, None},
		{wrapped, ErrOffsetOutOfRange},
		{errors.Join(errors.New("first"), wrapped), ErrOffsetOutOfRange},
		{errors.New("disk on fire"), ErrUnknownServerError},
	} {
		if got := ErrorOf(c.err); got != c.want {
			t.Errorf("ErrorOf(%v) = %s, want %s", c.err, got.Name(), c.want.Name())
		}
	}
}

func TestACodeFromTheFutureSaysNothingAboutTheOutcome(t *testing.T) {
	if e := Error(999); e.Outcome() != Unknown || e.Error() != "ERROR_999" {
		t.Errorf("code 999: %v %q", e.Outcome(), e.Error())
	}
}
