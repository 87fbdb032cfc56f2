package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A meter counts records and tells how fast they go: on a terminal in one line
// that is rewritten, and at the end.
type meter struct {
	out            io.Writer
	live           bool
	began, shown   time.Time
	records, bytes int64
	then           int64 // records when it was shown
}

// newMeter returns a meter that is live if errs is a terminal that out does not
// write to as well.
func newMeter(out, errs io.Writer) *meter {
	return &meter{out: errs, live: isTerminal(errs) && !isTerminal(out), began: time.Now(), shown: time.Now()}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// add counts, and shows the count now and then; what it is of, what says.
func (m *meter) add(records, bytes int64, what string) {
	m.records += records
	m.bytes += bytes
	if !m.live {
		return
	}
	if since := time.Since(m.shown); since >= time.Second/2 {
		rate := float64(m.records-m.then) / since.Seconds()
		m.shown, m.then = time.Now(), m.records
		fmt.Fprintf(m.out, "\r%d records %s · %.0f/s\x1b[K", m.records, what, rate)
	}
}

// clear removes the line.
func (m *meter) clear() {
	if m.live {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}

// rates says how fast it went altogether.
func (m *meter) rates() string {
	took := time.Since(m.began)
	seconds := max(took.Seconds(), 1e-9)
	return fmt.Sprintf("%.1f MB in %v: %.0f records/s, %.1f MB/s", float64(m.bytes)/1e6,
		took.Round(time.Millisecond), float64(m.records)/seconds, float64(m.bytes)/1e6/seconds)
}
