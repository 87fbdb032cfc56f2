package scenarios

import (
	"testing"

	"github.com/klammlog/klamm/sim"
)

func TestRotThatNoDiskMadeIsAViolation(t *testing.T) {
	probes := []sim.Count{{Name: "a read began again because its segment was gone", Times: 3}, {Name: rotFound[0]}}
	if got := rotOf(probes); len(got) > 0 {
		t.Errorf("without rot: %v", got)
	}
	probes[1].Times = 2
	if got := rotOf(probes); len(got) != 1 || got[0].Guarantee != noRot {
		t.Errorf("with rot: %v", got)
	}
}
