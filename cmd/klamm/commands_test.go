package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/config"
)

// TestMain lets the tests run this program: their own binary is it.
func TestMain(m *testing.M) {
	if os.Getenv("KLAMM_TEST_RUN") != "" {
		in := io.Reader(os.Stdin)
		if os.Args[1] == "worker" {
			in = mortally(in)
		}
		os.Exit(execute(os.Args[1:], streams{in, os.Stdout, os.Stderr}))
	}
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		// Without this it would run all tests, and they start workers.
		fmt.Fprintln(os.Stderr, "a test starts workers, and does not say workersAreThisTest")
		os.Exit(exitInternal)
	}
	// A process built with -race waits a second before it exits, and the tests
	// make many.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// inTheSimulator leaves out a test that makes long runs in the simulator where
// tests are to be short, as under the race detector: there one task runs at a time.
func inTheSimulator(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs in the simulator")
	}
}

// TestCommands plays testdata against a broker of each file's own: a command
// line, perhaps with standard input behind <<, and everything it did. Ids, times,
// ports and what grows are put in capitals.
func TestCommands(t *testing.T) {
	datadriven.Walk(t, "testdata/commands", func(t *testing.T, path string) {
		p, err := startProcess([]config.Pair{
			{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"},
			{Name: "log.dirs", Value: t.TempDir()},
			{Name: "log.flush", Value: "os"},
			{Name: "auto.create.topics.enable", Value: "false"},
			{Name: "group.initial.rebalance.delay.ms", Value: "0"},
			{Name: "offsets.topic.num.partitions", Value: "1"},
		}, os.Stderr, "error")
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		t.Setenv("KLAMM_BOOTSTRAP", p.address())
		var m *memberProcess
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "klamm":
				if d.HasArg("sorted") {
					return sorted(play(t, d.Input))
				}
				return play(t, d.Input)
			case "member":
				m = startMember(t, d.Input)
				return ""
			case "interrupt":
				var lines int
				d.MaybeScanArgs(t, "lines", &lines)
				return m.interrupt(t, lines)
			}
			d.Fatalf(t, "unknown directive %q", d.Cmd)
			return ""
		})
	})
}

// play runs the command line that is the script's first line, with the others as
// its standard input.
func play(t *testing.T, script string) string {
	line, input, more := strings.Cut(script, "\n")
	if more {
		input += "\n"
	}
	args, err := splitLine(line)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := execute(args, streams{strings.NewReader(input), &stdout, &stderr})
	out := stdout.String()
	if stderr.Len() > 0 {
		out += "stderr: " + stderr.String()
	}
	if code != 0 {
		out += fmt.Sprintf("exit code %d\n", code)
	}
	return masked(out)
}

// splitLine splits a command line at spaces, but not inside single quotes.
func splitLine(line string) ([]string, error) {
	var args []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	if strings.Count(line, "'")%2 == 1 {
		return nil, fmt.Errorf("%q: a quote is open", line)
	}
	return args, nil
}

var masks = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`"id":"[0-9a-f]{32}"`), `"id":"ID"`},
	{regexp.MustCompile(`"timestamp":\d+`), `"timestamp":TIME`},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), `127.0.0.1:PORT`},
	{regexp.MustCompile(`cluster(_id":"| )[A-Za-z0-9_-]{22}\b`), `cluster${1}ID`},
	{regexp.MustCompile(`"epoch":\d+,"high_watermark":\d+`), `"epoch":N,"high_watermark":N`},
	{regexp.MustCompile(`("id":\d+,"end_offset"):\d+`), `$1:N`},
	{regexp.MustCompile(`leader  \d+ `), `leader  N `},
	{regexp.MustCompile(`epoch \d+, metadata up to offset \d+`), `epoch N, metadata up to offset N`},
	{regexp.MustCompile(`go1\.[0-9.]+`), `GO`},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), `UUID`},
}

func masked(s string) string {
	for _, m := range masks {
		s = m.find.ReplaceAllString(s, m.put)
	}
	return s
}

// klamm returns this program as a process.
func klamm(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "KLAMM_TEST_RUN=1")
	return cmd
}

// serving starts `klamm serve` and returns when it is ready, with its address.
func serving(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := klamm(t, append([]string{"serve"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var text strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := stderr.Read(buf)
		text.Write(buf[:n])
		if _, at, ok := strings.Cut(text.String(), "klamm: ready at "); ok && strings.Contains(at, "\n") {
			go func() { // what it still says is not looked at
				for err == nil {
					_, err = stderr.Read(buf)
				}
			}()
			address, _, _ := strings.Cut(at, "\n")
			return cmd, address
		}
		if err != nil {
			t.Fatalf("serve ended: %s", &text)
		}
	}
}

func codeOfProcess(cmd *exec.Cmd) int {
	cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func TestServeStopsOnSignalsAndKeepsItsData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for i, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		server, address := serving(t, "--data-dir", dir, "--listen", "127.0.0.1:0")
		var out bytes.Buffer
		run := func(stdin string, args ...string) int {
			out.Reset()
			return execute(append(args, "--bootstrap", address), streams{strings.NewReader(stdin), &out, &out})
		}
		if i == 0 {
			if code := run("", "topic", "create", "orders"); code != 0 {
				t.Fatalf("create: code %d: %s", code, &out)
			}
		}
		if code := run("hello\n", "produce", "orders"); code != 0 {
			t.Fatalf("produce: code %d: %s", code, &out)
		}
		if code := run("", "consume", "orders", "--exit-at-end"); code != 0 || out.String() != strings.Repeat("hello\n", i+1) {
			t.Fatalf("start %d: consume: code %d: %q", i, code, &out)
		}
		server.Process.Signal(sig)
		if code := codeOfProcess(server); code != 0 {
			t.Errorf("%v: exit code %d, want 0", sig, code)
		}
	}
}

func TestServeSaysWhatIsTaken(t *testing.T) {
	dir := t.TempDir()
	_, address := serving(t, "--data-dir", dir, "--listen", "127.0.0.1:0")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"data directory", []string{"--data-dir", dir, "--listen", "127.0.0.1:0"},
			"klamm: data directory " + dir + " is in use by another klamm: stop it, or choose another with --data-dir\n"},
		{"port", []string{"--data-dir", t.TempDir(), "--listen", address},
			"klamm: cannot listen on PLAINTEXT://" + address + ", the port is taken: stop who has it, or choose another with --listen HOST:PORT\n"},
	} {
		cmd := klamm(t, append([]string{"serve", "--log-level", "error"}, c.args...)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 || string(out) != c.want {
			t.Errorf("%s taken: code %d, %q, want 1, %q", c.name, code, out, c.want)
		}
	}
}

func TestServeReadsAPropertiesFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "server.properties")
	text := "# a broker\nnode.id=7\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs=" + filepath.Join(dir, "data") + "\nnum.partitions=4\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, address := serving(t, "--config", file, "--set", "num.partitions=5")
	var out bytes.Buffer
	if code := execute([]string{"topic", "create", "orders", "-o", "json", "-b", address}, streams{nil, &out, &out}); code != 0 ||
		!strings.Contains(out.String(), `"partitions":5`) {
		t.Errorf("code %d: %s", code, &out)
	}
}

func TestDevRunsACommandAndLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	for _, c := range []struct {
		name, script string
		code         int
	}{
		{"its exit code", `test -n "$KAFKA_BOOTSTRAP_SERVERS" && exit 7`, 7},
		{"success", `test "$KLAMM_BOOTSTRAP" = "$KAFKA_BOOTSTRAP_SERVERS"`, 0},
		{"a signal", `kill -9 $$`, 137},
	} {
		cmd := klamm(t, "dev", "--topic", "orders:3", "--", "sh", "-c", c.script)
		cmd.Env = append(cmd.Env, "TMPDIR="+temp)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || len(out) > 0 {
			t.Errorf("%s: code %d, want %d: %s", c.name, code, c.code, out)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDevPrintsItsAddressAndEndsOnASignal(t *testing.T) {
	cmd := klamm(t, "dev", "--topic", "orders:2")
	temp := t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(stdout, &address); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := execute([]string{"topic", "list", "-b", address}, streams{nil, &out, &out}); code != 0 ||
		!strings.Contains(out.String(), "orders") {
		t.Errorf("list: code %d: %s", code, &out)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if code := codeOfProcess(cmd); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whoever reads the output may go away; consume ends then, without another record.
func TestConsumeEndsWhenNobodyReads(t *testing.T) {
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var out bytes.Buffer
	if code := execute([]string{"topic", "create", "t", "-b", p.address()}, streams{nil, &out, &out}); code != 0 {
		t.Fatal(out.String())
	}
	cmd := klamm(t, "consume", "t", "-b", p.address())
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	reader.Close()
	if code := codeOfProcess(cmd); code != 141 {
		t.Errorf("exit code %d, want 141 as of SIGPIPE", code)
	}
}

func TestInterruptedCommandsSay130(t *testing.T) {
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var out bytes.Buffer
	if code := execute([]string{"topic", "create", "t", "-b", p.address()}, streams{nil, &out, &out}); code != 0 {
		t.Fatal(out.String())
	}
	cmd := klamm(t, "consume", "t", "-b", p.address())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	execute([]string{"produce", "t", "-b", p.address()}, streams{strings.NewReader("x\n"), &out, &out})
	var got string
	if _, err := fmt.Fscanln(stdout, &got); err != nil || got != "x" {
		t.Fatalf("read %q, %v", got, err)
	}
	cmd.Process.Signal(os.Interrupt)
	if code := codeOfProcess(cmd); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}

// Several brokers are one cluster, ready when each of them takes part.
func TestDevRunsSeveralBrokers(t *testing.T) {
	cmd := klamm(t, "dev", "--brokers", "3", "--topic", "orders:4:2", "--", "sh", "-c",
		`klamm="env KLAMM_TEST_RUN=1 $0"; $klamm cluster -o json && $klamm topic describe orders -o json`, os.Args[0])
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	// On a slow machine the first controller may not last, and is asked all the same.
	said := slices.DeleteFunc(strings.Split(errs.String(), "\n"), func(line string) bool {
		return line == "" || strings.Contains(line, "(NOT_CONTROLLER)")
	})
	if err != nil || len(said) > 0 {
		t.Fatalf("%v: %s", err, &errs)
	}
	d := json.NewDecoder(bytes.NewReader(out))
	var j clusterJSON
	var topic describeJSON
	if err := errors.Join(d.Decode(&j), d.Decode(&topic)); err != nil {
		t.Fatal(err)
	}
	if len(j.Brokers) != 3 || len(j.Quorum.Voters) != 3 || len(j.Under) > 0 {
		t.Errorf("%+v", j)
	}
	for _, p := range topic.Partitions {
		if len(p.Replicas) != 2 || len(p.InSync) != 2 {
			t.Errorf("%+v", p)
		}
	}
}
