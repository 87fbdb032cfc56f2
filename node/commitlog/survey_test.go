package commitlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// exploreRig returns a log that was closed: appended to, or compacted too.
func exploreRig(t *testing.T, compacted bool) *rig {
	r := newRig(t, sim.Options{Seed: 1}, compactConfig())
	r.cfg.IndexInterval = 600
	r.open()
	p := &kafkaProducer{id: 9}
	r.must(func() error {
		if err := writeTable(r.log, rand.New(rand.NewPCG(1, 2)), 60); err != nil || !compacted {
			return err
		}
		return compact(r.log, 1000)
	})
	r.append(p.batch(3))
	r.close()
	return r
}

func (r *rig) explore() (s *Survey) {
	r.t.Helper()
	r.must(func() (err error) { s, err = Explore(r.w.LogDirs[0].FS, rigPath); return err })
	return s
}

// TestExploreFindsDamage: whatever byte of whatever file is changed, the damage is
// found in that file; and nothing is before.
func TestExploreFindsDamage(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		r := exploreRig(t, compacted)
		sound := r.explore()
		if len(sound.Damage) > 0 || len(sound.Notes) > 0 || !sound.Manifest.Clean {
			t.Fatalf("sound: %+v", sound)
		}
		var records int64
		for _, g := range sound.Segments {
			records += g.Records
		}
		if records == 0 || sound.Snapshots[len(sound.Snapshots)-1].Producers != 1 || sound.Topic != "orders" || sound.Partition != 2 {
			t.Errorf("sound: %+v", sound)
		}
		stream := rand.New(rand.NewPCG(5, 5))
		for _, path := range r.disk.Files() {
			name, mine := strings.CutPrefix(path, rigPath+"/")
			size, err := r.disk.DurableSize(path)
			if err != nil || !mine || size == 0 {
				continue
			}
			for range 6 {
				at := stream.Int64N(size)
				if name == manifestName { // behind the facts are zeros, and a bad last one is a torn one
					at = stream.Int64N(headerSize + int64(sound.Manifest.Facts-8)*factSize)
				}
				r.damage(name, at)
				found := r.explore()
				if !slices.ContainsFunc(found.Damage, func(d Damage) bool { return d.File == name }) {
					t.Errorf("byte %d of %d of %s: %+v", at, size, name, found)
				}
				r.damage(name, at) // as it was
			}
		}
		if again := r.explore(); len(again.Damage) > 0 {
			t.Errorf("mended: %+v", again.Damage)
		}
	}
}

func TestExploreMissesWhatIsMissing(t *testing.T) {
	r := exploreRig(t, false)
	first := r.explore().Segments[0].File
	for name, want := range map[string]string{first: "is missing", manifestName: "cannot be read", partitionName: "cannot be read"} {
		path := rigPath + "/" + name
		r.must(func() error { return r.w.LogDirs[0].FS.Rename(path, "aside") })
		found := r.explore()
		if !slices.ContainsFunc(found.Damage, func(d Damage) bool { return d.File == name && strings.Contains(d.What, want) }) {
			t.Errorf("without %s: %+v", name, found.Damage)
		}
		r.must(func() error { return r.w.LogDirs[0].FS.Rename("aside", path) })
	}
}

// A torn tail is what a crash leaves, no damage; below what had been synced it is.
func TestExploreTellsATornTailFromRot(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(5, 3, 50)
	r.must(func() error { return r.log.Checkpoint() })
	r.fill(2, 3, 50)
	name := strings.TrimPrefix(r.log.active().String(), rigPath+"/")
	size := r.log.active().size
	r.kill()
	r.must(func() error {
		f, err := r.w.LogDirs[0].FS.OpenFile(rigPath+"/"+name, env.Write)
		if err == nil {
			_, err = f.WriteAt([]byte("half a batch"), size)
		}
		return errors.Join(err, f.Close())
	})
	if s := r.explore(); len(s.Damage) > 0 || !strings.Contains(fmt.Sprint(s.Notes), "torn tail") {
		t.Errorf("torn tail: %+v, notes %q", s.Damage, s.Notes)
	}
	r.damage(name, 100)
	if s := r.explore(); len(s.Damage) == 0 {
		t.Errorf("rot: %+v, notes %q", s.Damage, s.Notes)
	}
}

// Kafka's .log files hold the same batches.
func TestExploreReadsForeignDirectories(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	r.close()
	r.must(func() error {
		return errors.Join(r.w.LogDirs[0].FS.Remove(rigPath+"/"+manifestName), r.w.LogDirs[0].FS.Remove(rigPath+"/"+partitionName))
	})
	s := r.explore()
	if s.Format != "kafka" || s.Topic != "orders" || s.Partition != 2 || len(s.Damage) > 0 || len(s.Segments) < 3 || s.Segments[len(s.Segments)-1].End != 300 {
		t.Errorf("%+v", s)
	}
	r.damage(s.Segments[1].File, 200)
	if s := r.explore(); len(s.Damage) != 1 || s.Damage[0].File != s.Segments[1].File {
		t.Errorf("%+v", s.Damage)
	}
	r.must(func() error {
		if ok, err := Explorable(r.w.LogDirs[0].FS, rigPath); err != nil || !ok {
			return fmt.Errorf("explorable: %t, %w", ok, err)
		}
		if ok, err := Explorable(r.w.LogDirs[0].FS, "nothing"); !errors.Is(err, env.ErrNotExist) || ok {
			return fmt.Errorf("nothing is explorable: %t, %w", ok, err)
		}
		return nil
	})
}
