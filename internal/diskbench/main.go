// Command diskbench measures what the disk format decision (ADR 0005) rests on:
// how many batches of 64 producers, each waiting until its batch is durable, a
// machine takes when every file is synced by itself and when one journal per
// directory is synced for all of them.
//
//	go run ./internal/diskbench -dir DIR -seconds 2 -rounds 5
//
// It prints one Markdown table: the median over the rounds, which alternate
// between the ways so that a machine's moods hit all of them.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const producers = 64

// A way takes batches for numbered files and returns once they are durable.
type way interface {
	put(file int, batch []byte)
	close()
}

var ways = []struct {
	name string
	open func(dir string, files int) way
}{
	{"file", openPerFile},
	{"journal", openJournal},
}

func main() {
	dir := flag.String("dir", os.TempDir(), "directory on the disk to measure")
	seconds := flag.Float64("seconds", 2, "seconds per measurement")
	rounds := flag.Int("rounds", 5, "measurements of each case")
	flag.Parse()
	fmt.Println("| batch | files | sync per file, batches/s | journal per directory, batches/s | file / journal |")
	fmt.Println("|---|---|---|---|---|")
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, files := range []int{1, 64, 1000} {
			report(*dir, files, size, *seconds, *rounds)
		}
	}
}

func report(dir string, files, size int, seconds float64, rounds int) {
	rates := make([][]float64, len(ways))
	for range rounds {
		for i, w := range ways {
			rates[i] = append(rates[i], measure(dir, w.open, files, size, seconds))
		}
	}
	fmt.Printf("| %d KiB | %d | %s | %s | %.2f |\n", size>>10, files,
		spread(rates[0]), spread(rates[1]), median(rates[0])/median(rates[1]))
}

func spread(v []float64) string {
	return fmt.Sprintf("%.0f (%.0f–%.0f)", median(v), slices.Min(v), slices.Max(v))
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// measure returns the durable batches per second of one way.
func measure(parent string, open func(string, int) way, files, size int, seconds float64) float64 {
	dir, err := os.MkdirTemp(parent, "diskbench")
	check(err)
	defer os.RemoveAll(dir)
	w := open(dir, files)
	var stop atomic.Bool
	var done atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	for p := range producers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(p), 1))
			batch := make([]byte, size)
			for i := range batch {
				batch[i] = byte(random.Uint32())
			}
			for !stop.Load() {
				w.put(random.IntN(files), batch)
				done.Add(1)
			}
		})
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	count, took := done.Load(), time.Since(begin)
	stop.Store(true)
	group.Wait()
	w.close()
	return float64(count) / took.Seconds()
}

// A stream is an append-only file with an on-demand writer: what waits when the
// writer comes round is written and synced as one group.
type stream struct {
	mu      sync.Mutex
	file    *os.File
	end     int64
	waiting [][]byte
	done    chan struct{} // closed when the group now collecting is durable
	writing bool
	written func(group int64)
}

func newStream(path string) *stream {
	f, err := os.Create(path)
	check(err)
	return &stream{file: f, done: make(chan struct{})}
}

func (s *stream) put(batch []byte) {
	s.mu.Lock()
	s.waiting = append(s.waiting, batch)
	done := s.done
	if !s.writing {
		s.writing = true
		go s.write()
	}
	s.mu.Unlock()
	<-done
}

func (s *stream) write() {
	var buf []byte
	s.mu.Lock()
	for len(s.waiting) > 0 {
		group, done := s.waiting, s.done
		s.waiting, s.done = nil, make(chan struct{})
		s.mu.Unlock()
		buf = buf[:0]
		for _, b := range group {
			buf = append(buf, b...)
		}
		_, err := s.file.WriteAt(buf, s.end)
		check(err)
		s.end += int64(len(buf))
		check(unix.Fdatasync(int(s.file.Fd())))
		if s.written != nil {
			s.written(int64(len(buf)))
		}
		close(done)
		s.mu.Lock()
	}
	s.writing = false
	s.mu.Unlock()
}

type perFile []*stream

func openPerFile(dir string, files int) way {
	w := make(perFile, files)
	for i := range w {
		w[i] = newStream(filepath.Join(dir, fmt.Sprintf("%020d.log", i)))
	}
	return w
}

func (w perFile) put(file int, batch []byte) { w[file].put(batch) }

func (w perFile) close() {
	for _, s := range w {
		check(s.file.Close())
	}
}

// A journal writes each batch twice: to its own file through the page cache, and
// to the one file that is synced. Before the journal is cut, the files are.
type journal struct {
	log   *stream
	files []journaled
	size  int64
}

type journaled struct {
	mu   sync.Mutex
	file *os.File
	end  int64
}

const journalSize = 256 << 20

func openJournal(dir string, files int) way {
	j := &journal{log: newStream(filepath.Join(dir, "journal")), files: make([]journaled, files)}
	for i := range j.files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%020d.log", i)))
		check(err)
		j.files[i].file = f
	}
	j.log.written = j.checkpoint
	return j
}

func (j *journal) put(file int, batch []byte) {
	f := &j.files[file]
	f.mu.Lock()
	_, err := f.file.WriteAt(batch, f.end)
	check(err)
	f.end += int64(len(batch))
	f.mu.Unlock()
	j.log.put(batch)
}

// checkpoint syncs the files and starts the journal over when it is full.
func (j *journal) checkpoint(group int64) {
	j.size += group
	if j.size < journalSize {
		return
	}
	for i := range j.files {
		check(unix.Fdatasync(int(j.files[i].file.Fd())))
	}
	check(j.log.file.Truncate(0))
	j.log.end, j.size = 0, 0
}

func (j *journal) close() {
	for i := range j.files {
		check(j.files[i].file.Close())
	}
	check(j.log.file.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
