package shards

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// resultKind and resultVersion are what a result file begins with.
const (
	resultKind    = "klamm.shard"
	resultVersion = 1
)

// maxResultBytes bounds a result file, before and after it is unpacked.
const maxResultBytes = 512 << 20

// A heading is the first line of a result file.
type heading struct {
	Kind    string `json:"_kind"`
	Version int    `json:"_version"`
	Plan    string `json:"plan"`
	Shard   int    `json:"shard"`
	Lines   int    `json:"lines"` // that follow, one for each run
}

func (p *Plan) heading(s Shard) heading {
	return heading{resultKind, resultVersion, p.Hash(), s.Number, p.lines(s)}
}

// FileName returns the name of a shard's result file.
func FileName(number int) string { return fmt.Sprintf("shard-%07d.jsonl.gz", number) }

// CheckFolder returns an error if a folder holds a result file of a shard that the plan
// does not have.
func (p *Plan) CheckFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var number int
		if _, err := fmt.Sscanf(e.Name(), "shard-%d.jsonl.gz", &number); err == nil && number >= p.Shards() {
			return fmt.Errorf("%s: results of another plan: this one has the shards 0 to %d", filepath.Join(dir, e.Name()), p.Shards()-1)
		}
	}
	return nil
}

// Save writes the result file of a shard into a folder: under another name, which is
// synced to the disk and then changed. Who is killed meanwhile leaves a file that nobody
// takes for a result. Each line is one run, without a line end. Blocks.
func (p *Plan) Save(dir string, s Shard, lines [][]byte) error {
	if want := p.lines(s); len(lines) != want {
		return fmt.Errorf("shard %d: %d runs were made, and it has %d", s.Number, len(lines), want)
	}
	packed, err := pack(p.heading(s), lines)
	if err != nil {
		return fmt.Errorf("shard %d: %w", s.Number, err)
	}
	temp, err := writeTemp(dir, s.Number, packed)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, FileName(s.Number))); err != nil {
		return err
	}
	return syncDir(dir)
}

// pack returns the bytes of a result file.
func pack(h heading, lines [][]byte) ([]byte, error) {
	first, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b) // without a name or a time: the bytes depend on the lines alone
	size := 0
	for _, line := range append([][]byte{first}, lines...) {
		if bytes.IndexByte(line, '\n') >= 0 {
			return nil, errors.New("a line has a line end inside")
		}
		if size += len(line) + 1; size > maxResultBytes {
			return nil, fmt.Errorf("its results have more than %d bytes: make smaller shards", maxResultBytes)
		}
		z.Write(line)
		z.Write([]byte{'\n'})
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeTemp writes a file that is on the disk when it returns, under a name that no
// other worker has.
func writeTemp(dir string, number int, b []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, fmt.Sprintf("shard-%07d.*.tmp", number))
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Done reports whether a folder has the result file of a shard. That of another plan is
// an error. Only the heading is read.
func (p *Plan) Done(dir string, s Shard) (bool, error) {
	name := filepath.Join(dir, FileName(s.Number))
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return false, damaged(name, err)
	}
	_, err = p.readHeading(bufio.NewReader(io.LimitReader(z, 4096)), name, s)
	return err == nil, err
}

// Load returns the lines of a shard's result file in a folder, nil if there is none. A
// file that is damaged, or another plan's, is an error that says so in one line.
func (p *Plan) Load(dir string, s Shard) ([][]byte, error) {
	name := filepath.Join(dir, FileName(s.Number))
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(io.LimitReader(f, maxResultBytes)))
	if err != nil {
		return nil, damaged(name, err)
	}
	in := bufio.NewReaderSize(io.LimitReader(z, maxResultBytes+1), 1<<16)
	h, err := p.readHeading(in, name, s)
	if err != nil {
		return nil, err
	}
	lines := make([][]byte, 0, h.Lines)
	for range h.Lines {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, damaged(name, err)
		}
		lines = append(lines, bytes.TrimSuffix(line, []byte{'\n'}))
	}
	if _, err := in.ReadByte(); err != io.EOF { // gzip compares its checksum there
		return nil, damaged(name, err)
	}
	return lines, nil
}

func (p *Plan) readHeading(in *bufio.Reader, name string, s Shard) (heading, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return heading{}, damaged(name, err)
	}
	var h heading
	if err := json.Unmarshal(line, &h); err != nil {
		return h, damaged(name, err)
	}
	want := p.heading(s)
	switch {
	case h.Kind != resultKind:
		return h, fmt.Errorf("%s: no results of a shard (_kind %q)", name, h.Kind)
	case h.Version != resultVersion:
		return h, fmt.Errorf("%s: results of version %d: this klamm reads version %d", name, h.Version, resultVersion)
	case h.Plan != want.Plan:
		return h, fmt.Errorf("%s: results of another plan (%.12s, not %.12s)", name, h.Plan, want.Plan)
	case h != want:
		return h, fmt.Errorf("%s: it says that it holds %d runs of shard %d, and shard %d has %d", name, h.Lines, h.Shard, s.Number, want.Lines)
	}
	return h, nil
}

func damaged(name string, err error) error {
	why := "it is cut off"
	switch {
	case err == nil:
		why = "there is something behind its end"
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		why = err.Error()
	}
	return fmt.Errorf("%s: damaged: %s; remove it, and the shard can be done again", name, why)
}
