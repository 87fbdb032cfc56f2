package disksim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Fault is one thing that goes wrong with a disk, from an instant on. It prints
// as one line and is read back from it.
type Fault struct {
	Kind  FaultKind
	Disk  string        // the disk's name
	Path  string        // which files: a name in which * stands for anything
	At    kafka.Instant // when it begins
	For   time.Duration // how long it lasts; 0: until Heal
	Times int64         // how often it strikes at most; 0: no limit
	OneIn int64         // it strikes one in so many matching operations; 0 and 1: each
	N     int64         // what the kind says
}

// String prints the fault as a line that ParseFault reads back.
func (f Fault) String() string {
	return fmt.Sprintf("%s disk=%s path=%s at=%s for=%s times=%d onein=%d n=%d",
		f.Kind, f.Disk, f.Path, time.Duration(f.At), f.For, f.Times, f.OneIn, f.N)
}

// ParseFault reads what String prints. Parameters may be left out, but for the
// disk.
func ParseFault(line string) (Fault, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault %q: empty", line)
	}
	f := Fault{Kind: FaultKind(words[0]), Path: "*"}
	if f.Kind.About() == "" {
		return Fault{}, fmt.Errorf("fault %q: no kind %q", line, words[0])
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if err := f.set(key, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", line, err)
		}
	}
	if f.Disk == "" {
		return Fault{}, fmt.Errorf("fault %q: no disk", line)
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	var d time.Duration
	switch key {
	case "disk":
		f.Disk = value
	case "path":
		f.Path = value
	case "at":
		d, err = time.ParseDuration(value)
		f.At = kafka.Instant(d)
	case "for":
		f.For, err = time.ParseDuration(value)
	case "times":
		f.Times, err = strconv.ParseInt(value, 10, 64)
	case "onein":
		f.OneIn, err = strconv.ParseInt(value, 10, 64)
	case "n":
		f.N, err = strconv.ParseInt(value, 10, 64)
	default:
		err = fmt.Errorf("no parameter %q", key)
	}
	return err
}

// DrawFault draws a fault of that kind on a disk, beginning before end.
func DrawFault(kind FaultKind, disk string, end kafka.Instant, stream *rand.Rand) Fault {
	f := Fault{Kind: kind, Disk: disk, Path: "*", At: kafka.Instant(stream.Int64N(int64(max(end, 1))))}
	f.For = time.Millisecond + time.Duration(stream.Int64N(int64(5*time.Second)))
	switch kind {
	case FaultShortRead, FaultShortWrite:
		f.OneIn = 1 + stream.Int64N(8)
	case FaultReadError, FaultWriteError, FaultMetaError, FaultSyncDirError, FaultTooManyFiles:
		f.Times = stream.Int64N(3) // 0 is for as long as it lasts
	case FaultSyncError, FaultSyncKeep, FaultSyncRevert, FaultSyncLate, FaultSyncOthers,
		FaultSyncNoSpace, FaultShutdown, FaultMisdirect, FaultLostWrite:
		f.Times = 1
	case FaultMisread:
		f.Times, f.OneIn = 1+stream.Int64N(2), 1+stream.Int64N(4)
	case FaultFull:
		// Mostly little: a workload of a few hundred kilobytes has to feel it.
		f.N = stream.Int64N(1 << (8 + stream.IntN(12)))
	case FaultSlow:
		f.N = 2 + stream.Int64N(200)
	case FaultStall:
		f.For = 10*time.Millisecond + time.Duration(stream.Int64N(int64(40*time.Second)))
	}
	return f
}

// matches reports whether a name fits a pattern in which * stands for any
// characters.
func matches(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	for rest := name[len(head):]; ; rest = rest[1:] {
		if matches(tail, rest) {
			return true
		}
		if rest == "" {
			return false
		}
	}
}
