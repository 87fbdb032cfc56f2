package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// anyController reads from a drawn member, and its answers get lost.
type anyController struct {
	r    *rig
	self *member
}

func (a anyController) ReadMetadata(from kafka.Offset, maxBytes int, deadline kafka.Instant) (Page, error) {
	draw := a.r.k.Rand("remote")
	m := a.r.members[draw.IntN(3)]
	if m.q == nil || draw.IntN(10) == 0 {
		return Page{}, errors.New("unreachable")
	}
	p, err := m.q.ReadCommitted(from, min(maxBytes, 1+draw.IntN(2000)), deadline)
	if err != nil || draw.IntN(10) == 0 {
		return Page{}, errors.Join(err, errors.New("lost"))
	}
	return DecodePage(AppendPage(nil, p))
}

// A garbler flips a bit of the first piece of a snapshot that it is asked for.
type garbler struct {
	anyController
	done bool
}

func (g *garbler) ReadMetadata(from kafka.Offset, maxBytes int, deadline kafka.Instant) (Page, error) {
	p, err := g.anyController.ReadMetadata(from, maxBytes, deadline)
	if err == nil && !g.done && len(p.Piece) > 0 {
		p.Piece, g.done = slices.Clone(p.Piece), true
		p.Piece[len(p.Piece)/2] ^= 1
	}
	return p, err
}

// observe starts an observer on a machine of its own.
func (r *rig) observe(m *member, every int64) *Observer {
	r.t.Helper()
	return r.observeFrom(m, every, anyController{r, m})
}

func (r *rig) observeFrom(m *member, every int64, remote Remote) *Observer {
	r.t.Helper()
	var o *Observer
	m.do(10*time.Second, func() {
		d, err := commitlog.OpenDir(m.w, m.w.LogDirs[0], commitlog.DirOptions{})
		if err == nil {
			o, err = Observe(m.w, ObserverOptions{Dir: d, FS: m.w.LogDirs[0].FS, Remote: remote, SnapshotEvery: every})
		}
		if err != nil {
			r.t.Error(err)
		}
	})
	if o == nil {
		r.t.FailNow()
	}
	return o
}

func TestAnObserverFollows(t *testing.T) {
	for seed := range uint64(6) {
		r := newRigOn(t, sim.Options{Seed: seed}, 3, disksim.Options{Times: disksim.NVMe()})
		r.every = []int64{1 << 20, 1500}[seed%2]
		r.startAll()
		r.elect()
		if seed%2 == 1 {
			r.fill() // it has to begin with a snapshot
		}
		at := r.add(7, nil)
		o := r.observe(at, 1000)
		topics := follow(o)
		for i := range 30 {
			a := r.elect()
			a.change(fmt.Sprint("k", i), strings.Repeat("x", 50))
			if i == 10 {
				a.do(time.Second, func() {
					if err := a.q.Change(create("t", 1)); err != nil {
						t.Error(err)
					}
				})
			}
			if i == 15 {
				a.kill()
				r.elect()
				a.restart()
			}
		}
		same := func() bool {
			a := r.active()
			return a != nil && o.Applied() == a.q.Applied() && o.chain == a.q.chain
		}
		r.run(time.Minute, "the observer has followed", same)
		if a := r.elect(); o.Image().Digest() != a.q.Image().Digest() || !topics["t"] {
			t.Errorf("seed %d: the observer has another image", seed)
		}
		r.run(time.Minute, "it knows the leader", func() bool {
			id, epoch := o.Leader()
			now, term := r.elect().q.Leader()
			return id == now && epoch == term
		})
		if len(o.Voters()) != 3 {
			t.Errorf("seed %d: voters %v", seed, o.Voters())
		}
		// It comes back with what it had written down.
		saved := o.saved
		if saved == 0 {
			t.Fatalf("seed %d: it wrote no snapshot", seed)
		}
		at.forget()
		at.node.Restart()
		o = r.observe(at, 1000)
		if uint64(o.Applied()) < saved {
			t.Errorf("seed %d: it had written down %d, and came back with %d", seed, saved, o.Applied())
		}
		r.run(time.Minute, "the observer has followed again", same)
		at.do(10*time.Second, func() {
			if err := o.Close(kafka.Never); err != nil || o.Failed() != nil {
				t.Error(err, o.Failed())
			}
		})
		r.k.Close()
	}
}

