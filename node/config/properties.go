package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a properties file.
const (
	maxPropertiesSize  = 1 << 20
	maxPropertiesPairs = 10_000
)

// ParseProperties reads a .properties file as Kafka writes them: one setting a
// line, name and value parted by '=', ':' or space; comments begin with '#' or
// '!'; a backslash at the end of a line goes on with the next, and escapes
// \t \n \r \f, \uXXXX, and any other character for itself. It returns the pairs
// in the order of the file, or an error that names the line.
func ParseProperties(file []byte) ([]Pair, error) {
	if len(file) > maxPropertiesSize {
		return nil, fmt.Errorf("properties file of %d bytes: more than %d", len(file), maxPropertiesSize)
	}
	if !utf8.Valid(file) {
		return nil, errors.New("properties file: not UTF-8")
	}
	var pairs []Pair
	lines := logicalLines{rest: string(file)}
	for lines.next() {
		p, err := parseProperty(lines.text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines.first, err)
		}
		if len(pairs) == maxPropertiesPairs {
			return nil, fmt.Errorf("line %d: more than %d settings", lines.first, maxPropertiesPairs)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// logicalLines walks over lines that are joined where a backslash ends them.
type logicalLines struct {
	rest  string
	line  int    // lines consumed so far
	first int    // where text began, from 1
	text  string // the current logical line, without leading space
}

// next moves to the next line that is neither empty nor a comment.
func (l *logicalLines) next() bool {
	for l.rest != "" {
		l.first = l.line + 1
		line := l.cut()
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		var joined strings.Builder
		for goesOn(line) && l.rest != "" {
			joined.WriteString(line[:len(line)-1])
			line = l.cut()
		}
		joined.WriteString(line)
		l.text = joined.String()
		return true
	}
	return false
}

func (l *logicalLines) cut() string {
	l.line++
	end := strings.IndexAny(l.rest, "\r\n")
	line := l.rest
	switch {
	case end < 0:
		l.rest = ""
	case strings.HasPrefix(l.rest[end:], "\r\n"):
		line, l.rest = l.rest[:end], l.rest[end+2:]
	default:
		line, l.rest = l.rest[:end], l.rest[end+1:]
	}
	return strings.TrimLeft(line, " \t\f")
}

// goesOn reports whether a line ends in an odd number of backslashes.
func goesOn(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

func parseProperty(line string) (Pair, error) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++ // what follows is part of the name, a separator too
		}
		end++
	}
	end = min(end, len(line))
	rest := strings.TrimLeft(line[end:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	name, err := unescape(line[:end])
	if err != nil {
		return Pair{}, err
	}
	if name == "" {
		return Pair{}, errors.New("a value without a name")
	}
	value, err := unescape(rest)
	return Pair{Name: name, Value: value}, err
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break // a backslash that ends the file joins nothing
		}
		if s[i] != 'u' {
			b.WriteByte(unescaped(s[i]))
			continue
		}
		if len(s) < i+5 {
			return "", errors.New(`\u without four hexadecimal digits`)
		}
		code, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
		if err != nil {
			return "", errors.New(`\u without four hexadecimal digits`)
		}
		b.WriteRune(rune(code))
		i += 4
	}
	return b.String(), nil
}

func unescaped(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return c
}
