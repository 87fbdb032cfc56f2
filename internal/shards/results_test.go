package shards

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shardOf(t *testing.T, p *Plan, number int) Shard {
	t.Helper()
	s, err := p.Shard(number)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// linesOf is what came of a shard: some text for each of its runs.
func linesOf(p *Plan, s Shard) (lines [][]byte) {
	for i := range p.lines(s) {
		lines = append(lines, fmt.Appendf(nil, `{"run":%d,"of":%d}`, i, s.Number))
	}
	return lines
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	p, dir := example(), t.TempDir()
	for n := range p.Shards() {
		s := shardOf(t, p, n)
		if done, err := p.Done(dir, s); done || err != nil {
			t.Errorf("shard %d is done before it is: %v", n, err)
		}
		if lines, err := p.Load(dir, s); lines != nil || err != nil {
			t.Errorf("shard %d has results before it is done: %v", n, err)
		}
		if err := p.Save(dir, s, linesOf(p, s)); err != nil {
			t.Fatal(err)
		}
		lines, err := p.Load(dir, s)
		if d := cmp.Diff(linesOf(p, s), lines); err != nil || d != "" {
			t.Error(err, d)
		}
		if done, err := p.Done(dir, s); !done || err != nil {
			t.Errorf("shard %d is not done afterwards: %v", n, err)
		}
	}
	if temps, _ := filepath.Glob(dir + "/*.tmp"); len(temps) > 0 {
		t.Errorf("left behind: %v", temps)
	}
}

// A shard that is done again has the same file, to the byte.
func TestAResultFileIsAFunctionOfItsShard(t *testing.T) {
	p := example()
	s := shardOf(t, p, 1)
	var files [][]byte
	for range 2 {
		dir := t.TempDir()
		for range 2 { // once over itself
			if err := p.Save(dir, s, linesOf(p, s)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, FileName(1)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files of one shard differ")
	}
}

func TestOnlyWholeShardsAreSaved(t *testing.T) {
	p, dir := example(), t.TempDir()
	s := shardOf(t, p, 0)
	lines := linesOf(p, s)
	if err := p.Save(dir, s, lines[1:]); err == nil || !strings.Contains(err.Error(), "7 runs were made, and it has 8") {
		t.Errorf("a shard without one of its runs: %v", err)
	}
	lines[3] = []byte("{\n}")
	if err := p.Save(dir, s, lines); err == nil {
		t.Error("a run of two lines was saved")
	}
	if err := p.Save(filepath.Join(dir, "none"), s, linesOf(p, s)); err == nil {
		t.Error("results were saved into a folder that is not there")
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// A file that was cut off anywhere, or changed anywhere, is no result, and is never
// taken for one that is not there.
func TestDamagedResultsAreRefused(t *testing.T) {
	p, dir := example(), t.TempDir()
	s := shardOf(t, p, 0)
	if err := p.Save(dir, s, linesOf(p, s)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, FileName(0))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := p.Load(dir, s)
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line that names the file", what, err)
		}
	}
	for n := range good {
		refused(fmt.Sprintf("cut off at %d of %d", n, len(good)), good[:n])
	}
	for n := 10; n < len(good); n++ { // gzip's own heading says nothing of what is inside
		b := bytes.Clone(good)
		b[n] ^= 0x10
		refused(fmt.Sprintf("changed at %d", n), b)
	}
	refused("twice", append(bytes.Clone(good), good...))
	refused("no gzip", []byte("klamm"))
	if done, err := p.Done(dir, s); done || err == nil {
		t.Errorf("what is no gzip is done: %v, %v", done, err)
	}
}

func TestForeignResultsAreRefused(t *testing.T) {
	p, dir := example(), t.TempDir()
	if err := p.Save(dir, shardOf(t, p, 0), linesOf(p, shardOf(t, p, 0))); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, FileName(0)))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(FileName(2), b)
	if err := p.CheckFolder(dir); err != nil {
		t.Error(err)
	}
	write("notes.txt", b)
	write(FileName(3), b)
	if err := p.CheckFolder(dir); err == nil || !strings.Contains(err.Error(), "this one has the shards 0 to 2") {
		t.Errorf("%v", err)
	}
	other := *p
	other.Seeds++
	wrong, err := pack(heading{"klamm.run", 1, p.Hash(), 1, 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(FileName(1), wrong)
	for _, c := range []struct {
		p      *Plan
		number int
		want   string
	}{
		{&other, 0, "results of another plan ("},
		{p, 2, "it says that it holds 8 runs of shard 0, and shard 2 has 5"},
		{p, 1, `no results of a shard (_kind "klamm.run")`},
	} {
		s := shardOf(t, c.p, c.number)
		if _, err := c.p.Load(dir, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if done, err := c.p.Done(dir, s); done || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("done: %v, %v, want %q", done, err, c.want)
		}
	}
}