// A snapshot that is not what was sent is fetched again, and so is one that the observer
// wrote down and that has rotted since.
func TestAnObserverFetchesDamagedSnapshotsAgain(t *testing.T) {
	r := newRigOn(t, sim.Options{Seed: 1}, 3, disksim.Options{Times: disksim.NVMe()})
	r.every = 1500
	r.startAll()
	r.fill()
	at := r.add(7, nil)
	o := r.observeFrom(at, 1, &garbler{anyController: anyController{r, at}})
	same := func() bool { return o.saved > 0 && uint64(o.Applied()) == o.saved && o.chain == r.elect().q.chain }
	r.run(time.Minute, "the observer has followed", same)
	if !r.probed("an observer got a snapshot that is not whole") {
		t.Error("a snapshot with a wrong bit was taken")
	}
	at.forget()
	for range 40 {
		disksim.Fault{Kind: disksim.FaultRot, Disk: at.disk.Name(), Path: observerPath + "/*"}.Apply(at.disk)
	}
	at.node.Restart()
	o = r.observe(at, 1)
	if !r.probed("an observer dropped a damaged snapshot") {
		t.Error("a rotten snapshot was taken")
	}
	r.run(time.Minute, "the observer has followed again", same)
}

func TestPagesComeBackAsTheyWere(t *testing.T) {
	for _, p := range []Page{
		{Leader: meta.NoLeader},
		{Leader: 2, Epoch: 3, End: 7, Voters: []Voter{{ID: 1, Address: "a:1", Directory: meta.DirectoryID{1}}},
			Entries: []PageEntry{{Index: 5, Term: 2, Kind: 0, Data: []byte("x")}, {Index: 6, Term: 3, Kind: 1, Data: []byte{}}}, Piece: []byte{}},
		{Leader: 1, Index: 9, Sum: 77, At: 4, Total: 8, Piece: []byte{1, 2, 3, 4}},
	} {
		b := AppendPage(nil, p)
		got, err := DecodePage(b)
		if err != nil {
			t.Fatal(err)
		}
		if p.Piece == nil {
			p.Piece = []byte{}
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Error(diff)
		}
		for n := range b {
			if _, err := DecodePage(b[:n]); !errors.Is(err, errMalformed) {
				t.Fatalf("%d of %d bytes: %v", n, len(b), err)
			}
		}
	}
}

// A long poll returns when there is something, and when its time is up.
func TestReadCommittedWaits(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	m := r.elect()
	end := m.q.Applied()
	var p Page
	var took time.Duration
	m.node.Go("read", func() {
		before := m.w.Now()
		p, _ = m.q.ReadCommitted(end, 1000, m.w.Now().Add(time.Minute))
		took = m.w.Now().Sub(before) + 1
	})
	r.pass(time.Second)
	if took != 0 {
		t.Fatalf("it returned %+v", p)
	}
	m.change("a", "1")
	r.run(time.Second, "it returns", func() bool { return took != 0 })
	if len(p.Entries) != 1 || p.Entries[0].Index != uint64(end)+1 || p.End != end+1 {
		t.Errorf("it returned %+v", p)
	}
	m.do(time.Minute, func() {
		before := m.w.Now()
		p, err := m.q.ReadCommitted(m.q.Applied(), 1000, before.Add(time.Second))
		if err != nil || len(p.Entries) > 0 || m.w.Now().Sub(before) < time.Second {
			t.Errorf("%+v %v after %s", p, err, m.w.Now().Sub(before))
		}
	})
}
