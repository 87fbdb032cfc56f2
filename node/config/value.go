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
	Text   string // in its plainest form: true for TRUE, 7 for 007
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
		v.Text = strings.ToLower(v.Text)
	case TypeInt:
		v.Number, err = parseWhole(v.Text, 32)
		v.Text = strconv.FormatInt(v.Number, 10)
	case TypeLong:
		v.Number, err = parseWhole(v.Text, 64)
		v.Text = strconv.FormatInt(v.Number, 10)
	case TypeDouble:
		v.Number, err = parseDecimal(v.Text)
	case TypeList:
		v.Text = strings.Join(parseList(v.Text), ",")
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

// parseDecimal reads a decimal number, as Java writes them, into millionths
// without going through a float, so that what follows from it is the same on
// every machine. What is too large for them becomes the largest there is.
func parseDecimal(s string) (int64, error) {
	s, exponent, err := cutExponent(s)
	if err != nil {
		return 0, err
	}
	sign := int64(1)
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		s, sign = rest, -1
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errors.New("not a decimal number")
	}
	n, err := shifted(strings.TrimLeft(digits, "0"), exponent+6-len(fraction))
	return sign * n, err
}

// cutExponent splits 1.5E3 into 1.5 and 3.
func cutExponent(s string) (mantissa string, exponent int, err error) {
	at := strings.IndexAny(s, "eE")
	if at < 0 {
		return s, 0, nil
	}
	if exponent, err = strconv.Atoi(s[at+1:]); err != nil || exponent < -400 || exponent > 400 {
		return "", 0, errors.New("not a decimal number")
	}
	return s[:at], exponent, nil
}

// shifted returns the number that digits make with so many zeros behind them, or
// without so many of their last digits, which have to be zeros.
func shifted(digits string, zeros int) (int64, error) {
	if zeros < 0 {
		kept := digits[:max(len(digits)+zeros, 0)]
		if strings.Trim(digits[len(kept):], "0") != "" {
			return 0, errors.New("more than six digits after the point")
		}
		digits, zeros = kept, 0
	}
	if digits == "" {
		return 0, nil
	}
	if len(digits)+zeros > 19 {
		return math.MaxInt64, nil
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", zeros), 10, 64)
	if err != nil { // it can only be too large
		return math.MaxInt64, nil
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

// anyOf accepts lists of distinct allowed items, the empty one too.
func anyOf(allowed ...string) func(Value) error {
	return func(v Value) error {
		items := parseList(v.Text)
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

// compressions are the values of compression.type.
var compressions = []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}

func gzipLevel(v Value) error {
	if v.Number == -1 {
		return nil
	}
	return between(1, 9)(v)
}

// notZero accepts what is more than zero, and -1 for no limit.
func notZero(v Value) error {
	if v.Number == 0 || v.Number < -1 {
		return errors.New("neither -1 nor more than 0")
	}
	return nil
}

// onlyFalse accepts what is so in any case.
func onlyFalse(v Value) error {
	if v.Number != 0 {
		return errors.New("klamm does not do that")
	}
	return nil
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

// A Rate is a setting in units a second.
type Rate struct{ *Setting }

// In returns the whole units a second in a view; math.MaxInt64 means no limit.
func (s Rate) In(v *View) int64 {
	n := v.value(s.Setting).Number
	if n == math.MaxInt64 {
		return n
	}
	return n / millionths
}
