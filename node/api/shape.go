package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/internal/assert"
)

// A shape says which fields a request has, so that its bytes can be walked before
// they are decoded. The decoder trusts what the bytes claim: it makes room for as
// many items as a list says it has, and goes around for as many tagged fields as
// there shall be, four billion perhaps, though there is not one.
//
// A shape is written as one word for each field, in the order of the encoding:
//
//	1 2 4 8 16    a field of so many bytes
//	s             text, which may be null
//	(4) (s)       a list of such fields
//	[ ... ]       a list of structures, which end in tagged fields
//	{ ... }       a structure that may be null
//	#1{ ... }     what is in the tagged field of that number, if it is a structure
//	#1=(4)        or if it is a list
//	@4:s @0-3:s   a field of the versions from 4 on, or from 0 to 3
type shape []shapeField

type shapeField struct {
	kind        shapeKind
	size        int // of shapeFixed; of each item of shapeItems, 0 for texts
	tag         uint32
	bare        bool  // what is in the tagged field is no structure
	first, last int16 // versions
	of          shape
}

type shapeKind uint8

const (
	shapeFixed shapeKind = iota
	shapeText
	shapeItems
	shapeList
	shapeMaybe
	shapeTagged
)

// parseShape reads what is written above.
func parseShape(text string) shape {
	words := strings.Fields(text)
	s, rest := parseShapeUntil(words, "")
	assert.That(len(rest) == 0, "shape %q: %q is left over", text, rest)
	return s
}

func parseShapeUntil(words []string, end string) (shape, []string) {
	var s shape
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == end {
			return s, words
		}
		f := shapeField{last: 1<<15 - 1}
		if versions, rest, ok := strings.Cut(word, ":"); ok {
			f.versions(strings.TrimPrefix(versions, "@"))
			word = rest
		}
		if tag, ok := strings.CutPrefix(word, "#"); ok {
			tag, list, bare := strings.Cut(strings.TrimSuffix(tag, "{"), "=")
			f.tag, f.bare, word = uint32(number(tag)), bare, "#{"
			if bare {
				f.of, word = parseShape(list), "#="
			}
		}
		switch word {
		case "s":
			f.kind = shapeText
		case "(s)":
			f.kind = shapeItems
		case "[":
			f.kind = shapeList
			f.of, words = parseShapeUntil(words, "]")
		case "{":
			f.kind = shapeMaybe
			f.of, words = parseShapeUntil(words, "}")
		case "#=":
			f.kind = shapeTagged
		case "#{":
			f.kind = shapeTagged
			f.of, words = parseShapeUntil(words, "}")
		default:
			f.size = number(strings.Trim(word, "()"))
			if word[0] == '(' {
				f.kind = shapeItems
			}
		}
		s = append(s, f)
	}
	assert.That(end == "", "shape: no %s", end)
	return s, nil
}

func (f *shapeField) versions(text string) {
	first, last, ranged := strings.Cut(text, "-")
	f.first = int16(number(first))
	if ranged {
		f.last = int16(number(last))
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	assert.NoError(err)
	return n
}

// What decoded things take, about, and rather more than less.
const (
	weightOfText     = 32
	weightOfList     = 24
	weightOfStruct   = 16
	weightOfFirstTag = 400 // a map
	weightOfTag      = 80
)

// decodedTimes is how many times its size a request may take once it is decoded.
// What is made of honest things stays far below; what consists of nothing but empty
// names does not.
const decodedTimes = 32

// freeWeight is what a request may take however small it is.
const freeWeight = 4 << 10

// maxItems bounds the items of all lists of a request: each of them is answered
// for, with an error and its message perhaps, many times its size.
const maxItems = 1 << 17

// check walks a request's body. It fails if the body ends before the request does,
// or if it would take more memory than its size allows. What lies behind the
// request does not matter.
func (s shape) check(body []byte, version int16, as encoding) error {
	w := walker{fields: fields{b: body}, version: version, flexible: as == flexible}
	w.most = freeWeight + decodedTimes*int64(len(body))
	w.structure(s)
	switch {
	case w.items > maxItems:
		return fmt.Errorf("%w: more than %d items", errFrame, maxItems)
	case w.weight > w.most:
		return fmt.Errorf("%w: %d bytes that would take more than %d times their size", errFrame, len(body), decodedTimes)
	case w.bad:
		return fmt.Errorf("%w: cut short", errFrame)
	}
	return nil
}

// An encoding is how lengths are written.
type encoding bool

const (
	classic  encoding = false // in 16 and 32 bits
	flexible encoding = true  // as varints, and structures end in tagged fields (KIP-482)
)

// A walker passes over fields and adds up what they take.
type walker struct {
	fields
	version      int16
	flexible     bool
	weight, most int64
	items        int
}

// add adds to the weight; what is too heavy is bad.
func (w *walker) add(n int) {
	if w.weight += int64(n); w.weight > w.most {
		w.bad = true
	}
}

// structure passes over a structure with its tagged fields.
func (w *walker) structure(s shape) {
	w.add(weightOfStruct)
	for i := range s {
		if f := &s[i]; w.version >= f.first && w.version <= f.last {
			w.field(f)
		}
		if w.bad {
			return
		}
	}
	if w.flexible {
		w.tagged(s)
	}
}

func (w *walker) field(f *shapeField) {
	switch f.kind {
	case shapeFixed:
		w.take(f.size)
		w.add((f.size + 7) &^ 7)
	case shapeText:
		w.text()
	case shapeItems:
		w.add(weightOfList)
		n := w.count()
		if f.size > 0 {
			w.take(n * f.size)
			w.add(n * f.size)
			return
		}
		for ; n > 0 && !w.bad; n-- {
			w.text()
		}
	case shapeList:
		w.add(weightOfList)
		for n := w.count(); n > 0 && !w.bad; n-- {
			w.structure(f.of)
		}
	case shapeMaybe:
		if b := w.take(1); b != nil && int8(b[0]) >= 0 {
			w.structure(f.of)
		}
	}
}

func (w *walker) text() {
	var n int
	if w.flexible {
		n = int(w.uvarint()) - 1
	} else {
		n = int(w.int16())
	}
	w.take(max(n, 0))
	w.add(weightOfText + max(n, 0))
}

// count takes the length of a list. A list has no more items than bytes follow.
func (w *walker) count() int {
	var n int64
	if w.flexible {
		n = int64(w.uvarint()) - 1
	} else {
		n = int64(w.int32())
	}
	if n > int64(len(w.b)) {
		w.bad = true
	}
	if w.bad {
		return 0
	}
	n = max(n, 0)
	if w.items += int(n); w.items > maxItems {
		w.bad = true
	}
	return int(n)
}

// tagged passes over the tagged fields of a structure.
func (w *walker) tagged(s shape) {
	n := w.uvarint()
	if n > 0 {
		w.add(weightOfFirstTag)
	}
	for ; n > 0 && !w.bad; n-- {
		tag := w.uvarint()
		inside := w.take(int(w.uvarint()))
		w.add(weightOfTag + len(inside))
		for i := range s {
			if f := &s[i]; f.kind == shapeTagged && f.tag == tag && !w.bad {
				w.within(inside, f)
			}
		}
	}
}

// within passes over a tagged field, which has bytes of its own.
func (w *walker) within(b []byte, f *shapeField) {
	rest := w.b
	w.b = b
	if f.bare {
		w.field(&f.of[0])
	} else {
		w.structure(f.of)
	}
	w.b = rest
}
