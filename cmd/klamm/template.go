package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/client"
)

// formatHelp explains -f.
const formatHelp = `%t topic   %p partition   %o offset      %T timestamp in ms   %D timestamp as RFC 3339
%k key     %s, %v value   %h headers     %K length of key     %S length of value (-1: null)
%e leader epoch
%% percent \n newline     \t tab         \r return            \\ backslash   \xHH byte`

// A template writes records as -f asks.
type template struct{ parts []part }

// A part is text, or a verb.
type part struct {
	text string
	verb byte
}

const verbs = "tpoTDeksvKSh"

// parseTemplate reads what -f takes.
func parseTemplate(s string) (template, error) {
	var t template
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			n, err := unescape(&text, s[i+1:])
			if err != nil {
				return t, err
			}
			i += n
		case s[i] != '%':
			text.WriteByte(s[i])
		case i+1 == len(s) || !strings.Contains(verbs+"%", s[i+1:i+2]):
			return t, fmt.Errorf("format %q: %%%s is no verb; %%%% is a percent sign", s, s[i+1:min(i+2, len(s))])
		case s[i+1] == '%':
			text.WriteByte('%')
			i++
		default:
			t.parts = append(t.parts, part{text: text.String()}, part{verb: s[i+1]})
			text.Reset()
			i++
		}
	}
	t.parts = append(t.parts, part{text: text.String()})
	return t, nil
}

// unescape writes what follows a backslash, and returns how long it is.
func unescape(out *strings.Builder, s string) (int, error) {
	simple := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\'}
	if len(s) > 0 && simple[s[0]] != 0 {
		out.WriteByte(simple[s[0]])
		return 1, nil
	}
	if len(s) >= 3 && s[0] == 'x' {
		if b, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			out.WriteByte(byte(b))
			return 3, nil
		}
	}
	return 0, fmt.Errorf("format: \\%s is no escape; \\\\ is a backslash", s[:min(1, len(s))])
}

// append appends a record to dst.
func (t template) append(dst []byte, r client.Record) []byte {
	for _, p := range t.parts {
		dst = append(dst, p.text...)
		switch p.verb {
		case 't':
			dst = append(dst, r.Topic...)
		case 'p':
			dst = strconv.AppendInt(dst, int64(r.Partition), 10)
		case 'o':
			dst = strconv.AppendInt(dst, int64(r.Offset), 10)
		case 'T':
			dst = strconv.AppendInt(dst, int64(r.Timestamp), 10)
		case 'D':
			dst = time.UnixMilli(int64(r.Timestamp)).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
		case 'e':
			dst = strconv.AppendInt(dst, int64(r.Epoch), 10)
		case 'k':
			dst = append(dst, r.Key...)
		case 's', 'v':
			dst = append(dst, r.Value...)
		case 'K':
			dst = appendLength(dst, r.Key)
		case 'S':
			dst = appendLength(dst, r.Value)
		case 'h':
			dst = appendHeaders(dst, r)
		}
	}
	return dst
}

func appendLength(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "-1"...)
	}
	return strconv.AppendInt(dst, int64(len(b)), 10)
}

func appendHeaders(dst []byte, r client.Record) []byte {
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, h.Key...), '='), h.Value...)
	}
	return dst
}
