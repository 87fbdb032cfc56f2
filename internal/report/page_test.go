package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hostile is text that would be more than text, if it were not escaped.
const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&` + "\u2028`${1}--><!-- \x00\xff"

// example is a run in which an acknowledged record is lost.
func example() *Run {
	r := &Run{
		Scenario: "power-loss", About: "power goes", Seed: 7, Verdict: "violated", Reason: "orders-0 offset 3 is gone", Build: "klamm test",
		Chain: "00/1", End: 10e9, Broke: 8e9,
		Violations: []Violation{{Guarantee: "no-lost-ack", About: "acknowledged is acknowledged", Sentence: "orders-0 offset 3 acknowledged at 2.000s, absent at 8.000s",
			Evidence: []Evidence{{Text: "p1 sent record 4", Operation: 0}, {Text: "c1 polled orders-0", Operation: 1}, {Text: "a stack", Operation: None}}}},
		Picture:    &Picture{Text: "judged by porcupine", File: `a page: 100% #1?"><b>.html`},
		Commands:   []Command{{What: "again", Line: "klamm replay power-loss --seed 7"}},
		Options:    []Option{{"log.flush", "os", ByHand}, {"partitions", "1", Drawn}, {"retention", "0", Default}},
		Faults:     []Fault{{Line: "power-loss node=n1 at=3s for=1s n=0", Strikes: []Strike{{At: 3e9, Until: 4e9, On: "n1"}}}, {Line: "crash node=n1 at=9s for=1s n=0"}},
		Shrunk:     &Shrunk{Before: Size{18, 2000, 9e9}, After: Size{2, 30, 10e9}, Needed: []Needed{{"power-loss node=n1 at=3s", "held"}}, Complete: true},
		Phases:     []Phase{{0, "safety"}, {6e9, "liveness"}},
		Lanes:      []Lane{{"network", Network, None}, {"n1", Broker, 1}, {"p1", Client, None}, {"c1", Client, None}},
		Partitions: []string{"orders-0", "orders-00"},
		Bands:      []Band{{Lane: 1, From: 3e9, To: 4e9, Kind: Down, Text: "down", Fault: None}},
		Events: []Event{{At: 1e9, Lane: 1, Kind: Election, Partition: 0, Text: "n1 is elected leader of orders-0 in epoch 1"},
			{At: 4e9, Lane: 1, Kind: Failure, Partition: None, Text: "log directory is broken"}, {At: 9e9, Lane: 1, Kind: Failure, Partition: None, Text: "later"}},
		Messages: []Message{
			{From: 2, To: 1, Sent: 19e8, Arrived: 19.5e8, Call: 1, Name: "Produce", Text: "orders-0 1 record", Partitions: []int{0}},
			{From: 1, To: 2, Sent: 19.8e8, Arrived: 2e9, Call: 1, Answer: true, Name: "Produce", Text: "orders-0 at offset 3", Partitions: []int{0}},
			{From: 2, To: 1, Sent: 35e8, Arrived: Never, Call: 2, Name: "Metadata", Idle: true},
			{From: 1, To: 3, Sent: 79e8, Arrived: 8e9, Call: 3, Answer: true, Name: "Fetch", Text: "orders-0 nothing", Partitions: []int{0}},
		},
		Operations: []Operation{
			{Lane: 2, Partition: 0, Kind: "send", Invoked: 19e8, Completed: 2e9, Outcome: OK, From: 3, End: 4, Text: "p1 sent record 4"},
			{Lane: 3, Partition: 0, Kind: "poll", Invoked: 5e9, Completed: 8e9, Outcome: OK, From: 0, End: 5, Records: 4, Text: "c1 polled orders-0"},
		},
		Replicas: []Replica{{Partition: 0, Lane: 1, States: []ReplicaState{
			{At: 1e9, Role: "leader", Epoch: 1, End: 3, HighWatermark: 3, InSync: []int32{1}, Epochs: []EpochStart{{1, 0}}},
			{At: 19.6e8, Role: "leader", Epoch: 1, End: 4, HighWatermark: 4, InSync: []int32{1}, Epochs: []EpochStart{{1, 0}}},
			{At: 3e9, Role: "down", End: 4, HighWatermark: 4},
			{At: 4e9, Role: "leader", Epoch: 2, End: 2, HighWatermark: 2, InSync: []int32{1}, Epochs: []EpochStart{{1, 0}}},
		}}},
		Groups: []Group{{Name: "g", States: []GroupState{{At: 2e9, State: "Stable", Epoch: 3, Members: []GroupMember{{Name: "m", Epoch: 3, Has: []string{"orders-0"}, Goal: []string{"orders-0"}}}}}}},
	}
	return r
}

