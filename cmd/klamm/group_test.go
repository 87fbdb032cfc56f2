package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/config"
)

// A memberProcess is `klamm consume --group`, running.
type memberProcess struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// startMember starts the process that a command line says, and returns when its group
// has given it partitions.
func startMember(t *testing.T, line string) *memberProcess {
	args, err := splitLine(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	m := &memberProcess{cmd: klamm(t, args...)}
	pipe, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.out = bufio.NewReader(pipe)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.cmd.Process.Kill() })
	group := args[slices.Index(args, "--group")+1]
	for !assigned(group) {
		if t.Context().Err() != nil {
			t.Fatal("the member is assigned nothing")
		}
	}
	return m
}

// assigned reports whether every member of a group has partitions.
func assigned(group string) bool {
	var out bytes.Buffer
	if execute([]string{"group", "members", group, "-o", "json"}, streams{nil, &out, io.Discard}) != 0 {
		return false
	}
	var j membersJSON
	if json.Unmarshal(out.Bytes(), &j) != nil {
		return false
	}
	return len(j.Members) > 0 && !slices.ContainsFunc(j.Members, func(m memberJSON) bool { return len(m.Assigned) == 0 || len(m.Target) > 0 })
}

// interrupt waits until the process has printed so many lines, interrupts it, and
// returns what it did.
func (m *memberProcess) interrupt(t *testing.T, lines int) string {
	var text strings.Builder
	for range lines {
		line, err := m.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", text.String()+line, err)
		}
		text.WriteString(line)
	}
	m.cmd.Process.Signal(os.Interrupt)
	rest, err := io.ReadAll(m.out)
	if err != nil {
		t.Fatal(err)
	}
	text.Write(rest)
	if code := codeOfProcess(m.cmd); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	return sorted(text.String())
}

// sorted puts lines in order: partitions come as they come.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Whoever reads the output may go away: the member leaves its group then, and nobody
// waits for it.
func TestAMemberLeavesWhenNobodyReads(t *testing.T) {
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()}, {Name: "log.flush", Value: "os"},
		{Name: "group.initial.rebalance.delay.ms", Value: "0"}, {Name: "offsets.topic.num.partitions", Value: "1"},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	t.Setenv("KLAMM_BOOTSTRAP", p.address())
	var out bytes.Buffer
	for _, line := range []string{"topic create t", "group reset g --topic t --to-latest --execute"} {
		if code := execute(strings.Fields(line), streams{nil, &out, &out}); code != 0 {
			t.Fatalf("%s: %s", line, &out)
		}
	}
	cmd := klamm(t, "consume", "t", "--group", "g")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	for !assigned("g") {
		if t.Context().Err() != nil {
			t.Fatal("the member is assigned nothing")
		}
	}
	reader.Close()
	if code := codeOfProcess(cmd); code != 141 {
		t.Errorf("exit code %d, want 141 as of SIGPIPE", code)
	}
	out.Reset()
	if code := execute([]string{"group", "delete", "g"}, streams{nil, &out, &out}); code != 0 {
		t.Errorf("code %d: %s", code, &out)
	}
}
