package netsim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"pgregory.net/rapid"
)

var testHosts = []string{"n1", "n2", "n3", "client-1", "client-2"}

func TestFaultPrintsAndParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom(Families()).Draw(t, "family")
		hosts := testHosts[:rapid.IntRange(3, len(testHosts)).Draw(t, "hosts")]
		start := kafka.Instant(rapid.Int64Range(0, 1e12).Draw(t, "start"))
		in := Window{start, start.Add(time.Duration(rapid.Int64Range(1, 1e12).Draw(t, "span")))}
		f := Draw(family, sim.Stream(rapid.Uint64().Draw(t, "seed"), "faults"), hosts, in)
		got, err := ParseFault(f.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Fatalf("%s came back different:\n%s", f, diff)
		}
		if strings.Contains(f.String(), "\n") {
			t.Fatalf("%q is more than a line", f)
		}
	})
}

func TestDrawnFaultsKeepToTheirWindowAndHosts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom(Families()).Draw(t, "family")
		hosts := testHosts[:rapid.IntRange(3, len(testHosts)).Draw(t, "hosts")]
		in := Window{kafka.Instant(time.Second), kafka.Instant(time.Minute)}
		f := Draw(family, sim.Stream(rapid.Uint64().Draw(t, "seed"), "faults"), hosts, in)
		if f.At < in.Start || f.At.Add(f.For) > in.End.Add(20) {
			t.Fatalf("%s is outside of %v", f, in)
		}
		for _, h := range slices.Concat(f.A, f.B) {
			if !slices.Contains(hosts, h) {
				t.Fatalf("%s: host %s is not among %v", f, h, hosts)
			}
		}
		if err := f.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFaultsDrawnAroundACenterTouchIt(t *testing.T) {
	stage := Stage{Hosts: testHosts, Center: "n2", Window: Window{0, kafka.Instant(time.Minute)}}
	for seed := range uint64(200) {
		for _, family := range Families() {
			f := stage.Draw(family, sim.Stream(seed, "faults"))
			a := Applied{Fault: f, cutOff: f.A}
			touches := f.Family <= Partial || f.Family == Reset || specs[f.Family].need == needA && len(f.B) == 0
			for _, other := range testHosts {
				if other != "n2" && (a.blocks("n2", other) || a.blocks(other, "n2")) {
					touches = true
				}
			}
			if (family == Refuse || family == AcceptStall) && !slices.Contains(f.A, "n2") {
				touches = false
			}
			if !touches {
				t.Errorf("seed %d: %s passes n2 by", seed, f)
			}
		}
	}
}

func TestParsingDoesNotDependOnTheOrderOfParts(t *testing.T) {
	f, err := ParseFault("latency tail=5s from=n1 share=1/20 jitter=2ms at=1.5s base=1ms for=3s")
	if err != nil {
		t.Fatal(err)
	}
	const want = "latency at=1.5s for=3s from=n1 base=1ms jitter=2ms share=1/20 tail=5s"
	if f.String() != want {
		t.Errorf("got  %s\nwant %s", f, want)
	}
}

func TestBadFaultsAreRefused(t *testing.T) {
	for _, line := range []string{
		"",
		"quake at=1s",
		"split left=n1",
		"split left=n1 right=n2 via=n3",
		"split left=n1, right=n2",
		"split left=n1 right=n2 rate=3",
		"split left=n1 right=n2 at=-1s",
		"split left=n1 right=n2 at=1s at=2s",
		"split left=n1 right=n2 for",
		"bridge left=n1 right=n2",
		"clog from=n1,n2 to=n3",
		"swizzle-clog for=1s order=n1,n2 release=n1,n1",
		"swizzle-clog order=n1,n2 release=n2,n1",
		"loss share=3/2",
		"loss share=1/0",
		"loss share=x/2",
		"loss",
		"bandwidth rate=0",
		"bandwidth rate=9000000000000000000",
		"buffer size=-1",
		"reset share=1/1 for=1s",
		"refuse hosts=*",
		"isolate",
		"latency base=-1s share=0/1",
	} {
		if f, err := ParseFault(line); err == nil {
			t.Errorf("%q was read as %s", line, f)
		}
	}
}

func TestFaultsOfUnknownHostsAreRefused(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	for _, line := range []string{"refuse hosts=c", "bridge left=a right=b via=c", "split left=a right=c"} {
		f, err := ParseFault(line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.net.Apply(f); err == nil {
			t.Errorf("%s was applied", f)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, family := range Families() {
		f.Add(Draw(family, sim.Stream(1, "faults"), testHosts, Window{0, kafka.Instant(time.Minute)}).String())
	}
	f.Fuzz(func(t *testing.T, line string) {
		fault, err := ParseFault(line)
		if err != nil {
			return
		}
		again, err := ParseFault(fault.String())
		if err != nil {
			t.Fatalf("%q was read as %q, which is refused: %v", line, fault, err)
		}
		if diff := cmp.Diff(fault, again); diff != "" {
			t.Fatalf("%q came back different:\n%s", fault, diff)
		}
	})
}
