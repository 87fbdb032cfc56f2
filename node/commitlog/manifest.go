package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A manifest is the journal of what happened to one log's files: a header and
// slots of factSize bytes. Slots behind the last fact are zero.
//
// A fact is applied to the catalog when it is durable, never before.
type manifest struct {
	w       *env.World
	d       *Dir
	path    string // of the file
	parent  string // of its directory
	slot    *slot
	turn    *env.Turn
	h       header
	seed    uint32
	catalog catalog

	used   int    // slots that hold facts
	proven int    // of them, those that a fact or a sync of ours says are durable
	doubt  []fact // the others: what the process before wrote last
	room   int    // slots that the file has space for
	stale  int    // slots below this may hold garbage: a write failed half way

	completing func(whole *catalog) // called before a partial catalog becomes whole. Blocks
}

const (
	manifestName = "manifest"

	// blockSlots is by how many slots the file grows.
	blockSlots = 64

	// spareSlots are kept for what makes room on a full disk.
	spareSlots = 8
)

// A need says whether a fact may take the last slots there are.
type need uint8

const (
	mayWait need = iota
	mustFit
)

func newManifest(d *Dir, dir string, h header) *manifest {
	h.kind = kindManifest
	m := &manifest{w: d.w, d: d, parent: dir, path: dir + "/" + manifestName, h: h}
	m.slot = d.files.slot(m.path, env.Write)
	m.turn = env.NewTurn(d.w, "manifest "+dir)
	return m
}

// create writes an empty manifest. Nobody relies on the file before the
// directory is synced. Blocks.
func (m *manifest) create() error {
	m.catalog.point.base = kafka.NoOffset
	return m.replace(m.path)
}

