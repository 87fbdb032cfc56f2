package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// docs/settings.md tells of every setting, and of every refusal.
func TestSettingsAreListed(t *testing.T) {
	const path = "../../docs/settings.md"
	want := page()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what there is (go test ./node/config -run SettingsAreListed -update):\n%s", path, diff)
	}
}

func page() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nNames, types and defaults are Kafka's; `log.flush`, `log.scrub.interval.ms`, `log.scrub.io.max.bytes.per.second`,\n" +
		"`max.requests.in.flight.per.connection` and the default of `queued.max.request.bytes` are klamm's own. Whatever is accepted acts; all else is refused by name.\n" +
		"`klamm topic config`, `klamm group config` and `klamm broker config` show and change settings.\n" + `
## Topics

A topic that does not set a value takes the one of its broker, in the last column, or else the default. All can change at any time.

| name | type | default | meaning | broker |
|---|---|---|---|---|
`)
	for _, s := range Settings(Topic) {
		var fallback []string
		for _, f := range s.Fallback {
			fallback = append(fallback, "`"+f.Name+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Type, shownDefault(s), s.Doc, strings.Join(fallback, ", "))
	}
	b.WriteString(`
## Groups

A group that does not set a value takes the one of its coordinator, in the last column. All can change at any time, and a group need not be there to have some.

| name | type | default | meaning | broker |
|---|---|---|---|---|
`)
	for _, s := range Settings(Group) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | `%s` |\n", s.Name, s.Type, shownDefault(s), s.Doc, s.Fallback[0].Name)
	}
	b.WriteString(`
## Brokers

Those that say so can change while a broker runs, on one broker or on all; the others are in its configuration.

| name | type | default | changes | meaning |
|---|---|---|---|---|
`)
	for _, s := range Settings(Broker) {
		changes := ""
		if s.Dynamic {
			changes = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Type, shownDefault(s), changes, s.Doc)
	}
	b.WriteString("\n## Refused\n\nSettings of Kafka's that do not act here, and why.\n\n| names | why |\n|---|---|\n")
	for _, r := range reasons {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Join(r.names, "`, `"), r.why)
	}
	return b.String()
}

func shownDefault(s *Setting) string {
	if s.Optional {
		return ""
	}
	return "`" + s.Default + "`"
}
