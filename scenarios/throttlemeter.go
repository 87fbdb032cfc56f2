package scenarios

import (
	"fmt"
	"math/big"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A throttleMeter judges what one broker got from another of replicas that are
// throttled and not in sync: within any time no more than the rate times that time,
// and what may be used of the second before, and two bursts: one that the leader
// still had room for, and one that was on its way when the time began.
type throttleMeter struct {
	rate, burst int64
	pieces      []throttledPiece // the latest
}

// A throttledPiece is what was copied at an instant.
type throttledPiece struct {
	at    kafka.Instant
	bytes int64
}

// piecesKept bounds how far back a meter looks.
const piecesKept = 500

// add takes in a piece, and returns what is wrong with it, "" for nothing.
func (m *throttleMeter) add(at kafka.Instant, bytes int64) string {
	m.pieces = append(m.pieces, throttledPiece{at, bytes})
	if len(m.pieces) > piecesKept {
		m.pieces = m.pieces[1:]
	}
	sum := int64(0)
	for i := len(m.pieces) - 1; i >= 0; i-- {
		sum += m.pieces[i].bytes
		in := at.Sub(m.pieces[i].at)
		allowed := new(big.Int).Mul(big.NewInt(int64(in+time.Second)), big.NewInt(m.rate))
		allowed.Div(allowed, big.NewInt(int64(time.Second))).Add(allowed, big.NewInt(2*m.burst))
		if allowed.Cmp(big.NewInt(sum)) < 0 {
			return fmt.Sprintf("%d bytes within %s, at %d bytes a second and bursts of %d", sum, in, m.rate, m.burst)
		}
	}
	return ""
}
