package scenarios

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const faultsDoc = "../docs/FAULTS.md"

// beginning marks where the table that this test writes begins.
const beginning = "<!-- families: written by go test ./scenarios -run FaultsAreDocumented -update -->\n"

func TestFaultsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(faultsDoc)
	if err != nil {
		t.Fatal(err)
	}
	head, table, ok := strings.Cut(string(text), beginning)
	if !ok {
		t.Fatalf("%s lacks the line %q", faultsDoc, beginning)
	}
	want := faultTable()
	if *update {
		if err := os.WriteFile(faultsDoc, []byte(head+beginning+want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != want {
		t.Errorf("%s is not what the code does: run with -update", faultsDoc)
	}
}

func faultTable() string {
	var b strings.Builder
	fmt.Fprintln(&b, "\n| family | what exactly happens | drawn by |")
	fmt.Fprintln(&b, "|---|---|---|")
	for _, f := range Faults() {
		drawn := strings.Join(f.Scenarios, ", ")
		if drawn == "" {
			drawn = "tests only"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Family, f.About, drawn)
	}
	return b.String()
}
