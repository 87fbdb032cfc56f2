package metadata

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker/history"
)

// A drawing is what porcupine's page has as data.
type drawing struct {
	Partitions []struct {
		History []struct {
			ClientId    int
			Description string
		}
		PartialLinearizations [][]struct {
			Index            int
			StateDescription string
		}
	}
}

// drawingOf reads a page: its markup, and its data.
func drawingOf(t *testing.T, page []byte) (d drawing) {
	t.Helper()
	text := string(page)
	_, data, ok := strings.Cut(text[strings.LastIndex(text, "const data = "):], " = ")
	line, _, end := strings.Cut(data, "\n")
	if !ok || !end {
		t.Fatal("the page has no data")
	}
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatal(err)
	}
	// What is not style or script is markup that closes what it opens.
	markup := xml.NewDecoder(strings.NewReader(regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`).ReplaceAllString(text, "")))
	elements := 0
	for {
		token, err := markup.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d elements: %v", elements, err)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 5 {
		t.Errorf("the page has %d elements", elements)
	}
	return d
}

// merged is the operations of two histories.
func merged(a, b *History) *History {
	return &History{Operations: append(append([]Operation(nil), a.Operations...), b.Operations...)}
}

// What cannot be is drawn up to the first answer that contradicts, and what else was
// going on is not.
func TestAPictureOfWhatCannotBe(t *testing.T) {
	evil := Operation{Act: Alter, Answer: Done, Settings: []Setting{{"segment.ms", text("</script><b>8")}}}
	h := merged(in("topic t", made, evil, reads("segment.ms=7"), deleted), in("topic u", again, shows("b2", 1)))
	h.Operations[2].Client = "o2"
	page, err := Draw(h)
	if err != nil {
		t.Fatal(err)
	}
	d := drawingOf(t, page)
	if len(d.Partitions) != 1 || len(d.Partitions[0].History) != 3 {
		t.Fatalf("%+v, want the three operations of topic t up to the read", d.Partitions)
	}
	p := d.Partitions[0]
	if o := p.History[2]; o.Description != "o2: read topic t [segment.ms=7]: done" || o.ClientId == p.History[0].ClientId {
		t.Errorf("%+v", p.History)
	}
	if orders := p.PartialLinearizations; len(orders) == 0 || len(orders[0]) != 2 || orders[0][1].StateDescription != "there, id=a1 partitions=2 [segment.ms=</script><b>8]" {
		t.Errorf("%+v", orders)
	}
}

// Where everything can be there is an order of it all.
func TestAPictureOfWhatCanBe(t *testing.T) {
	h := merged(in("topic t", made, unanswered(set), reads("segment.ms=8", "flush.ms=9")), in("topic u", gone, again, shows("b2", 1)))
	h.Begins("every broker", Existing("", 0, nil))
	h.Operations = append(h.Operations, in("every broker", reads()).Operations...)
	page, err := Draw(h)
	if err != nil {
		t.Fatal(err)
	}
	d := drawingOf(t, page)
	if len(d.Partitions) != 3 {
		t.Fatalf("%d resources are drawn", len(d.Partitions))
	}
	for i, p := range d.Partitions {
		if len(p.PartialLinearizations) != 1 || len(p.PartialLinearizations[0]) != len(p.History) {
			t.Errorf("resource %d: %+v", i, p)
		}
	}
}

// Pictures are of random histories too, those in which nothing is wrong and others, and
// what is too much for one is refused.
func TestPicturesHaveBounds(t *testing.T) {
	long := &History{}
	for i := range maxDrawn + 1 {
		o := gone
		o.Client, o.Resource, o.Invoked, o.Completed = "o1", "topic t", history.Instant(10*i), history.Instant(10*i+5)
		long.Add(o)
	}
	if _, err := Draw(long); !errors.Is(err, ErrNoPicture) {
		t.Errorf("%d operations: %v", len(long.Operations), err)
	}
	if page, err := Draw(&History{}); err != nil || len(drawingOf(t, page).Partitions) != 0 {
		t.Errorf("nothing: %v", err)
	}
	// Nobody knows what became of them, so that each may come before each: what is read
	// then cannot be, after every order of them has been tried.
	wild := in("topic t", made)
	for range 14 {
		o := unanswered(set)
		o.Client, o.Resource, o.Invoked, o.Completed = "o2", "topic t", 6, history.Never
		wild.Add(o)
	}
	last := reads("segment.ms=6")
	last.Client, last.Resource, last.Invoked, last.Completed = "o1", "topic t", 20, 30
	wild.Add(last)
	if page, err := Draw(wild); err != nil && !errors.Is(err, ErrNoPicture) || len(page) > maxPicture {
		t.Errorf("%d bytes, %v", len(page), err)
	}
}
