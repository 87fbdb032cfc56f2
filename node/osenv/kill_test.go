package osenv_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env/envtest"
	"github.com/klammlog/klamm/node/osenv"
)

var (
	killRuns = flag.Int("kill.runs", 20, "how many processes TestKilledProcess kills")
	killSeed = flag.Uint64("kill.seed", 0, "the seed of its first run; 0 draws one")
)

// What tells the test binary that it is the child, and where to play what.
const (
	childDir    = "KLAMM_KILL_TEST_DIR"
	childScript = "KLAMM_KILL_TEST_SCRIPT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := playUntilKilled(dir, os.Getenv(childScript)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// playUntilKilled plays a script and writes one byte to standard output after
// every operation that completed.
func playUntilKilled(dir, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	script, err := envtest.ParseScript(string(text))
	if err != nil {
		return err
	}
	h, err := osenv.New(osenv.Options{LogDirs: []string{dir}})
	if err != nil {
		return err
	}
	return h.Do(context.Background(), func() error {
		player := envtest.NewPlayer(h.World().LogDirs[0].FS)
		for i, op := range script {
			if err := player.Do(op); err != nil {
				return fmt.Errorf("operation %d, %s: %w", i, op, err)
			}
			if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
				return err
			}
		}
		return nil
	})
}

// A process is killed by SIGKILL at a drawn moment of a drawn script. What the
// disk then holds must be what the operations that completed made of it, and
// perhaps a part of the one in flight; and the simulated disk must be able to end
// the same way.
func TestKilledProcess(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64() >> 16
	}
	runs := *killRuns
	if testing.Short() {
		runs = min(runs, 5)
	}
	effects, most := make(map[envtest.Effect]int), 0
	for i := range runs {
		k := kill{seed: seed + uint64(i), dir: t.TempDir()}
		effect, err := k.run()
		if err != nil {
			t.Fatalf("%v\nreplay (the moment of the kill is the machine's): go test -run TestKilledProcess -kill.seed=%d", err, k.seed)
		}
		effects[effect]++
		tries, err := k.contained()
		if err != nil {
			t.Fatalf("seed %d: %v", k.seed, err)
		}
		most = max(most, tries)
	}
	t.Logf("the simulated disk was left in the same states, after %d crashes at most", most)
	t.Logf("of the operations in flight %d had no effect, %d a part, %d all of it",
		effects[envtest.NoEffect], effects[envtest.PartEffect], effects[envtest.WholeEffect])
}

// kill is one process and its end.
type kill struct {
	seed uint64
	dir  string

	script    envtest.Script
	completed int
	state     envtest.State
}

func (k *kill) run() (envtest.Effect, error) {
	r := rand.New(rand.NewPCG(k.seed, 0))
	k.script = envtest.Draw(r, 60)
	after, delay := aim(r, k.script)
	if err := k.play(after, delay); err != nil {
		return 0, err
	}
	if err := k.look(); err != nil {
		return 0, err
	}
	effect, err := k.script.CheckKilled(k.completed, k.state)
	if err != nil {
		return 0, fmt.Errorf("killed after %d of %d operations: %w", k.completed, len(k.script), err)
	}
	return effect, nil
}

// aim draws after which operation to kill, and how much later. Every other time
// it aims into a long write, at half a gigabyte a second and more.
func aim(r *rand.Rand, script envtest.Script) (after int, delay time.Duration) {
	var long []int
	for i, op := range script {
		if op.Kind == envtest.OpWrite && op.N > 100_000 {
			long = append(long, i)
		}
	}
	if len(long) == 0 || r.IntN(2) == 0 {
		return r.IntN(len(script)), time.Duration(r.IntN(200)) * time.Microsecond
	}
	after = long[r.IntN(len(long))]
	n := script[after].N
	return after, time.Duration(r.Int64N(2*n)) * time.Nanosecond
}

// play runs the script in a child and kills it some time after an operation.
func (k *kill) play(after int, delay time.Duration) error {
	path := filepath.Join(k.dir, "script")
	if err := os.WriteFile(path, []byte(k.script.String()), 0o644); err != nil {
		return err
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+filepath.Join(k.dir, "disk"), childScript+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	progress := bufio.NewReaderSize(out, 1)
	for k.completed < after {
		if _, err := progress.ReadByte(); err != nil {
			break // it failed, and Wait will tell
		}
		k.completed++
	}
	for began := time.Now(); time.Since(began) < delay; {
	}
	_ = child.Process.Kill()
	for {
		if _, err := progress.ReadByte(); err != nil {
			break
		}
		k.completed++
	}
	if err := child.Wait(); err != nil && child.ProcessState.ExitCode() >= 0 {
		return fmt.Errorf("the child was not killed but failed: %w", err)
	}
	return nil
}

// look reads what the killed process left behind.
func (k *kill) look() error {
	h, err := osenv.New(osenv.Options{LogDirs: []string{filepath.Join(k.dir, "disk")}})
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Do(context.Background(), func() (err error) {
		k.state, err = envtest.Capture(h.World().LogDirs[0].FS)
		return err
	})
}
