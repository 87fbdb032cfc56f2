package history

import "errors"

// A content is what an event tells of a record: its bytes, or a digest of them
// that the writer made; and perhaps an identity.
type content struct {
	key, value []byte // nil: null
	headers    []Header
	record     RecordID
	digest     Digest // of the whole record
	keyDigest  Digest
	tombstone  bool
}

func (c *content) reset() { *c = content{headers: c.headers[:0]} }

// take reads the value of one of its fields.
func (c *content) take(s *scanner, f field) {
	switch f {
	case fKey:
		s.once(&c.key, s.textOrNull())
	case fKeyBytes:
		s.once(&c.key, s.bytes())
	case fValue:
		s.once(&c.value, s.textOrNull())
	case fValueBytes:
		s.once(&c.value, s.bytes())
	case fHeaders:
		c.readHeaders(s)
	case fRecord:
		c.record = RecordID(s.natural())
	case fTombstone:
		c.tombstone = s.boolean()
	case fDigest:
		if err := c.digest.UnmarshalText(s.text()); err != nil {
			s.fail("%v", err)
		}
	default:
		s.fail("%v is no field of a record", f)
	}
}

// textOrNull reads a string, or nil.
func (s *scanner) textOrNull() []byte {
	if s.null() {
		return nil
	}
	return s.text()
}

// once sets what may be told as text or as base64. Null beside base64 is how
// 'klamm consume -o json' prints bytes.
func (s *scanner) once(to *[]byte, b []byte) {
	switch {
	case b == nil:
	case *to != nil:
		s.fail("text and base64 of the same bytes: tell one")
	default:
		*to = b
	}
}

func (c *content) readHeaders(s *scanner) {
	s.array(func() {
		var h Header
		var has field
		s.object(func(name []byte) {
			f := fieldOf(name)
			if f == 0 || has&f != 0 {
				s.fail("a header has a key and a value, once, and no %q", name)
			}
			has |= f
			switch f {
			case fKey:
				h.Key = string(s.text())
			case fValue:
				s.once(&h.Value, s.textOrNull())
			case fValueBytes:
				s.once(&h.Value, s.bytes())
			default:
				s.fail("a header has a key and a value, and no %q", name)
			}
		})
		if has&fKey == 0 || has&(fValue|fValueBytes) == 0 {
			s.fail("a header needs a key, and a value or value_base64")
		}
		c.headers = append(c.headers, h)
	})
}

// finish computes the digests, of fields that has tells.
func (c *content) finish(has field) error {
	switch {
	case has&fDigest != 0 && has&(fValue|fValueBytes|fHeaders) != 0:
		return errors.New("a digest stands for value and headers: tell it, or them")
	case has&(fDigest|fValue|fValueBytes) == 0:
		return errors.New("a record needs a value (perhaps null), value_base64, or a digest")
	case has&fRecord != 0 && c.record == NoRecord:
		return errors.New("record 0: want a number from 1 up; leave it out if the record carries none")
	}
	c.keyDigest = KeyDigest(c.key)
	if has&fDigest == 0 {
		c.digest = DigestOf(c.key, c.value, c.headers)
		if c.tombstone = c.value == nil; has&fTombstone != 0 {
			return errors.New("tombstone is for a digest: a null value is a tombstone")
		}
	}
	return nil
}
