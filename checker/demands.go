package checker

import (
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// Flush is what it means, on one machine, that a broker holds a record.
type Flush string

const (
	FlushAck Flush = "ack" // it is on disk; the zero value "" means this
	FlushOS  Flush = "os"  // it is in the page cache
)

// PowerLoss says which page caches a run may have lost.
type PowerLoss string

const (
	NoPowerLoss         PowerLoss = "none"       // the zero value "" means this
	SurvivablePowerLoss PowerLoss = "survivable" // at every time some in-sync replica kept its page cache
	AnyPowerLoss        PowerLoss = "any"
)

// Demands say what a run was promised, and so what may be held against it. The
// zero value is the strictest: one leader for ever, nothing removed, no excuse.
type Demands struct {
	Flush     Flush     `json:"flush,omitempty"`
	PowerLoss PowerLoss `json:"power_loss,omitempty"`

	// Leaders: another leader than the first may have been elected for some
	// partition. Then acks=1 promises nothing.
	Leaders bool `json:"leaders,omitempty"`

	// Unclean: a replica outside the in-sync set may have been elected.
	Unclean bool `json:"unclean,omitempty"`

	// Marked: every election of a leader other than the one before is a mark of
	// its partition: history.Election, or history.UncleanLeader with the offset
	// where the new leader's log parts from the old one's, which comes when
	// nobody acts as an older leader any more.
	Marked bool `json:"marked,omitempty"`

	// Followers: polls other than those of a read-back may have been answered by
	// other replicas than the leader (KIP-392), and each replica compacts by itself.
	Followers bool `json:"followers,omitempty"`

	// Unrestricted: faults destroyed acknowledged data beyond what replication
	// survives (all replicas rotten, a disk that lied everywhere).
	Unrestricted bool `json:"unrestricted,omitempty"`

	// Retention: the start of every log may move, anywhere. Where only some
	// may, or only so far, a history.PrefixMayGo mark says it.
	Retention bool `json:"retention,omitempty"`

	// Compaction: a record may go when a later one has its key, a tombstone at
	// any time.
	Compaction bool `json:"compaction,omitempty"`

	// With compaction: how long a tombstone stays after it was sent, and how long
	// a record after its timestamp; 0 promises neither. WallZero is what the
	// brokers' clocks showed at most when the history's instant was 0; they ran
	// true.
	DeleteRetention  time.Duration     `json:"delete_retention_ns,omitempty"`
	MinCompactionLag time.Duration     `json:"min_compaction_lag_ns,omitempty"`
	WallZero         history.Timestamp `json:"wall_zero,omitempty"`

	// Transactions: offsets may be taken by control records, and records may be
	// hidden from read_committed.
	Transactions bool `json:"transactions,omitempty"`
}

// loss returns why records that every in-sync replica held may be gone, or "".
func (d *Demands) loss() string {
	switch {
	case d.Unclean:
		return "unclean elections were allowed: records may be lost"
	case d.Unrestricted:
		return "faults may have destroyed every copy of a record"
	case d.Flush == FlushOS && d.PowerLoss == AnyPowerLoss:
		return "log.flush=os promises nothing when power is lost"
	}
	return ""
}

// keeps reports whether the record of this send was promised to stay, and is
// committed.
func (d *Demands) keeps(s *history.Send) bool {
	return s.Outcome == history.OK && d.promises(s.Acks)
}

// promises reports whether an acknowledgement at this level promises that the
// record is committed. That min.insync.replicas was met is what acks=all says.
func (d *Demands) promises(a history.Acks) bool {
	return d.loss() == "" && (a == history.AcksAll || a == history.AcksLeader && !d.Leaders && d.leaderKeeps())
}

// leaderKeeps reports whether a leader keeps what it alone has.
func (d *Demands) leaderKeeps() bool {
	return d.loss() == "" && (d.Flush != FlushOS || !d.losesPower())
}

func (d *Demands) losesPower() bool {
	return d.PowerLoss == SurvivablePowerLoss || d.PowerLoss == AnyPowerLoss
}

// sparse reports whether a partition may have offsets that nobody ever sees.
func (d *Demands) sparse() bool { return d.Compaction || d.Transactions }

// never waives nothing: the guarantee holds for every run.
func never(*Demands) string { return "" }

// waivedByLoss waives what makes sense only while what was committed stays.
func waivedByLoss(d *Demands) string { return d.loss() }
