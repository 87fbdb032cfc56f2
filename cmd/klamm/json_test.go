package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/shards"
	"github.com/klammlog/klamm/scenarios"
)

// Every field and kind of the JSON output is in its documentation.
func TestJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{runReport{}, campaignJSON{}, campaignStatusJSON{}, shards.Plan{}, scenarios.Result{}, versionJSON{}, devJSON{}, topicsJSON{}, describeJSON{}, settingsJSON{},
		producedJSON{}, recordJSON{}, errorJSON{}, item{}, checkJSON{}, inspectJSON{}, batchJSON{},
		clusterJSON{}, planJSON{}, electionsJSON{}, changedJSON{}, featuresJSON{}, drainJSON{}, healthJSON{}, formatJSON{}, entryJSON{},
		replayJSON{}, eventJSON{}, diffReport{}, whyReport{}, reportJSON{}, huntReport{}, groupsJSON{}, groupJSON{}, membersJSON{}, offsetsJSON{}, resetJSON{}, deletedJSON{}} {
		for _, name := range jsonNames(reflect.TypeOf(v)) {
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "."+name+"`") &&
				!strings.Contains(string(text), "`"+name+"[]") && !strings.Contains(string(text), "."+name+"[]") {
				t.Errorf("docs/json.md says nothing of %q (%T)", name, v)
			}
		}
	}
	for _, kind := range []string{"run", "campaign", "campaign-status", "campaign-plan", "replay", "list", "version", "dev", "topics", "topic", "settings", "produced", "record", "check", "inspect", "batch", "error",
		"cluster", "plan", "elections", "changed", "features", "drain", "health", "format", "entry",
		"groups", "group", "members", "offsets", "reset", "deleted", "event", "diff", "why", "report", "hunt"} {
		if !strings.Contains(string(text), "`klamm."+kind+"`") {
			t.Errorf("docs/json.md says nothing of klamm.%s", kind)
		}
	}
}

// jsonNames returns the names of a type's fields, and of those inside.
func jsonNames(t reflect.Type) (names []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return jsonNames(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "-" {
				names = append(append(names, name), jsonNames(t.Field(i).Type)...)
			}
		}
	}
	return names
}
