package scenarios

import "testing"

// benchmarkScenario reports checked client operations per second of real time on
// one core, everything included: assembling, running, observing, judging.
func benchmarkScenario(b *testing.B, name string, set ...string) {
	operations, virtual := 0, int64(0)
	for i := range b.N {
		o, err := Run(Spec{Scenario: name, Seed: uint64(i + 1), Set: set}, Watch{})
		if err != nil {
			b.Fatal(err)
		}
		operations += o.Operations.Total
		virtual += o.VirtualNanos
	}
	b.ReportMetric(float64(operations)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(virtual)/float64(b.Elapsed().Nanoseconds()), "virtual/wall")
}

// eightClients make a run as busy as a cluster of three brokers has to stand it.
var eightClients = []string{"run.producers=4", "run.consumers=3", "run.raws=1", "run.sends=8000"}

func BenchmarkCluster(b *testing.B)      { benchmarkScenario(b, "everything", eightClients...) }
func BenchmarkQuiet(b *testing.B)        { benchmarkScenario(b, "quiet") }
func BenchmarkPowerLoss(b *testing.B)    { benchmarkScenario(b, "power-loss") }
func BenchmarkFlakyNetwork(b *testing.B) { benchmarkScenario(b, "flaky-network") }
func BenchmarkEverything(b *testing.B)   { benchmarkScenario(b, "everything") }
