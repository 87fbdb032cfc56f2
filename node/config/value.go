package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Value is a setting's value, parsed once.
type Value struct {
	Text   string // as written, without surrounding space
	Number int64  // whole numbers; booleans as 0 and 1; doubles in millionths
}

// millionths make one.
const millionths = 1_000_000

func parseValue(t Type, text string) (Value, error) {
	v := Value{Text: strings.TrimSpace(text)}
	var err error
	switch t {
	case TypeBool:
		v.Number, err = parseBool(v.Text)
	case TypeInt:
		v.Number, err = parseWhole(v.Text, 32)
	case TypeLong:
		v.Number, err = parseWhole(v.Text, 64)
	case TypeDouble:
		v.Number, err = parseDecimal(v.Text)
	}
	return v, err
}

func parseBool(s string) (int64, error) {
	switch strings.ToLower(s) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	return 0, errors.New("neither true nor false")
}

func parseWhole(s string, bits int) (int64, error) {
	n, err := strconv.ParseInt(s, 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("not a whole number of %d bits", bits)
	}
	if err != nil {
		return 0, errors.New("not a whole number")
	}
	return n, nil
}

// parseDecimal reads a plain decimal number into millionths without going
// through a float, so that what follows from it is the same on every machine.
func parseDecimal(s string) (int64, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 6 {
		return 0, errors.New("more than six digits after the point")
	}
	digits := whole + fraction + strings.Repeat("0", 6-len(fraction))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.Trim(whole+fraction, "+-") == "" || strings.ContainsAny(fraction, "+-") {
		return 0, errors.New("not a decimal number")
	}
	return n, nil
}

// parseList splits at commas and drops what is empty, as Kafka does.
func parseList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func atLeast(low int64) func(Value) error { return between(low, math.MaxInt64) }

func between(low, high int64) func(Value) error {
	return func(v Value) error {
		if v.Number < low {
			return fmt.Errorf("less than %d", low)
		}
		if v.Number > high {
			return fmt.Errorf("more than %d", high)
		}
		return nil
	}
}

// share accepts decimals from 0 to 1.
func share(v Value) error {
	if v.Number < 0 || v.Number > millionths {
		return errors.New("not between 0 and 1")
	}
	return nil
}

func oneOf(allowed ...string) func(Value) error {
	return func(v Value) error {
		if slices.Contains(allowed, v.Text) {
			return nil
		}
		return fmt.Errorf("not one of %s", strings.Join(allowed, ", "))
	}
}

// someOf accepts lists of distinct allowed items, none of them missing.
func someOf(allowed ...string) func(Value) error {
	return func(v Value) error {
		items := parseList(v.Text)
		if len(items) == 0 {
			return errors.New("an empty list")
		}
		for i, item := range items {
			if !slices.Contains(allowed, item) {
				return fmt.Errorf("%s is not one of %s", shorten(item), strings.Join(allowed, ", "))
			}
			if slices.Contains(items[:i], item) {
				return fmt.Errorf("%s stands there twice", item)
			}
		}
		return nil
	}
}

// An Int is a setting whose value is a whole number.
type Int struct{ *Setting }

// In returns the value in a view.
func (s Int) In(v *View) int64 { return v.value(s.Setting).Number }

// A Bool is a setting that is on or off.
type Bool struct{ *Setting }

// In returns the value in a view.
func (s Bool) In(v *View) bool { return v.value(s.Setting).Number != 0 }

// A Text is a setting whose value is a word.
type Text struct{ *Setting }

// In returns the value in a view; "" if it is optional and not set.
func (s Text) In(v *View) string { return v.value(s.Setting).Text }

// A List is a setting with several words.
type List struct{ *Setting }

// In returns the items in a view.
func (s List) In(v *View) []string { return parseList(v.value(s.Setting).Text) }

// Has reports whether the list in a view has the item.
func (s List) Has(v *View, item string) bool { return slices.Contains(s.In(v), item) }

// Millis is a setting in milliseconds.
type Millis struct{ *Setting }

// In returns the number of milliseconds in a view.
func (s Millis) In(v *View) int64 { return v.value(s.Setting).Number }

// Duration returns the value as a duration, the longest one if it is longer.
func (s Millis) Duration(v *View) time.Duration {
	ms := s.In(v)
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// A Ratio is a setting between 0 and 1.
type Ratio struct{ *Setting }

// Millionths returns the value in a view, times a million.
func (s Ratio) Millionths(v *View) int64 { return v.value(s.Setting).Number }
