package netsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// anyone cannot be a host's name: it is kept for text.
const anyone = "*"

// String prints a fault as one line:
//
//	one-way at=3.2s for=10s from=n1,n2 to=n3
func (f Fault) String() string {
	if f.Family >= families {
		return f.Family.String()
	}
	s := specs[f.Family]
	var b strings.Builder
	b.WriteString(s.name)
	put := func(key, value string) { fmt.Fprintf(&b, " %s=%s", key, value) }
	put("at", time.Duration(f.At).String())
	if f.For > 0 {
		put("for", f.For.String())
	}
	if len(f.A) > 0 {
		put(s.a, strings.Join(f.A, ","))
	}
	if len(f.B) > 0 {
		put(s.b, strings.Join(f.B, ","))
	}
	if f.Via != "" {
		put("via", f.Via)
	}
	for _, p := range parameters {
		if s.fields&p.field != 0 {
			put(p.key, p.print(&f))
		}
	}
	return b.String()
}

// A parameter is how one field is printed and parsed.
type parameter struct {
	key   string
	field field
	print func(*Fault) string
	parse func(*Fault, string) error
}

var parameters = []parameter{
	durationParameter("base", base, func(f *Fault) *time.Duration { return &f.Base }),
	durationParameter("jitter", jitter, func(f *Fault) *time.Duration { return &f.Jitter }),
	{"share", share, func(f *Fault) string { return f.Share.String() }, parseShare},
	durationParameter("tail", tail, func(f *Fault) *time.Duration { return &f.Tail }),
	numberParameter("rate", rate, func(f *Fault) *int64 { return &f.Rate }),
	numberParameter("size", size, func(f *Fault) *int64 { return &f.Size }),
}

func durationParameter(key string, x field, in func(*Fault) *time.Duration) parameter {
	return parameter{key, x,
		func(f *Fault) string { return in(f).String() },
		func(f *Fault, value string) (err error) {
			*in(f), err = time.ParseDuration(value)
			return err
		}}
}

func numberParameter(key string, x field, in func(*Fault) *int64) parameter {
	return parameter{key, x,
		func(f *Fault) string { return strconv.FormatInt(*in(f), 10) },
		func(f *Fault, value string) (err error) {
			*in(f), err = strconv.ParseInt(value, 10, 64)
			return err
		}}
}

func parseShare(f *Fault, value string) error {
	num, den, found := strings.Cut(value, "/")
	if !found {
		return fmt.Errorf("want two numbers as in 1/20")
	}
	n, err := strconv.ParseUint(num, 10, 32)
	if err != nil {
		return err
	}
	d, err := strconv.ParseUint(den, 10, 32)
	f.Share = Ratio{uint32(n), uint32(d)}
	return err
}

// ParseFault reads the line that String writes. The order of its parts after the
// family does not matter. The fault passes Check.
func ParseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault %q: want a family", text)
	}
	f := Fault{Family: families}
	for _, family := range Families() {
		if family.String() == words[0] {
			f.Family = family
		}
	}
	if f.Family == families {
		return Fault{}, fmt.Errorf("fault %q: no family %q", text, words[0])
	}
	for i, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if repeated(words[1:i+1], key) {
			return Fault{}, fmt.Errorf("fault %q: %s is there twice", text, key)
		}
		if err := f.parsePart(key, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %s: %w", text, word, err)
		}
	}
	if err := f.Check(); err != nil {
		return Fault{}, fmt.Errorf("%q: %w", text, err)
	}
	return f, nil
}

func repeated(words []string, key string) bool {
	for _, w := range words {
		if strings.HasPrefix(w, key+"=") {
			return true
		}
	}
	return false
}

func (f *Fault) parsePart(key, value string) (err error) {
	s := specs[f.Family]
	switch key {
	case "":
		return fmt.Errorf("want key=value")
	case "at":
		at, err := time.ParseDuration(value)
		f.At = kafka.Instant(at)
		return err
	case "for":
		f.For, err = time.ParseDuration(value)
		return err
	case "via":
		f.Via = value
		return nil
	case s.a:
		f.A = strings.Split(value, ",")
		return nil
	case s.b:
		f.B = strings.Split(value, ",")
		return nil
	}
	for _, p := range parameters {
		if p.key == key && s.fields&p.field != 0 {
			return p.parse(f, value)
		}
	}
	return fmt.Errorf("%s has no %s", s.name, key)
}

// MarshalText writes what String does, for reports and scenario files.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (f *Fault) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFault(string(text))
	return err
}

// MarshalText writes the family's name.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }
