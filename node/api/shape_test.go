package api

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// fill draws a request: whatever a client may send, of every field.
func fill(t *rapid.T, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name == "Version" && depth == 0:
			case name == "UnknownTags":
				drawTags(t, v.Field(i).Addr().Interface().(*kmsg.Tags))
			default:
				fill(t, v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if rapid.Bool().Draw(t, "none") {
			return
		}
		items := reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, "items"), 3)
		for i := range items.Len() {
			fill(t, items.Index(i), depth+1)
		}
		v.Set(items)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "null") {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), depth+1)
	case reflect.String:
		v.SetString(rapid.StringN(0, 5, 20).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	default:
		v.SetInt(rapid.Int64().Draw(t, "number"))
	}
}

func drawTags(t *rapid.T, tags *kmsg.Tags) {
	for range rapid.IntRange(0, 2).Draw(t, "tags") {
		tags.Set(uint32(rapid.IntRange(50, 60).Draw(t, "tag")), []byte("value"))
	}
}

// rows are the APIs that generated code decodes.
func rows() []*handler {
	var out []*handler
	for _, h := range handlersByKey() {
		if h != nil && h.key != kmsg.Produce {
			out = append(out, h)
		}
	}
	return out
}

// A shape is right if it ends where requests end, in every version: what follows is
// left over, and without the last byte something is missing.
func TestShapesAreThoseOfTheRequests(t *testing.T) {
	for _, h := range rows() {
		t.Run(nameOf(h.key), func(t *testing.T) {
			s, ok := shapes[h.key]
			if !ok {
				t.Fatal("no shape: say in shapes.go which fields the request has")
			}
			rapid.Check(t, func(rt *rapid.T) {
				q := h.request()
				fill(rt, reflect.ValueOf(q).Elem(), 0)
				version := rapid.Int16Range(h.min, h.max).Draw(rt, "version")
				q.SetVersion(version)
				body := q.AppendTo(nil)
				w := walker{fields: fields{b: append(body, "rest"...)}, version: version, flexible: q.IsFlexible(), most: 1 << 40}
				w.structure(s)
				if w.bad || string(w.b) != "rest" {
					rt.Fatalf("version %d: %x: %x is left over, want only what was put behind", version, body, w.b)
				}
				if err := s.check(body, version, encoding(q.IsFlexible())); err != nil {
					rt.Fatalf("version %d: %v", version, err)
				}
				if len(body) > 0 && s.check(body[:len(body)-1], version, encoding(q.IsFlexible())) == nil {
					rt.Fatalf("version %d: %x lacks a byte, and nobody notices", version, body)
				}
			})
		})
	}
}

// hostile are bodies that claim what is not there.
func hostile() map[string]struct {
	key     kmsg.Key
	version int16
	body    []byte
} {
	type body = struct {
		key     kmsg.Key
		version int16
		body    []byte
	}
	most := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	return map[string]body{
		"four billion tagged fields": {kmsg.ApiVersions, 3, append([]byte{2, 'a', 2, 'b'}, most...)},
		"so many inside a tagged field": {kmsg.Fetch, 16, append(append(make([]byte, 4+4+4+1+4+4), 1, 1, 1, 1,
			1, 17), append(append(make([]byte, 12), most...), 0, 0, 0, 0)...)},
		"a list as long as the frame": {kmsg.CreateTopics, 2, append(binary.BigEndian.AppendUint32(nil, 4<<20-4), make([]byte, 4<<20-4)...)},
		"a list in a tagged field":    {kmsg.BrokerHeartbeat, 0, append(make([]byte, 22), 1, 0, 5, 0xff, 0xff, 0xff, 0xff, 7)},
		"lists of lists":              {kmsg.CreateTopics, 2, listsOfLists()},
		"nothing but empty names":     {kmsg.Metadata, 9, append(binary.AppendUvarint(nil, 1<<20+1), bytes.Repeat([]byte{1, 0}, 1<<20+2)...)},
		"nothing but tagged fields":   {kmsg.Metadata, 9, tagsEverywhere()},
	}
}

// listsOfLists is a topic whose lists claim all that follows, again and again.
func listsOfLists() []byte {
	b := binary.BigEndian.AppendUint32(nil, 1000)
	for len(b) < 1<<20 {
		b = append(b, 0, 0, 0, 0, 0, 1, 0, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(1<<20-len(b)-100))
	}
	return b
}

// tagsEverywhere is a list of topics with a tagged field each.
func tagsEverywhere() []byte {
	const n = 100_000
	b := binary.AppendUvarint(nil, n+1)
	for range n {
		b = append(b, 1, 1, 99, 0)
	}
	return append(b, 0, 0, 0, 0)
}

func TestHostileRequestsAreRefusedBeforeTheyAreDecoded(t *testing.T) {
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := decode(kmsg.RequestForKey(int16(c.key)), c.version, c.body)
			runtime.ReadMemStats(&after)
			took := int64(after.TotalAlloc - before.TotalAlloc)
			if err == nil || took > 1<<16 {
				t.Errorf("%d bytes took %d: %v", len(c.body), took, err)
			}
			q := kmsg.RequestForKey(int16(c.key))
			q.SetVersion(c.version)
			if shapes[c.key].check(c.body, c.version, encoding(q.IsFlexible())) == nil {
				t.Errorf("it is left to the decoder")
			}
		})
	}
}

// What a request takes is not more than what its shape says.
func TestShapesWeighRequests(t *testing.T) {
	for _, h := range rows() {
		t.Run(nameOf(h.key), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				q := h.request()
				fill(rt, reflect.ValueOf(q).Elem(), 0)
				version := rapid.Int16Range(h.min, h.max).Draw(rt, "version")
				q.SetVersion(version)
				body := q.AppendTo(nil)
				w := walker{fields: fields{b: body}, version: version, flexible: q.IsFlexible(), most: 1 << 40}
				w.structure(shapes[h.key])
				took := int64(math.MaxInt64)
				for range 3 { // the rest of the process allocates now and then, too
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					again := h.request()
					again.SetVersion(version)
					if err := again.ReadFrom(body); err != nil {
						rt.Fatal(err)
					}
					runtime.ReadMemStats(&after)
					took = min(took, int64(after.TotalAlloc-before.TotalAlloc))
				}
				if took > w.weight+1024 {
					rt.Fatalf("version %d: %d bytes take %d, the shape says %d", version, len(body), took, w.weight)
				}
			})
		})
	}
}

func TestShapesAreRead(t *testing.T) {
	s := parseShape("@2:4 [ s @1-3:(8) ] @1:#1{ 4 8 } #2=(16)")
	if len(s) != 4 || s[3].tag != 2 || !s[3].bare || s[3].of[0].size != 16 || s[0].first != 2 || s[1].of[1].last != 3 || s[1].of[1].size != 8 || s[2].tag != 1 || len(s[2].of) != 2 {
		t.Errorf("%+v", s)
	}
}
