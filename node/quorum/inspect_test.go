package quorum

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

func TestInspectReadsWhatAMemberWrote(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.every = 2000
	r.startAll()
	r.fill()
	m := r.elect()
	joining := r.add(1, m.voters)
	joining.start()
	r.run(time.Second, "it runs", func() bool { return joining.q != nil })
	r.addVoter(joining)
	m.change("last", "1")
	want := m.q.View()
	m.kill()
	before := fmt.Sprint(m.disk.Files())
	m.node.Restart()
	m.do(time.Minute, func() {
		i, err := Inspect(m.w.LogDirs[0].FS, ".")
		if err != nil {
			t.Fatal(err)
		}
		if i.State == nil || i.State.Term != want.DurableTerm || i.State.Vote != want.DurableVote || len(i.State.Began) != 1 {
			t.Errorf("state %+v", i.State)
		}
		newest := i.Snapshots[len(i.Snapshots)-1]
		if len(newest.Voters) != 1 || len(newest.Records) < 5 || newest.Members[0].Directory == (meta.DirectoryID{}) {
			t.Errorf("snapshot %+v", newest)
		}
		last, changes := EntryView{}, ""
		if err := i.Entries(func(e EntryView) bool {
			last = e
			if e.Members != "" {
				changes += e.Members + "; "
			}
			return true
		}); err != nil {
			t.Error(err)
		}
		if uint64(last.Offset)+1 != want.Last || len(last.Records) != 1 || last.Term != want.Term {
			t.Errorf("last entry %+v", last)
		}
		if !strings.Contains(changes, "learner 1") || !strings.Contains(changes, "voter 1; leave the joint configuration") {
			t.Errorf("changes of the members: %s", changes)
		}
		if len(i.Damage) > 0 {
			t.Error(i.Damage)
		}
	})
	if after := fmt.Sprint(m.disk.Files()); after != before {
		t.Errorf("files %s became %s", before, after)
	}
}
