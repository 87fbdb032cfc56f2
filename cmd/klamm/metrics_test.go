package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/klammlog/klamm/node/config"
)

var updateMetrics = flag.Bool("update-metrics", false, "write the table of docs/metrics.md")

const metricsDoc = "../../docs/metrics.md"

// metricsTable is the table of the documentation.
func metricsTable() string {
	var out strings.Builder
	out.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metrics {
		var labels []string
		for _, l := range m.labels {
			labels = append(labels, "`"+l+"`")
		}
		fmt.Fprintf(&out, "| `klamm_%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(labels, ", "), m.help)
	}
	return out.String()
}

func TestEveryMetricIsDocumented(t *testing.T) {
	text, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)\| name \|.*?\n\n`)
	want := metricsTable() + "\n"
	if *updateMetrics {
		text = table.ReplaceAll(text, []byte(want))
		if err := os.WriteFile(metricsDoc, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := table.FindString(string(text)); got != want {
		t.Errorf("docs/metrics.md has\n%swant\n%sgo test ./cmd/klamm -run EveryMetric -update-metrics writes it", got, want)
	}
}

// exposed starts a node and returns what it tells of itself.
func exposed(t *testing.T) (p *process, ask func() string) {
	t.Helper()
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	e, err := listenMetrics("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	e.serve(p)
	return p, func() string {
		r, err := http.Get(e.url())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v: %s", r.Status, err, b)
		}
		return string(b)
	}
}

func TestMetricsTellWhatHappened(t *testing.T) {
	p, ask := exposed(t)
	var out strings.Builder
	for _, c := range []struct{ stdin, args string }{
		{"", "topic create orders"}, {"a\nb\nc\n", "produce orders"}, {"", "consume orders --exit-at-end"}, {"", "topic delete nothing"},
	} {
		args := append(strings.Fields(c.args), "--bootstrap", p.address())
		execute(args, streams{strings.NewReader(c.stdin), &out, &out})
	}
	text := ask()
	for _, want := range []string{
		`klamm_requests_total{api="CreateTopics"} 1`,
		`klamm_requests_total{api="DescribeCluster"} 0`,
		`klamm_errors_total{code="UNKNOWN_TOPIC_OR_PARTITION"} 1`,
		`klamm_produced_records_total 3`,
		`klamm_partition_high_watermark{partition="0",topic="orders"} 3`,
		`klamm_delayed_requests{api="Fetch"} 0`,
		`klamm_partitions_offline 0`,
		`klamm_topics 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	for _, positive := range []string{"klamm_received_bytes_total ", "klamm_sent_bytes_total ", "klamm_fetched_bytes_total ",
		"klamm_log_directory_online{", "klamm_log_directory_size_bytes{", "klamm_flush_seconds_count{", "klamm_baton_hold_seconds_count ",
		`klamm_baton_hold_seconds{quantile="0.999"} `, "process_cpu_seconds_total "} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(positive) + `.*[1-9]`).MatchString(text) {
			t.Errorf("%s tells nothing", positive)
		}
	}
}

func TestMetricsHaveSoundNames(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	p, _ := exposed(t)
	if err := registry.Register(gatherer{p}); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	for _, m := range metrics {
		if strings.HasSuffix(m.name, "_total") != (m.kind == "counter") {
			t.Errorf("klamm_%s is a %s", m.name, m.kind)
		}
	}
}

func TestServeTellsWhereItsMetricsAre(t *testing.T) {
	dir := t.TempDir()
	cmd := klamm(t, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--metrics-listen", "256.0.0.1:80")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasPrefix(string(out), "klamm: cannot tell metrics at 256.0.0.1:80: ") ||
		strings.Count(string(out), "\n") != 1 {
		t.Errorf("code %d: %q", code, out)
	}
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Errorf("the data directory was touched: %v", names)
	}
}