func pageOf(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// dataOf reads the data of a page as its script does.
func dataOf(t *testing.T, page string) data {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<script type="application/json" id="data">`)
	text, _, end := strings.Cut(rest, "</script>")
	if !ok || !end {
		t.Fatal("the page has no data")
	}
	var d data
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAPageTellsEverything(t *testing.T) {
	page := pageOf(t, example())
	for _, want := range []string{
		"orders-0 offset 3 acknowledged at 2.000s, absent at 8.000s", "no-lost-ack", "acknowledged is acknowledged", "a stack",
		"klamm replay power-loss --seed 7", "from 18 faults to 2", "set by hand", "without it alone", "nobody",
		`id="spacetime"`, `id="operations"`, `id="replicas"`, `id="groups"`, "color-scheme: dark", "Content-Security-Policy",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, never := range []string{"http://", "https://", "src=", "@import", "url("} {
		// The name space of SVG is a name, and nobody asks for it.
		if strings.Contains(strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), never) {
			t.Errorf("the page has %q: it needs something from elsewhere", never)
		}
	}
	d := dataOf(t, page)
	if len(d.Messages) != 4 || len(d.Operations) != 2 || len(d.Replicas) != 1 || len(d.Replicas[0].States) != 4 || len(d.Groups) != 1 || len(d.Events) != 3 {
		t.Errorf("the data has %d messages, %d operations, %d replicas, %d groups, %d events", len(d.Messages), len(d.Operations), len(d.Replicas), len(d.Groups), len(d.Events))
	}
	if page != pageOf(t, example()) {
		t.Error("the same run gives two pages")
	}
}

// A picture is linked by a name that browsers understand, and one that there is not is
// not linked.
func TestAPictureIsLinked(t *testing.T) {
	r := example()
	want := `judged by porcupine <a href="./a%20page:%20100%25%20%231%3F%22%3E%3Cb%3E.html">`
	if page := pageOf(t, r); !strings.Contains(page, want) {
		t.Errorf("the page does not have %s", want)
	}
	r.Picture.File = ""
	if page := pageOf(t, r); !strings.Contains(page, "judged by porcupine</p>") || strings.Contains(page, "<a ") {
		t.Error("a picture is linked that there is not")
	}
	r.Picture = nil
	if page := pageOf(t, r); strings.Contains(page, "porcupine") {
		t.Error("nobody drew, and the page speaks of a picture")
	}
}

// Texts that come from a run stay texts, wherever they are shown.
func TestTextsStayTexts(t *testing.T) {
	plain := pageOf(t, example())
	r := example()
	for _, s := range []*string{
		&r.Scenario, &r.About, &r.Reason, &r.Build, &r.Chain, &r.Verdict, &r.Violations[0].Guarantee, &r.Violations[0].About, &r.Violations[0].Sentence,
		&r.Violations[0].Evidence[0].Text, &r.Commands[0].What, &r.Commands[0].Line, &r.Options[0].Name, &r.Options[0].Value, &r.Faults[0].Line,
		&r.Faults[0].Strikes[0].On, &r.Shrunk.Needed[0].Fault, &r.Shrunk.Needed[0].Without, &r.Phases[1].Name, &r.Lanes[1].Name, &r.Partitions[0],
		&r.Bands[0].Text, &r.Events[0].Text, &r.Messages[0].Name, &r.Messages[0].Text, &r.Operations[0].Text, &r.Operations[0].Kind,
		&r.Picture.Text, &r.Replicas[0].States[0].Role, &r.Groups[0].Name, &r.Groups[0].States[0].State, &r.Groups[0].States[0].Members[0].Name, &r.Groups[0].States[0].Members[0].Has[0],
	} {
		*s += hostile
	}
	r.Pending, r.Missing = []string{hostile}, []string{hostile}
	page := pageOf(t, r)
	for _, tag := range []string{"<script", "</script", "<img", "<!--", "onerror="} {
		got, want := strings.Count(page, tag), strings.Count(plain, tag)
		if tag == "onerror=" {
			got = len(regexp.MustCompile(`<[^>]*onerror=`).FindAllString(page, -1))
		}
		if got != want {
			t.Errorf("%s is there %d times, without hostile texts %d times", tag, got, want)
		}
	}
	if d := dataOf(t, page); !slices.ContainsFunc(d.Texts, func(s string) bool { return strings.Contains(s, "</script><script>alert(1)") }) {
		t.Error("the data does not have the hostile text as it was")
	}
}

// A run of any size gives a page that is bounded, and says what it leaves out; what is
// near the violation is kept.
func TestAPageIsBounded(t *testing.T) {
	r := example()
	long := strings.Repeat("x", 10_000)
	for i := range 60_000 {
		at := Instant(i) * 150_000
		r.Messages = append(r.Messages, Message{From: 1, To: 2, Sent: 8e9 - 9e9 + at, Arrived: at, Call: 100 + i, Name: "Fetch", Text: fmt.Sprint("from ", i), Idle: i%2 == 0})
	}
	for i := range 20_000 {
		r.Operations = append(r.Operations, Operation{Lane: 2, Partition: 1, Kind: "send", Invoked: Instant(i) * 4e5, Completed: Instant(i)*4e5 + 1, Outcome: OK, Text: fmt.Sprint(i, long[:300])})
		r.Events = append(r.Events, Event{At: Instant(i) * 4e5, Lane: 1, Kind: Log, Partition: None, Text: fmt.Sprint(i, long)})
		r.Replicas[0].States = append(r.Replicas[0].States, ReplicaState{At: 4e9 + Instant(i)*2e5, Role: "leader", Epoch: 2, End: int64(i)})
		r.Faults = append(r.Faults, Fault{Line: fmt.Sprint("crash ", i, long[:200])})
		r.Violations = append(r.Violations, Violation{Guarantee: "g", Sentence: fmt.Sprint(i)})
	}
	page := pageOf(t, r)
	if len(page) > MaxBytes {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, want := range []string{"messages: those that say least", "operations: those", "lines of logs: those", "changes of replicas: those", "more are not shown", "that are not shown"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	d := dataOf(t, page)
	if len(d.Messages) < 5000 || len(d.Operations) < 1000 {
		t.Errorf("only %d messages and %d operations are left", len(d.Messages), len(d.Operations))
	}
	for _, s := range d.Story {
		if op, ok := s[3].(float64); ok && op >= 0 && d.Operations[int(op)][2] != "send" && d.Operations[int(op)][2] != "poll" {
			t.Errorf("the story points at %v", d.Operations[int(op)])
		}
	}
}

// A page whose texts alone are too large becomes smaller until it fits.
func TestAPageOfHugeTextsFits(t *testing.T) {
	r := example()
	for i := range 3000 {
		r.Events = append(r.Events, Event{At: Instant(i), Lane: 1, Kind: Failure, Partition: 0, Text: strings.Repeat("\u2028<", 600) + fmt.Sprint(i)})
		r.Messages = append(r.Messages, Message{From: 1, To: 2, Sent: 8e9, Arrived: 9e9, Name: "Fetch", Text: strings.Repeat("<&>", 600) + fmt.Sprint(i)})
	}
	if n := len(pageOf(t, r)); n > MaxBytes {
		t.Errorf("the page has %d bytes", n)
	}
}

// An empty run is a page too.
func TestARunOfNothing(t *testing.T) {
	page := pageOf(t, &Run{Scenario: "quiet", Verdict: "held", Broke: Never})
	if d := dataOf(t, page); d.Focus.Partition != None || !strings.Contains(page, "Every guarantee held") {
		t.Error("the page of an empty run says something")
	}
}

// What the template names is there for the script, and the other way round.
func TestTheScriptFindsWhatItNames(t *testing.T) {
	page, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	_, script, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\bel\('([a-z]+)'\)`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(string(page), `id="`+m[1]+`"`) {
			t.Errorf("the script looks for %q, which the page does not have", m[1])
		}
	}
	if strings.Contains(script, "</script") || strings.Contains(script, "innerHTML") {
		t.Error("the script could end itself, or make markup of texts")
	}
}
