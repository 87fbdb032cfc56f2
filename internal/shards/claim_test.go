package shards

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMain lets the tests start workers: processes of the tests' own binary.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KLAMM_TEST_SHARDS"); dir != "" {
		if err := die(dir, os.Getenv("KLAMM_TEST_DIE")); err != nil {
			fmt.Println(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// die claims the next shard and works on it up to a point, and is killed there.
func die(dir, point string) error {
	f, err := NewFolder(example(), dir)
	if err != nil {
		return err
	}
	c, err := f.Next(context.Background())
	if err != nil {
		return err
	}
	switch point {
	case "temp":
		b, err := pack(f.plan.heading(c.Shard), linesOf(f.plan, c.Shard))
		if err != nil {
			return err
		}
		if _, err := writeTemp(dir, c.Shard.Number, b); err != nil {
			return err
		}
	case "half":
		if err := os.WriteFile(filepath.Join(dir, "shard-0000000.123.tmp"), []byte("\x1f\x8b"), 0o644); err != nil {
			return err
		}
	case "saved":
		if err := f.plan.Save(dir, c.Shard, linesOf(f.plan, c.Shard)); err != nil {
			return err
		}
	}
	fmt.Println("claimed", c.Shard.Number)
	if point == "hold" {
		bufio.NewReader(os.Stdin).ReadByte() // until it is killed
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func dying(t *testing.T, dir, point string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "KLAMM_TEST_SHARDS="+dir, "KLAMM_TEST_DIE="+point)
	return cmd
}

func folder(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := NewFolder(example(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// finishAll does every shard that is left, and returns which.
func finishAll(t *testing.T, f *Folder) (did []int) {
	t.Helper()
	for {
		c, err := f.Next(t.Context())
		if err != nil {
			t.Error(err)
			return did
		}
		if c == nil {
			return did
		}
		if err := f.plan.Save(f.dir, c.Shard, linesOf(f.plan, c.Shard)); err != nil {
			t.Error(err)
		}
		if err := c.Finish(); err != nil {
			t.Error(err)
		}
		did = append(did, c.Shard.Number)
	}
}

// Wherever a worker is killed, its shard is done by another, unless it was done.
func TestAShardOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	for point, want := range map[string]string{"claimed": "[0 1 2]", "half": "[0 1 2]", "temp": "[0 1 2]", "saved": "[1 2]"} {
		t.Run(point, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "results")
			out, err := dying(t, dir, point).Output()
			if err == nil || string(out) != "claimed 0\n" {
				t.Fatalf("%v: %s", err, out)
			}
			if did := fmt.Sprint(finishAll(t, folder(t, dir))); did != want {
				t.Errorf("did %s, want %s", did, want)
			}
			for n := range example().Shards() {
				s := shardOf(t, example(), n)
				if lines, err := example().Load(dir, s); err != nil || len(lines) != example().lines(s) {
					t.Errorf("shard %d: %d lines, %v", n, len(lines), err)
				}
			}
		})
	}
}

// Who finds that others do all that is left waits, and takes over if they die.
func TestAWorkerWaitsForTheOthers(t *testing.T) {
	dir := t.TempDir()
	victim := dying(t, dir, "hold")
	in, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "claimed 0\n" {
		t.Fatalf("%q, %v", line, err)
	}
	f := folder(t, dir)
	for _, want := range []int{1, 2} {
		c, err := f.Next(t.Context())
		if err != nil || c == nil || c.Shard.Number != want {
			t.Fatalf("%+v, %v, want shard %d", c, err, want)
		}
		if err := f.plan.Save(dir, c.Shard, linesOf(f.plan, c.Shard)); err != nil {
			t.Fatal(err)
		}
		c.Finish()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := f.Next(ctx); c != nil || err != context.Canceled {
		t.Errorf("%+v, %v while another does the last shard", c, err)
	}
	taken := make(chan []int)
	go func() { taken <- finishAll(t, f) }()
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if did := <-taken; fmt.Sprint(did) != "[0]" {
		t.Errorf("did %v, want 0", did)
	}
	victim.Wait()
}

// Many workers over one folder do every shard once.
func TestEveryShardIsDoneOnce(t *testing.T) {
	p := example()
	p.Seeds, p.ShardSeeds = 200, 1
	dir := t.TempDir()
	var mu sync.Mutex
	var wait sync.WaitGroup
	times := map[int]int{}
	for range 8 {
		wait.Go(func() {
			f, err := NewFolder(p, dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, n := range finishAll(t, f) {
				mu.Lock()
				times[n]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for n := range p.Shards() {
		if times[n] != 1 {
			t.Errorf("shard %d was done %d times", n, times[n])
		}
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".gz") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	if err != nil || len(entries) != p.Shards() {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

// An abandoned shard is done by whoever comes next; results of another plan end the
// work instead of counting as done.
func TestAbandonedAndForeignShards(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, dir)
	c, err := f.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Abandon(); err != nil {
		t.Fatal(err)
	}
	if did := finishAll(t, f); fmt.Sprint(did) != "[0 1 2]" {
		t.Errorf("did %v", did)
	}
	other := example()
	other.Seeds++
	if _, err := NewFolder(other, dir); err == nil || !strings.Contains(err.Error(), "results of another plan") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, FileName(1))); err != nil {
		t.Fatal(err)
	}
	if did := finishAll(t, folder(t, dir)); fmt.Sprint(did) != "[1]" {
		t.Errorf("did %v of a folder in which only shard 1 is missing", did)
	}
}
