package quorum

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/sim"
)

// fill makes changes until a member has written a snapshot and forgotten entries
// twice.
func (r *rig) fill() {
	r.t.Helper()
	for i := 0; r.elect().q.snapshot.compacted == 0; i++ {
		r.active().change(fmt.Sprintf("fill-%d", i), strings.Repeat("x", 100))
		if i > 1000 {
			r.t.Fatal("no snapshot was written")
		}
	}
}

// NATS PR 7043. Planted bug: compact-log-before-snapshot-durable.
//
// The power goes at every step of a member that writes snapshots, with every
// effect lost that may be: it has to come back with all it acknowledged.
func TestPowerLossAtEveryStepOfASnapshot(t *testing.T) {
	snapshots := 0
	for steps := 0; steps < 1200; steps += 7 {
		r := newRigOn(t, sim.Options{Seed: 1}, 1, disksim.Options{Times: disksim.NVMe()})
		r.every = 300
		m := r.members[0]
		r.startAll()
		r.elect()
		var acked []string
		m.node.Go("changes", func() {
			for i := range 20 {
				name := fmt.Sprintf("k%d", i)
				if m.q.Change(set(name, strings.Repeat("x", 50))) == nil {
					acked = append(acked, name)
				}
			}
		})
		left := steps
		r.try(time.Minute, func() bool { left--; return left < 0 })
		if steps%2 == 0 {
			m.forget()
		} else {
			m.unplug(media.Posix)
		}
		m.restart()
		r.run(10*time.Second, fmt.Sprintf("it comes back after step %d", steps), func() bool { return r.active() == m || m.opened != nil })
		if m.opened != nil {
			t.Fatalf("after step %d: %v", steps, m.opened)
		}
		for _, name := range acked {
			if get(m.q.Image(), name) == "" {
				t.Fatalf("after step %d: %s was acknowledged, and is gone", steps, name)
			}
		}
		if m.q.snapshot.index > 0 {
			snapshots++
		}
		r.k.Close()
	}
	if snapshots < 50 {
		t.Errorf("only %d of the lives had a snapshot", snapshots)
	}
}

func TestAMemberThatIsFarBehindGetsASnapshot(t *testing.T) {
	for seed := range uint64(5) {
		r := newRigOn(t, sim.Options{Seed: seed}, 3, disksim.Options{Times: disksim.NVMe()})
		r.every = 2000
		r.startAll()
		r.elect()
		r.level()
		var behind *member
		for _, m := range r.members {
			if m != r.active() {
				behind = m
			}
		}
		behind.kill()
		r.fill()
		for i := range 30 {
			r.elect().change(fmt.Sprintf("more-%d", i), strings.Repeat("y", 100))
		}
		j := newJudge(r)
		behind.restart()
		r.lost = 300 // the snapshot, too, gets lost now and then
		r.run(5*time.Minute, "it has caught up", func() bool {
			if err := j.look(); err != nil {
				t.Fatal(err)
			}
			return behind.q != nil && behind.q.applied == r.members[0].q.applied && behind.q.applied == r.members[1].q.applied &&
				behind.q.snapshot.index > 0
		})
		if !r.probed("a controller took a snapshot from the leader") {
			t.Error("it caught up without a snapshot")
		}
		r.lost = 0
		r.level()
		if a, b := behind.q.View(), r.elect().q.View(); a.Digest() != b.Digest() || a.Chain != b.Chain {
			t.Errorf("seed %d: images differ", seed)
		}
		behind.forget()
		behind.restart()
		r.run(10*time.Second, "it comes back", func() bool { return behind.q != nil })
		r.level()
		if a, b := behind.q.View(), r.elect().q.View(); a.Digest() != b.Digest() || a.Chain != b.Chain {
			t.Errorf("seed %d: images differ after power loss", seed)
		}
		r.k.Close()
	}
}

