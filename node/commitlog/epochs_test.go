package commitlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

func epochsOf(pairs ...int64) *Epochs {
	e := &Epochs{}
	for i := 0; i < len(pairs); i += 2 {
		e.entries = append(e.entries, EpochStart{kafka.LeaderEpoch(pairs[i]), kafka.Offset(pairs[i+1])})
	}
	return e
}

// TestEndOffsetFor: the answers of KIP-279, for epochs 2, 5 and 6 that start at
// 10, 20 and 30 in a log that ends at 40.
func TestEndOffsetFor(t *testing.T) {
	e := epochsOf(2, 10, 5, 20, 6, 30)
	for _, test := range []struct {
		name  string
		epoch kafka.LeaderEpoch
		want  EpochStart
	}{
		{"the latest ends at the log's end", 6, EpochStart{6, 40}},
		{"one before ends where the next starts", 5, EpochStart{5, 30}},
		{"one that wrote nothing ends with the one before it", 4, EpochStart{2, 20}},
		{"one older than the log", 1, EpochStart{1, 10}},
		{"one that nobody here knows", 7, EpochStart{kafka.NoLeaderEpoch, kafka.NoOffset}},
		{"none", kafka.NoLeaderEpoch, EpochStart{kafka.NoLeaderEpoch, kafka.NoOffset}},
	} {
		t.Run(test.name, func(t *testing.T) {
			epoch, end := e.EndOffsetFor(test.epoch, 40)
			if got := (EpochStart{epoch, end}); got != test.want {
				t.Errorf("epoch %d: %+v, want %+v", test.epoch, got, test.want)
			}
		})
	}
	if epoch, end := (&Epochs{}).EndOffsetFor(0, 40); epoch != kafka.NoLeaderEpoch || end != kafka.NoOffset {
		t.Errorf("without epochs: %d, %d", epoch, end)
	}
}

func TestAssignForgetsWhatContradictsIt(t *testing.T) {
	for _, test := range []struct {
		name  string
		epoch kafka.LeaderEpoch
		start kafka.Offset
		want  *Epochs
	}{
		{"a new epoch", 7, 35, epochsOf(2, 10, 5, 20, 7, 35)},
		{"the same epoch, later", 5, 25, epochsOf(2, 10, 5, 20)},
		{"the same epoch, earlier", 5, 15, epochsOf(2, 10, 5, 15)},
		{"a new epoch at the same offset", 6, 20, epochsOf(2, 10, 6, 20)},
		{"a new epoch before others", 6, 5, epochsOf(6, 5)},
		{"an epoch that goes back", 3, 40, epochsOf(2, 10, 3, 40)},
		{"no epoch", kafka.NoLeaderEpoch, 40, epochsOf(2, 10, 5, 20)},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := epochsOf(2, 10, 5, 20)
			changed := e.Assign(test.epoch, test.start)
			if diff := cmp.Diff(test.want.entries, e.entries); diff != "" {
				t.Error(diff)
			}
			if want := !cmp.Equal(e.entries, epochsOf(2, 10, 5, 20).entries); changed != want {
				t.Errorf("changed is %t", changed)
			}
		})
	}
}

// TestEpochsAgainstAList: a log is a list of epochs, one for each offset, and
// every answer can be read off it.
func TestEpochsAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, list, first := &Epochs{}, []kafka.LeaderEpoch{}, 0
		epoch := kafka.LeaderEpoch(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				epoch += kafka.LeaderEpoch(rapid.IntRange(0, 2).Draw(t, "later"))
				for range rapid.IntRange(1, 3).Draw(t, "records") {
					e.Assign(epoch, kafka.Offset(len(list)))
					list = append(list, epoch)
				}
			},
			"truncate end": func(t *rapid.T) {
				end := rapid.IntRange(first, len(list)).Draw(t, "end")
				list = list[:end]
				e.TruncateEnd(kafka.Offset(end))
			},
			"truncate start": func(t *rapid.T) {
				if len(list) > first {
					first = rapid.IntRange(first, len(list)-1).Draw(t, "start")
					e.TruncateStart(kafka.Offset(first))
				}
			},
			"restart": func(t *rapid.T) {
				decoded, err := DecodeEpochs(e.Encode(nil))
				if err != nil {
					t.Fatal(err)
				}
				e = decoded
			},
			"": func(t *rapid.T) { compareEpochs(t, e, list, first) },
		})
	})
}

func compareEpochs(t *rapid.T, e *Epochs, list []kafka.LeaderEpoch, first int) {
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	for at := first; at < len(list); at++ {
		if got := e.EpochAt(kafka.Offset(at)); got != list[at] {
			t.Fatalf("epoch at %d is %d, want %d", at, got, list[at])
		}
	}
	if len(list) == first {
		return
	}
	for asked := list[first]; asked <= list[len(list)-1]; asked++ {
		epoch, end := e.EndOffsetFor(asked, kafka.Offset(len(list)))
		i := first
		for i < len(list) && list[i] <= asked {
			i++
		}
		if int(end) != i || epoch != list[i-1] {
			t.Fatalf("epoch %d ends at %d of epoch %d, want %d of %d", asked, end, epoch, i, list[i-1])
		}
	}
}

func TestDecodeEpochsRefuses(t *testing.T) {
	good := epochsOf(2, 10, 5, 20).Encode(nil)
	for n := range good {
		if _, err := DecodeEpochs(good[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(good))
		}
	}
	for _, bad := range []*Epochs{epochsOf(2, 10, 2, 20), epochsOf(2, 10, 3, 10), epochsOf(-2, 10)} {
		if _, err := DecodeEpochs(bad.Encode(nil)); err == nil {
			t.Errorf("%+v was taken", bad.entries)
		}
	}
}
