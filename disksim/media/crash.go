package media

import (
	"fmt"
	"strconv"
	"strings"
)

// A Profile says in which order effects reach the disk by themselves.
type Profile uint8

// The profiles; the package comment says what each allows.
const (
	Posix Profile = iota
	Ext4Ordered
	XFSLike
	Prefix
)

var profileNames = [...]string{"posix", "ext4", "xfs", "prefix"}

func (p Profile) String() string { return profileNames[p] }

// ParseProfile reads what String writes.
func ParseProfile(s string) (Profile, error) {
	for i, name := range profileNames {
		if s == name {
			return Profile(i), nil
		}
	}
	return 0, fmt.Errorf("profile %q: want one of %s", s, strings.Join(profileNames[:], ", "))
}

// journaled reports whether metadata survives as a prefix.
func (p Profile) journaled() bool { return p == Ext4Ordered || p == XFSLike }

// Modifiers make a power loss worse. They combine with |.
type Modifiers uint8

// The modifiers.
const (
	// HardCrash: of a page that is torn a sector may be garbage or unreadable.
	HardCrash Modifiers = 1 << iota

	// StaleTail: where a file grew and the new page is missing, bytes of a file
	// that was removed earlier show instead of zeros.
	StaleTail
)

var modifierNames = [...]string{"hard", "stale"}

// A Crash is one outcome of a power loss: what is kept of each pending effect,
// in order of issue. It prints as one line, is read back from it, and gives
// the same image again on the same volume.
type Crash struct {
	Profile   Profile
	Modifiers Modifiers
	Salt      uint64  // what the modifiers draw from
	Kept      []uint8 // of a page its sectors, of a rename its names, else 0 or 1
}

// String returns the line: "ext4+stale salt=7 kept=1,ff,0".
func (c Crash) String() string {
	var b strings.Builder
	b.WriteString(c.Profile.String())
	for i, name := range modifierNames {
		if c.Modifiers&(1<<i) != 0 {
			b.WriteString("+" + name)
		}
	}
	fmt.Fprintf(&b, " salt=%d kept=", c.Salt)
	for i, k := range c.Kept {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(k), 16))
	}
	return b.String()
}

// ParseCrash reads what String writes.
func ParseCrash(line string) (Crash, error) {
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return Crash{}, fmt.Errorf("crash %q: want three words", line)
	}
	var c Crash
	var err error
	if c.Profile, c.Modifiers, err = parseKind(words[0]); err != nil {
		return Crash{}, err
	}
	salt, ok1 := strings.CutPrefix(words[1], "salt=")
	kept, ok2 := strings.CutPrefix(words[2], "kept=")
	if !ok1 || !ok2 {
		return Crash{}, fmt.Errorf("crash %q: want salt= and kept=", line)
	}
	if c.Salt, err = strconv.ParseUint(salt, 10, 64); err != nil {
		return Crash{}, fmt.Errorf("crash %q: %w", line, err)
	}
	for _, word := range strings.FieldsFunc(kept, func(r rune) bool { return r == ',' }) {
		k, err := strconv.ParseUint(word, 16, 8)
		if err != nil {
			return Crash{}, fmt.Errorf("crash %q: %w", line, err)
		}
		c.Kept = append(c.Kept, uint8(k))
	}
	return c, nil
}

func parseKind(word string) (Profile, Modifiers, error) {
	names := strings.Split(word, "+")
	p, err := ParseProfile(names[0])
	if err != nil {
		return 0, 0, err
	}
	var m Modifiers
	for _, name := range names[1:] {
		bit := Modifiers(0)
		for i, known := range modifierNames {
			if name == known {
				bit = 1 << i
			}
		}
		if bit == 0 {
			return 0, 0, fmt.Errorf("modifier %q: want one of %s", name, strings.Join(modifierNames[:], ", "))
		}
		m |= bit
	}
	return p, m, nil
}
