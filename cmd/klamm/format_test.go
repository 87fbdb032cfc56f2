package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFormatWritesDownTheVoters(t *testing.T) {
	const voters = "1@127.0.0.1:9093,2@127.0.0.1:9094"
	dir := t.TempDir() + "/1"
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := execute(args, streams{nil, &out, &out})
		return code, out.String()
	}
	code, text := run("format", "--data-dir", dir, "--node-id", "1", "--voters", "2@127.0.0.1:9094, 1@127.0.0.1:9093", "-o", "json")
	var made formatJSON
	if err := json.Unmarshal([]byte(text), &made); code != 0 || err != nil || made.Voters != voters {
		t.Fatalf("code %d, %v: %s", code, err, text)
	}
	for _, c := range []struct {
		what string
		args []string
		code int
		want string
	}{
		{"the same again", []string{"format", "--ignore-formatted", "--voters", voters}, 0, "already formatted"},
		{"others", []string{"format", "--ignore-formatted", "--voters", "1@127.0.0.1:9093"}, exitFailed, "is formatted with the voters " + voters},
		{"no voter", []string{"format", "--ignore-formatted", "--voters", "1@nowhere"}, exitUsage, "is not id@host:port"},
		{"one voter twice", []string{"format", "--ignore-formatted", "--voters", "1@a:1,1@b:1"}, exitUsage, "stands there twice"},
		{"serving with others", []string{"serve", "--voters", "1@127.0.0.1:9093", "--listen", "127.0.0.1:0", "--controller-listen", "127.0.0.1:9093"}, exitUsage,
			"controller.quorum.voters=1@127.0.0.1:9093: the log directories are formatted with the voters " + voters},
		{"serving without a listener for them", []string{"serve", "--listen", "127.0.0.1:0"}, exitUsage, "has one of controller.listener.names"},
	} {
		code, text := run(append(c.args, "--data-dir", dir, "--node-id", "1")...)
		if last := strings.TrimSpace(text); code != c.code || !strings.Contains(last, c.want) || strings.Contains(last, "\n") {
			t.Errorf("%s: code %d: %s", c.what, code, text)
		}
	}
}