// replace writes a new file that holds the catalog's facts and nothing else.
// Blocks.
func (m *manifest) replace(path string) error {
	h := m.h
	h.number = m.d.number()
	facts := m.catalog.facts()
	room := (len(facts)/blockSlots + 1) * blockSlots
	b := make([]byte, headerSize+room*factSize)
	copy(b, h.encode())
	seed := h.seed()
	for i, f := range facts {
		f.encode(b[headerSize+i*factSize:], seed)
	}
	f, err := m.d.fs.OpenFile(path, env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	_, err = writeFull(f, b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	m.h, m.seed, m.room, m.stale = h, seed, room, 0
	m.used, m.proven, m.doubt = len(facts), len(facts), nil
	return nil
}

// load reads the manifest, as much of it as a clean start needs. A tail that was
// torn is dropped and zeroed by the first append; anything else that is wrong
// quarantines. torn reports whether there was one. Blocks.
func (m *manifest) load() (torn bool, err error) {
	f, err := m.d.fs.OpenFile(m.path, env.ReadOnly)
	if err != nil {
		return false, err
	}
	ok, err := m.loadTail(f)
	if err == nil && !ok {
		torn, err = m.loadWhole(f)
	}
	return torn, errors.Join(err, f.Close())
}

// loadTail makes a partial catalog from the end of the file; ok is false if that
// holds no summary. A file that is small is better read at once. Blocks.
func (m *manifest) loadTail(f env.File) (ok bool, err error) {
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	slots := int(max(0, size-headerSize) / factSize)
	if slots == 0 || slots <= tailSlots && !m.w.Buggify("read the end of a manifest only") {
		return false, nil
	}
	from := max(0, slots-tailSlots)
	b := make([]byte, headerSize+(slots-from)*factSize)
	if err := readFull(f, b[:headerSize], 0); err != nil {
		return false, err
	}
	if err := readFull(f, b[headerSize:], headerSize+int64(from)*factSize); err != nil {
		return false, err
	}
	h, err := m.parseHeader(b)
	if err != nil {
		return false, err
	}
	c, used, ok := tailCatalog(b[headerSize:], from, h.seed())
	if ok {
		m.h, m.seed, m.catalog = h, h.seed(), *c
		m.used, m.proven, m.room, m.stale = used, used, slots, used
	}
	return ok, nil
}

// complete makes a partial catalog whole. Blocks.
func (m *manifest) complete() error {
	if !m.catalog.partial {
		return nil
	}
	if err := m.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer m.turn.Leave()
	return m.completeHeld()
}

// completeHeld is complete for who has the turn. What fails to be read is read
// twice more: the log was opened without it.
func (m *manifest) completeHeld() error {
	for try := 0; m.catalog.partial; try++ {
		err := m.readRest()
		if err != nil && (!errors.Is(err, env.ErrIO) || try == 2) {
			return err
		}
	}
	return nil
}

// readRest reads the file of a partial catalog, to which nothing was added since.
func (m *manifest) readRest() error {
	f, err := m.d.fs.OpenFile(m.path, env.ReadOnly)
	if err != nil {
		return err
	}
	n := newManifest(m.d, m.parent, m.h)
	torn, err := n.loadWhole(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if n.h != m.h || torn || n.used != m.used {
		return fmt.Errorf("%s: %w: it had %d records and has %d", m.path, ErrQuarantined, m.used, n.used)
	}
	if err := m.catalog.checkSummary(&n.catalog); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	m.w.Probe("a manifest was read when it was needed")
	m.completing(&n.catalog)
	m.catalog, m.proven, m.doubt, m.stale = n.catalog, n.proven, n.doubt, n.stale
	return nil
}

// parseHeader reads the header of the manifest's file.
func (m *manifest) parseHeader(b []byte) (header, error) {
	h, err := parseHeader(b, kindManifest)
	if err != nil {
		return h, fmt.Errorf("%s: %w: %w", m.path, ErrQuarantined, err)
	}
	if !h.sameOwner(m.h) {
		return h, fmt.Errorf("%s: %w: belongs to another log: topic %s partition %d in directory %x",
			m.path, ErrQuarantined, h.topic, h.partition, h.dir)
	}
	return h, nil
}

// loadWhole reads all of the file. Blocks.
func (m *manifest) loadWhole(f env.File) (torn bool, err error) {
	b, err := readAllOf(f)
	if err != nil {
		return false, err
	}
	h, err := m.parseHeader(b)
	if err != nil {
		return false, err
	}
	m.h, m.seed = h, h.seed()
	slots := b[headerSize:]
	var facts []fact
	var garbage int
	m.catalog.point.base = kafka.NoOffset
	m.w.Offload(func() { // nobody else knows this manifest's catalog yet
		facts, garbage, err = parseFacts(slots, m.seed)
		for _, f := range facts {
			m.catalog.apply(f)
			m.proven = max(m.proven, int(f.synced))
		}
	})
	if err != nil {
		return false, fmt.Errorf("%s: %w", m.path, err)
	}
	m.used, m.room, m.stale = len(facts), len(slots)/factSize, garbage
	m.doubt = facts[m.proven:]
	return garbage > len(facts), nil
}

// parseFacts returns the facts up to the first slot that holds none, and behind
// which slot everything is zero. A slot that is bad although a later fact proves
// that it had been durable has rotted.
func parseFacts(b []byte, seed uint32) (facts []fact, garbage int, err error) {
	good := true
	facts = make([]fact, 0, len(b)/factSize)
	for i := 0; (i+1)*factSize <= len(b); i++ {
		slot := b[i*factSize : (i+1)*factSize]
		f, ok := parseFact(slot, seed)
		switch {
		case ok && int(f.synced) > len(facts):
			return nil, 0, fmt.Errorf("%w: record %d is bad and had been synced", ErrQuarantined, len(facts))
		case ok && good:
			facts = append(facts, f)
			garbage = i + 1
		case ok || !zero(slot):
			good, garbage = false, i+1
		default:
			good = false
		}
	}
	return facts, garbage, nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// append makes facts durable, in order, and applies them. Without space it
// fails with env.ErrNoSpace and nothing has happened; what else fails takes the
// directory out of service. Blocks.
func (m *manifest) append(n need, facts ...fact) error {
	if err := m.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer m.turn.Leave()
	if m.d.failed != nil {
		return m.d.failed
	}
	if err := m.completeHeld(); err != nil {
		return err
	}
	f, err := m.slot.pin()
	if err != nil {
		return m.judge("open", err)
	}
	defer m.slot.unpin()
	if err := m.grow(f, n, len(facts)); err != nil {
		return m.judge("grow", err)
	}
	if err := m.write(f, facts); err != nil {
		return m.judge("write", err)
	}
	if err := f.SyncData(); err != nil {
		return m.d.fail("sync "+m.path, err)
	}
	m.used += len(facts)
	m.proven, m.doubt = m.used, nil
	for _, f := range facts {
		m.catalog.apply(f)
	}
	return nil
}

// prove makes durable what the process before wrote last. It may have failed to sync
// it, and what is read may be in memory only: nothing is removed because of it before.
// Blocks.
func (m *manifest) prove() error {
	if len(m.doubt) == 0 {
		return nil
	}
	m.w.Probe("a manifest was made durable before it was acted on")
	return m.append(mustFit)
}

// judge decides what an error other than a sync's means.
func (m *manifest) judge(op string, err error) error {
	if passing(err) || errors.Is(err, env.ErrCanceled) {
		return fmt.Errorf("%s: %s: %w", m.path, op, err)
	}
	return m.d.fail(op+" "+m.path, err)
}

// grow makes room for n more facts.
func (m *manifest) grow(f env.File, how need, n int) error {
	if m.used+n+spareSlots <= m.room {
		return nil
	}
	room := m.room + max(blockSlots, (n/blockSlots+1)*blockSlots)
	err := f.Allocate(headerSize+int64(m.room)*factSize, int64(room-m.room)*factSize)
	if errors.Is(err, env.ErrNoSpace) && how == mustFit && m.used+n <= m.room {
		m.w.Probe("a full disk left room for a fact that makes room")
		return nil
	}
	if err == nil {
		m.room = room
	}
	return err
}

// write writes facts behind those there are, and zeros over what a torn or
// failed write left behind them. The first time, it writes again what the
// process before wrote last: if its sync failed, the kernel may believe that it
// is on the disk. If it fails, what it wrote is garbage.
func (m *manifest) write(f env.File, facts []fact) error {
	all := append(slices.Clone(m.doubt), facts...)
	b := make([]byte, max(len(all), m.stale-m.proven)*factSize)
	for i, fact := range all {
		if i >= len(m.doubt) {
			fact.synced, fact.cut = uint32(m.proven), max(fact.cut, m.catalog.cuts)
			facts[i-len(m.doubt)] = fact
		}
		fact.encode(b[i*factSize:], m.seed)
	}
	n, err := writeFull(f, b, headerSize+int64(m.proven)*factSize)
	if err != nil {
		m.stale = max(m.stale, m.proven+n/factSize+1)
		return err
	}
	m.stale = 0
	return nil
}

// maybeRewrite replaces the file by a shorter one if most of its facts are
// superseded. It can fail without harm for lack of space. Blocks.
func (m *manifest) maybeRewrite() error {
	if m.catalog.partial {
		return nil // nothing was added to it
	}
	live := len(m.catalog.segments) + len(m.catalog.epochs.entries) + blockSlots
	if m.used < 2*live && !m.w.Buggify("rewrite the manifest early") {
		return nil
	}
	if err := m.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer m.turn.Leave()
	if m.catalog.clean || m.d.failed != nil {
		return m.d.failed
	}
	if err := m.rewrite(); err != nil {
		return err
	}
	m.w.Probe("the manifest was rewritten")
	return nil
}

// rewrite puts a file in the place of the old one that says what the catalog knows. The
// caller has the turn. Blocks.
func (m *manifest) rewrite() error {
	if err := m.slot.close(); err != nil {
		return err
	}
	temp := m.path + tempSuffix
	if err := m.replace(temp); err != nil {
		return m.judge("write", err)
	}
	err := m.d.fs.Rename(temp, m.path)
	if err == nil {
		err = m.d.fs.SyncDir(m.parent)
	}
	if err != nil {
		return m.d.fail("replace "+m.path, err)
	}
	return nil
}
