package record

import (
	"github.com/klammlog/klamm/node/kafka"
)

// quickly is checkRecords for records as most are, without its words: a third of
// the time that a batch of small records takes from socket to file would go there.
// It returns the largest timestamp, or ok false if anything is wrong, or not usual;
// then checkRecords has to say.
func (b Batch) quickly(l Limits) (largest kafka.Timestamp, ok bool) {
	p, count := b.payload(), b.Count()
	if b.TimestampType() == LogAppendTime || count <= 0 {
		return 0, false
	}
	var earliest, latest int64 // from the first timestamp on
	at := 0
	for i := range count {
		size, next := brief(p, at)
		end := next + size>>1
		if next == ended || size&1 != 0 || end > len(p) {
			return 0, false
		}
		time, next := brief(p, next+1) // past the attributes
		delta, next := brief(p, next)
		if next == ended || delta != int(i)<<1 {
			return 0, false
		}
		since := int64(time>>1) ^ -int64(time&1)
		if i == 0 {
			earliest, latest = since, since
		}
		earliest, latest = min(earliest, since), max(latest, since)
		if next = skipKeyAndValue(p[:end], next, l.Keys); next != end {
			return 0, false
		}
		at = end
	}
	base := b.FirstTimestamp()
	largest = base + kafka.Timestamp(latest)
	return largest, at == len(p) && l.allows(base+kafka.Timestamp(earliest)) && l.allows(largest) && base+kafka.Timestamp(earliest) >= 0
}

// skipKeyAndValue returns the position after a key, a value and the count of no
// headers, or ended.
func skipKeyAndValue(p []byte, at int, keys Keys) int {
	key, at := brief(p, at)
	if key&1 != 0 && (key != missing || keys == KeysRequired) || at == ended {
		return ended
	}
	value, at := brief(p, at+key>>1)
	if value&1 != 0 && value != missing {
		return ended
	}
	if at != ended {
		at += value >> 1
	}
	if uint(at) >= uint(len(p)) || p[at] != 0 {
		return ended
	}
	return at + 1
}

// missing is the zigzagged length of what is null. Halved, it is no bytes.
const missing = 1

// brief reads an integer of one or two bytes, zigzagged as it is, and returns the
// position after it; ended if it is longer, or not there with a byte to follow.
// Nothing of a record but its very last byte has none to follow. Reading on
// from ended stays there.
func brief(b []byte, at int) (int, int) {
	if at < 0 || at+1 >= len(b) {
		return 0, ended
	}
	c, d := int(b[at]), int(b[at+1])
	if c < 0x80 {
		return c, at + 1
	}
	if d < 0x80 {
		return c&0x7f | d<<7, at + 2
	}
	return 0, ended
}
