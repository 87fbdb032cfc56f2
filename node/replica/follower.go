package replica

import "github.com/klammlog/klamm/node/kafka"

// Epochs knows which leader epoch wrote which part of a log.
type Epochs interface {
	// Latest returns the last epoch that wrote, or kafka.NoLeaderEpoch.
	Latest() kafka.LeaderEpoch

	// EndOffsetFor returns the largest epoch that is not larger than the one asked
	// for, and where it ends; if it is smaller than all, itself and where the first
	// one starts.
	EndOffsetFor(epoch kafka.LeaderEpoch, end kafka.Offset) (kafka.LeaderEpoch, kafka.Offset)
}

// A Divergence is how a leader tells a follower, or a consumer, that what it has is
// not what the leader has: the largest epoch up to the one it named, and where that
// ends in the leader's log (KIP-595).
type Divergence struct {
	Epoch kafka.LeaderEpoch
	End   kafka.Offset
}

// EpochEnd answers a replica that asks where an epoch ends (KIP-101, KIP-279): the
// largest epoch up to the one asked for, and its end. The leader's own epoch counts
// from the moment it was elected, though it has written nothing: what a follower
// holds of epochs in between was written by leaders whose records this one does not
// have (KAFKA-7415). An epoch that is yet to come has no answer:
// kafka.NoLeaderEpoch.
func (l *Leader) EpochEnd(log Epochs, asked kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	latest := log.Latest()
	switch {
	case asked < 0 || asked > l.epoch:
		return kafka.NoLeaderEpoch, kafka.NoOffset
	case asked == l.epoch:
		return asked, l.own.End
	case latest < 0:
		return asked, l.began // nobody has written here
	case asked >= latest:
		return latest, l.began
	}
	return log.EndOffsetFor(asked, l.own.End)
}

// Diverges reports whether a log that ends at from with a record of an epoch is not
// a beginning of the leader's, and where to look for the point at which they part.
// An epoch that is yet to come does not diverge; there is kafka.NoLeaderEpoch.
func (l *Leader) Diverges(log Epochs, last kafka.LeaderEpoch, from kafka.Offset) (Divergence, bool) {
	epoch, end := l.EpochEnd(log, last)
	diverges := epoch != kafka.NoLeaderEpoch && (epoch < last || end < from)
	return Divergence{Epoch: epoch, End: end}, diverges
}

// TruncateTo returns where a follower cuts its log that ends at an offset, when the
// leader has said that they diverge: behind what both have of the largest epoch that
// both may know. If the follower does not have the leader's epoch it cuts all that
// is younger, and asks again (KIP-279). The result is below end unless the leader
// contradicts itself; it may be below the log's start.
func TruncateTo(mine Epochs, end kafka.Offset, d Divergence) kafka.Offset {
	if d.Epoch > mine.Latest() {
		return min(d.End, end) // it has no records with an epoch, or the leader errs
	}
	epoch, upTo := mine.EndOffsetFor(d.Epoch, end)
	if epoch < d.Epoch {
		return min(upTo, end)
	}
	return min(upTo, d.End, end)
}

// CutAll reports whether nothing is to be left of a follower's log that is to be cut
// at an offset, and where it begins again. Of an epoch that its log has lost the leader
// says that it ended where its log starts: what the follower has below that may be of
// another lineage, batches of idempotent producers with it, and nobody can tell.
func CutAll(to, start, leaderStart kafka.Offset) (at kafka.Offset, all bool) {
	if to < start || to <= leaderStart {
		return max(to, leaderStart), true
	}
	return to, false
}

// OutOfRange decides what a follower does that asked for what the leader does not
// have, and was not told of a divergence. It looks at the one answer only: a second
// question would be answered later, and the leader's log moves (KAFKA-2143). If the
// leader's log starts above the follower's end, or the follower has nothing, it
// begins anew at the leader's start. In any other case it keeps what it has and asks
// again.
func OutOfRange(start, end, leaderStart kafka.Offset) (at kafka.Offset, anew bool) {
	if leaderStart > end || start == end && leaderStart != end && leaderStart >= 0 {
		return leaderStart, true
	}
	return kafka.NoOffset, false
}

// Learned returns the high watermark of a follower that was told its leader's, and
// whose log up to held is a beginning of the leader's. It does not go back.
func Learned(high, leaders, held kafka.Offset) kafka.Offset {
	return max(high, min(leaders, held))
}