// What watches the image learns of what a snapshot has removed, too.
func TestASnapshotTellsWhatIsGone(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 2}, 3)
	r.every = 2000
	r.startAll()
	a := r.elect()
	a.do(time.Second, func() {
		if err := a.q.Change(create("gone", 1)); err != nil {
			t.Error(err)
		}
	})
	r.level()
	var behind *member
	for _, m := range r.members {
		if m != a {
			behind = m
		}
	}
	topics := follow(behind.q)
	if !topics["gone"] {
		t.Fatal("the topic is not there to begin with")
	}
	r.isolate(behind, true)
	a = r.other(behind)
	a.do(time.Second, func() {
		for _, d := range []Decision{remove("gone"), create("new", 2)} {
			if err := a.q.Change(d); err != nil {
				t.Error(err)
			}
		}
	})
	r.fill()
	for i := range 40 {
		r.active().change(fmt.Sprintf("more-%d", i), strings.Repeat("y", 100))
	}
	r.isolate(behind, false)
	r.level()
	if !r.probed("a controller took a snapshot from the leader") {
		t.Fatal("it caught up without a snapshot")
	}
	if topics["gone"] || !topics["new"] {
		t.Errorf("who followed the records knows %v", topics)
	}
}

func TestWhatIsDamagedIsRefused(t *testing.T) {
	for _, what := range []string{Path + "/" + stateName, "snapshot", MetadataPath + "/00000000000000000000.log"} {
		file := what
		if what == "snapshot" {
			file = ""
		}
		r := newRig(t, sim.Options{Seed: 1}, 1)
		if what == "snapshot" {
			r.every = 1000
		}
		m := r.members[0]
		r.startAll()
		r.elect()
		if what == "snapshot" {
			r.fill()
		} else {
			for i := range 20 {
				m.change(fmt.Sprint("k", i), "1")
			}
		}
		r.pass(2 * checkpointAfter)
		m.forget()
		for _, name := range m.disk.Files() {
			if strings.HasPrefix(name, Path+"/"+snapshotPrefix) && what == "snapshot" {
				file = max(file, name)
			}
		}
		if !m.disk.Rot(file, 200, 3) && !m.disk.Rot(file, 30, 3) {
			t.Fatalf("%s is not there: %v", file, m.disk.Files())
		}
		m.restart()
		r.run(10*time.Second, "it is refused", func() bool { return m.opened != nil || m.q != nil })
		if m.opened == nil {
			t.Errorf("%s is damaged, and was taken", file)
			continue
		}
		if s := m.opened.Error(); strings.Contains(s, "\n") || !strings.Contains(s, "controller 0") {
			t.Errorf("%s is damaged: %q", file, s)
		}
		t.Log(m.opened)
		r.k.Close()
	}
}

func TestWhatIsGoneIsRefused(t *testing.T) {
	for _, gone := range []string{Path + "/" + stateName, MetadataPath, "snapshot"} {
		r := newRig(t, sim.Options{Seed: 1}, 1)
		if gone == "snapshot" {
			r.every = 1000
		}
		m := r.members[0]
		r.startAll()
		r.elect()
		if gone == "snapshot" {
			r.fill()
		}
		m.change("a", "1")
		m.forget()
		m.node.Restart()
		m.do(time.Minute, func() {
			fs := m.w.LogDirs[0].FS
			for _, name := range m.disk.Files() {
				if name == gone || strings.HasPrefix(name, gone+"/") || gone == "snapshot" && strings.HasPrefix(name, Path+"/"+snapshotPrefix) {
					if err := fs.Remove(name); err != nil {
						t.Error(err)
					}
				}
			}
		})
		m.start()
		r.run(10*time.Second, "it is refused", func() bool { return m.opened != nil || m.q != nil })
		if m.opened == nil {
			t.Errorf("%s is gone, and nobody noticed", gone)
			continue
		}
		t.Log(m.opened)
		r.k.Close()
	}
}
