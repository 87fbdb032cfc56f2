package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
)

// inspected is a data directory of a node that was stopped, with one partition of
// two records.
func inspected(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: dir}, {Name: "log.flush", Value: "os"},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, args := range [][]string{{"topic", "create", "orders"}, {"produce", "orders", "--key-separator", ":"}} {
		if code := execute(append(args, "-b", p.address()), streams{strings.NewReader("ann:1\nbob:2\n"), &out, &out}); code != 0 {
			t.Fatal(out.String())
		}
	}
	if code, text := inspect(t, dir); !strings.Contains(text, "a node is using the directory") {
		t.Errorf("in use: code %d: %s", code, text)
	}
	p.stop()
	return dir
}

func inspect(t *testing.T, args ...string) (code int, text string) {
	t.Helper()
	var out bytes.Buffer
	code = execute(append([]string{"inspect"}, args...), streams{strings.NewReader(""), &out, &out})
	return code, out.String()
}

// inspectAsJSON returns what inspect prints, and the batches behind it.
func inspectAsJSON(t *testing.T, args ...string) (inspectJSON, []batchJSON) {
	t.Helper()
	_, text := inspect(t, append(args, "-o", "json")...)
	d := json.NewDecoder(strings.NewReader(text))
	var r inspectJSON
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var batches []batchJSON
	for d.More() {
		var b batchJSON
		if err := d.Decode(&b); err != nil {
			t.Fatal(err)
		}
		batches = append(batches, b)
	}
	return r, batches
}

func TestInspectFindsNothingWrongInASoundDirectory(t *testing.T) {
	dir := inspected(t)
	before := listing(t, dir)
	code, text := inspect(t, dir)
	if code != 0 || !strings.Contains(text, "orders-0: topic orders") || !strings.Contains(text, "nothing is damaged") {
		t.Errorf("code %d: %s", code, text)
	}
	segment := filepath.Join(dir, "orders-0", "00000000000000000000.log")
	for _, path := range []string{dir, filepath.Join(dir, "orders-0"), segment} {
		r, batches := inspectAsJSON(t, path, "--records", "--count", "1000")
		i := slices.IndexFunc(r.Partitions, func(s *commitlog.Survey) bool { return s.Topic == "orders" || path == segment })
		if r.Damaged != 0 || r.Code != 0 || i < 0 {
			t.Fatalf("%s: %+v", path, r)
		}
		s := r.Partitions[i]
		if len(s.Segments) != 1 || s.Segments[0].End != 2 || s.Segments[0].Records != 2 || (r.Directory == "") != (path == segment) {
			t.Errorf("%s: %+v", path, *s)
		}
		var keys []string
		for _, b := range batches {
			for _, rec := range b.Records {
				if strings.Contains(b.File, "orders") || path == segment {
					keys = append(keys, *rec.Key+"="+*rec.Value)
				}
			}
		}
		if !slices.Equal(keys, []string{"ann=1", "bob=2"}) {
			t.Errorf("%s: records %q", path, keys)
		}
	}
	if _, batches := inspectAsJSON(t, segment, "--records", "--from", "1", "--count", "1"); len(batches) != 1 || len(batches[0].Records) != 1 ||
		batches[0].Records[0].Offset != 1 {
		t.Errorf("from 1: %+v", batches)
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %q, are %q", before, after)
	}
}

// listing returns every file with its size and time.
func listing(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			out = append(out, path+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestInspectFindsDamage(t *testing.T) {
	dir := inspected(t)
	for _, name := range []string{"00000000000000000000.log", "00000000000000000000.index", "manifest", "partition"} {
		path := filepath.Join(dir, "orders-0", name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(b)
		bad[70] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		code, text := inspect(t, dir)
		if code != 1 || !strings.Contains(text, "DAMAGED: "+name) {
			t.Errorf("%s: code %d: %s", name, code, text)
		}
		if r, _ := inspectAsJSON(t, filepath.Dir(path)); r.Damaged == 0 || r.Code != 1 {
			t.Errorf("%s: %+v", name, r)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code, text := inspect(t, dir); code != 0 {
		t.Errorf("mended: code %d: %s", code, text)
	}
	segment := filepath.Join(dir, "orders-0", "00000000000000000000.log")
	if err := os.Truncate(segment, 30); err != nil {
		t.Fatal(err)
	}
	if code, text := inspect(t, segment); code != 1 {
		t.Errorf("a file cut short: code %d: %s", code, text)
	}
}

func TestInspectSaysWhatItCannotLookAt(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{}, {dir}, {filepath.Join(dir, "nothing")}, {dir, dir}, {dir, "--from", "3"}, {dir, "--records", "--count", "-1"}, {dir, "-o", "xml"}} {
		if code, text := inspect(t, args...); code != exitUsage || strings.Count(text, "\n") > 2 {
			t.Errorf("%q: code %d: %s", args, code, text)
		}
	}
}
