package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/klammlog/klamm/node/config"
)

// throwAway starts a broker with a topic t of two partitions.
func throwAway(t *testing.T) *process {
	t.Helper()
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()}, {Name: "log.flush", Value: "os"},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := execute([]string{"topic", "create", "t", "-p", "2", "-b", p.address()}, streams{nil, &out, &out}); code != 0 {
		t.Fatal(out.String())
	}
	return p
}

// Results are told as they come, not when the input ends; a signal ends the
// reading, and what was read is sent.
func TestProduceTellsAsItGoesAndEndsOnASignal(t *testing.T) {
	t.Parallel()
	p := throwAway(t)
	defer p.stop()
	cmd := klamm(t, "produce", "t", "-b", p.address(), "-o", "json", "-p", "1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	results := bufio.NewScanner(stdout)
	for i := range 3 {
		fmt.Fprintf(in, "line %d\n", i)
		var j producedJSON
		if !results.Scan() || json.Unmarshal(results.Bytes(), &j) != nil || j.Outcome != "acked" || *j.Offset != int64(i) {
			t.Fatalf("line %d: %s", i, results.Text())
		}
	}
	cmd.Process.Signal(syscall.SIGINT)
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if code := codeOfProcess(cmd); code != exitInterrupted || !strings.Contains(string(rest), "interrupted") {
		t.Errorf("code %d, %s", code, rest)
	}
}

// scripted is an input that does something before each of its pieces.
type scripted struct{ pieces []func() string }

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0]())
	s.pieces = s.pieces[1:]
	return n, nil
}

// What was not acknowledged is told record by record, and never called sent.
func TestProduceClaimsNothingThatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"json", "text"} {
		p := throwAway(t)
		address, stopped := p.address(), false
		lines := &scripted{[]func() string{
			func() string { return "a\nb\n" },
			func() string {
				read := execute([]string{"consume", "t", "-n", "2", "-b", address}, streams{nil, io.Discard, os.Stderr})
				p.stop()
				stopped = read == 0
				return "c\nd\n"
			},
		}}
		var out bytes.Buffer
		// The time-out is enough for a slow machine to send the first two, which are waited for.
		code := execute([]string{"produce", "t", "-b", address, "--timeout", "4s", "--linger", "0s", "-o", output}, streams{lines, &out, &out})
		if !stopped {
			p.stop()
			t.Fatalf("the broker was not stopped: %s", &out)
		}
		if code != exitFailed {
			t.Errorf("%s: code %d: %s", output, code, &out)
		}
		if output == "text" {
			for _, want := range []string{"klamm: record 3: ", "klamm: record 4: ", "2 of 4 records were not acknowledged"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not told: %q in %s", want, &out)
				}
			}
			continue
		}
		told := strings.Split(out.String(), "\n")
		if len(told) < 5 || !strings.Contains(told[4], "2 of 4 records were not acknowledged") {
			t.Fatal(out.String())
		}
		for i, line := range told[:4] {
			var j producedJSON
			if err := json.Unmarshal([]byte(line), &j); err != nil || j.Kind != "klamm.produced" || i >= 2 && (j.Outcome == "acked" || j.Error == "") {
				t.Errorf("record %d: %s", i+1, line)
			}
		}
	}
}

// A record may come in any number of pieces, and a stream may be longer than what
// is kept of it.
func TestInputInPieces(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	for _, c := range []struct {
		claim     string
		delimiter string
		pieces    []string
		want      []string
		err       string
	}{
		{"nothing", `\n`, nil, nil, ""},
		{"one line, without an end", `\n`, []string{"a"}, []string{"a"}, ""},
		{"an empty line", `\n`, []string{"\n"}, []string{""}, ""},
		{"lines that go on", `\n`, []string{"a\nb", "c", "\nd\n"}, []string{"a", "bc", "d"}, ""},
		{"a delimiter in pieces", `::`, []string{"a:", ":b::", "c:", "d"}, []string{"a", "b", "c:d"}, ""},
		{"a byte as a delimiter", `\x00`, []string{"a\nb\x00c"}, []string{"a\nb", "c"}, ""},
		{"zero as a delimiter", `\0`, []string{"a\x00c"}, []string{"a", "c"}, ""},
		{"lines longer than a piece", `\n`, []string{long[:100_000], long[:100_000], long[:100_000] + "\n" + "y"}, []string{long, "y"}, ""},
		{"a line without end", `\n`, []string{"a\n" + strings.Repeat("x", maxRecord+2)}, []string{"a"}, "a record of more than"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			var readers []io.Reader
			for _, p := range c.pieces {
				readers = append(readers, strings.NewReader(p))
			}
			f := produceFlags{inputFlags: inputFlags{input: "text", delimiter: c.delimiter}}
			in, err := f.open(io.MultiReader(readers...), nil)
			if err != nil {
				t.Fatal(err)
			}
			in.start()
			var got []string
			for piece := range in.pieces {
				for first := true; first || len(piece) > 0; first = false {
					var one []byte
					one, piece = in.next(piece)
					got = append(got, string(one))
				}
			}
			if c.err == "" && in.err != io.EOF || c.err != "" && !strings.Contains(in.err.Error(), c.err) {
				t.Errorf("ended by %v", in.err)
			}
			if fmt.Sprint(len(got), got) != fmt.Sprint(len(c.want), c.want) {
				t.Errorf("%d records, want %d", len(got), len(c.want))
			}
		})
	}
}

func TestProduceSendsFiles(t *testing.T) {
	p := throwAway(t)
	defer p.stop()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "two\nlines\n", "b": ""} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if code := execute([]string{"produce", "t", dir + "/a", dir + "/b", "-p", "0", "-b", p.address()}, streams{nil, &out, &out}); code != 0 {
		t.Fatal(out.String())
	}
	out.Reset()
	execute([]string{"consume", "t", "-e", "-f", "<%s>", "-b", p.address()}, streams{nil, &out, &out})
	if out.String() != "<two\nlines\n><>" {
		t.Errorf("%q", &out)
	}
}
