package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fingerprint describes everything below a directory: names, kinds, modes, bytes.
func fingerprint(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var b []byte
		if info.Mode().IsRegular() {
			if b, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&out, "%s %v %x\n", strings.TrimPrefix(path, root), info.Mode(), sha256.Sum256(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// used is a data directory with a topic in it, of a node that has stopped.
func used(t *testing.T, dirs string, set ...string) {
	t.Helper()
	args := []string{"--data-dir", dirs, "--listen", "127.0.0.1:0", "--log-level", "error"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	server, address := serving(t, args...)
	var out strings.Builder
	for i := range 2 { // one in each of two directories
		if code := execute([]string{"topic", "create", fmt.Sprint("t", i), "--bootstrap", address}, streams{strings.NewReader(""), &out, &out}); code != 0 {
			t.Fatalf("topic create: code %d: %s", code, &out)
		}
	}
	server.Process.Signal(syscall.SIGTERM)
	if code := codeOfProcess(server); code != 0 {
		t.Fatalf("exit code %d", code)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a node must not touch it refuses, in one line, and has not touched.
func TestServeRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		lay  func(t *testing.T, root string)
		args []string // ROOT is the directory below which nothing may change
		code int
		want string
	}{
		{"the directory of another node", func(t *testing.T, root string) { used(t, root+"/a") },
			[]string{"--data-dir", "ROOT/a", "--set", "node.id=2"}, 1, "ROOT/a belongs to node 1"},
		{"a directory of another cluster", func(t *testing.T, root string) {
			used(t, root+"/a")
			used(t, root+"/b,"+root+"/c")
		}, []string{"--data-dir", "ROOT/a,ROOT/c"}, 1, "ROOT/c belongs to cluster "},
		{"the first directory of another cluster", func(t *testing.T, root string) {
			used(t, root+"/a")
			used(t, root+"/b")
		}, []string{"--data-dir", "ROOT/a,ROOT/b"}, 1, "ROOT/b is the first of a node of its own"},
		{"directories in another order", func(t *testing.T, root string) { used(t, root+"/a,"+root+"/b") },
			[]string{"--data-dir", "ROOT/b,ROOT/a"}, 1, "stands in log.dirs behind ROOT/b"},
		{"partitions without their metadata", func(t *testing.T, root string) { used(t, root+"/a,"+root+"/b") },
			[]string{"--data-dir", "ROOT/b"}, 1, "does not hold the metadata of their node"},
		{"the same directory twice", func(*testing.T, string) {},
			[]string{"--data-dir", "ROOT/a,ROOT/./a"}, 2, "stands there twice"},
		{"Apache Kafka's", func(t *testing.T, root string) { put(t, root+"/a/meta.properties", "version=1\n") },
			[]string{"--data-dir", "ROOT/a"}, 1, "ROOT/a holds data of Apache Kafka (meta.properties)"},
		{"something else's", func(t *testing.T, root string) { put(t, root+"/a/letters/mum.txt", "Dear mum\n") },
			[]string{"--data-dir", "ROOT/a"}, 1, "ROOT/a is not empty (letters) and not one of klamm"},
		{"another format", func(t *testing.T, root string) {
			used(t, root+"/a")
			put(t, root+"/a/directory", strings.Repeat("9", 64))
		}, []string{"--data-dir", "ROOT/a"}, 1, "ROOT/a: directory: quarantined"},
		{"a file", func(t *testing.T, root string) { put(t, root+"/a", "a file") },
			[]string{"--data-dir", "ROOT/a"}, 1, "ROOT/a is a file"},
		{"a place below a file", func(t *testing.T, root string) { put(t, root+"/a", "a file") },
			[]string{"--data-dir", "ROOT/a/b/c"}, 1, "ROOT/a is a file"},
		{"a place where nothing can be made", func(*testing.T, string) {},
			[]string{"--data-dir", "ROOT/a,/proc/klamm"}, 1, "/proc/klamm cannot be made"},
		{"a port that is taken", func(*testing.T, string) {},
			[]string{"--data-dir", "ROOT/a/b", "--set", "listeners=PLAINTEXT://" + taken.Addr().String()}, 1, "the port is taken"},
		{"a setting that there is not", func(*testing.T, string) {},
			[]string{"--data-dir", "ROOT/a", "--set", "retention.eons=1"}, 2, "retention.eons: no setting"},
		{"a setting that does not act", func(*testing.T, string) {},
			[]string{"--data-dir", "ROOT/a", "--set", "zookeeper.connect=x"}, 2, "zookeeper.connect: does not act here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			c.lay(t, root)
			before := fingerprint(t, root)
			args := []string{"serve", "--log-level", "error", "--listen", "127.0.0.1:0"}
			for _, arg := range c.args {
				args = append(args, strings.ReplaceAll(arg, "ROOT", root))
			}
			cmd := klamm(t, args...)
			out, _ := cmd.CombinedOutput()
			want := strings.ReplaceAll(c.want, "ROOT", root)
			if code := cmd.ProcessState.ExitCode(); code != c.code || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), want) {
				t.Errorf("code %d, %q, want code %d and one line with %q", code, out, c.code, want)
			}
			if after := fingerprint(t, root); after != before {
				t.Errorf("the disk has changed from\n%s to\n%s", before, after)
			}
		})
	}
}

// Only who is not root finds a directory that it may not write to.
func TestServeRefusesADirectoryItMayNotWrite(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	cmd := klamm(t, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "cannot be written") {
		t.Errorf("code %d, %q", code, out)
	}
}
