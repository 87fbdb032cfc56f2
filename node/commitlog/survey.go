package commitlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
)

// A Survey is what the files of one partition say, read without changing or
// locking anything. Files of a node that runs may be in the middle of a change.
type Survey struct {
	Path      string          `json:"path"`
	Format    string          `json:"format"` // klamm, or kafka: only the .log files are read
	Topic     string          `json:"topic,omitempty"`
	TopicID   string          `json:"topic_id,omitempty"`
	Partition int32           `json:"partition"`
	Manifest  *ManifestSurvey `json:"manifest,omitempty"`
	Epochs    []EpochSurvey   `json:"leader_epochs"`
	Segments  []SegmentSurvey `json:"segments"`
	Snapshots []Snapshot      `json:"snapshots"`
	Leftovers []string        `json:"leftovers"` // files that belong to nobody any more
	Notes     []string        `json:"notes"`     // what a crash explains, and the next start puts in order
	Damage    []Damage        `json:"damage"`
}

// Damage is something that is not what it was written as.
type Damage struct {
	File     string `json:"file"`
	Position int64  `json:"position"`
	What     string `json:"what"`
}

// A ManifestSurvey is what a manifest amounts to.
type ManifestSurvey struct {
	Facts    int          `json:"facts"`
	Clean    bool         `json:"clean"`     // the log was closed, and not changed since
	Start    kafka.Offset `json:"log_start"` // log start offset
	End      kafka.Offset `json:"end"`       // the log goes at least this far
	Durable  kafka.Offset `json:"recovery_point"`
	Cuts     uint32       `json:"cuts"`
	Compact  kafka.Offset `json:"compacted_to"`
	Swapping bool         `json:"swap_pending"`
}

// An EpochSurvey is a leader epoch and its first offset.
type EpochSurvey struct {
	Epoch kafka.LeaderEpoch `json:"epoch"`
	Start kafka.Offset      `json:"start_offset"`
}

// A SegmentSurvey is what one segment holds. End is that of its last batch.
type SegmentSurvey struct {
	File         string          `json:"file"`
	Base         kafka.Offset    `json:"base_offset"`
	End          kafka.Offset    `json:"end_offset"`
	State        string          `json:"state"` // sealed, active, or unlisted: the manifest does not know it
	Bytes        int64           `json:"bytes"`
	Batches      int             `json:"batches"`
	Records      int64           `json:"records"`
	Control      int             `json:"control_batches"`
	First        kafka.Timestamp `json:"first_timestamp"`
	MaxTimestamp kafka.Timestamp `json:"max_timestamp"`
	IndexEntries int             `json:"index_entries"`
}

// A Snapshot is a file with what idempotent producers had done at an offset.
type Snapshot struct {
	File      string       `json:"file"`
	Offset    kafka.Offset `json:"offset"`
	Producers int          `json:"producers"`
}

// A surveyor reads one partition's files.
type surveyor struct {
	fs      env.FS
	path    string
	names   []string
	out     Survey
	owner   header
	named   bool // owner is known
	catalog catalog
	listing bool // there is a manifest that can be read
	used    []string
}

// Explore reads everything a partition's directory holds, and compares each file
// with the others. It fails only if the directory cannot be listed; what is wrong
// in it is in the result. Blocks.
func Explore(fs env.FS, path string) (*Survey, error) {
	names, err := fs.ReadDir(path)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	v := &surveyor{fs: fs, path: path, names: names}
	v.out = Survey{Path: path, Format: "klamm", Epochs: []EpochSurvey{}, Segments: []SegmentSurvey{}, Snapshots: []Snapshot{},
		Leftovers: []string{}, Notes: []string{}, Damage: []Damage{}}
	if !slices.Contains(names, partitionName) && !slices.Contains(names, manifestName) {
		v.out.Format = "kafka"
		v.foreign()
		return &v.out, nil
	}
	v.identity()
	v.manifest()
	v.segments()
	v.snapshots()
	v.leftovers()
	return &v.out, nil
}

func (v *surveyor) damage(file string, at int64, format string, args ...any) {
	v.out.Damage = append(v.out.Damage, Damage{File: file, Position: at, What: fmt.Sprintf(format, args...)})
}

func (v *surveyor) note(format string, args ...any) {
	v.out.Notes = append(v.out.Notes, fmt.Sprintf(format, args...))
}

func (v *surveyor) has(name string) bool { return slices.Contains(v.names, name) }

// identity reads whose log it is.
func (v *surveyor) identity() {
	v.used = append(v.used, partitionName)
	b, err := readWhole(v.fs, v.path+"/"+partitionName)
	if err != nil {
		v.damage(partitionName, 0, "cannot be read: %v", err)
		return
	}
	h, err := parseHeader(b, kindPartition)
	if err == nil && (len(b) < headerSize+4 || !sound(b[headerSize:], h.seed())) {
		err = fmt.Errorf("%w: checksum", errHeader)
	}
	if err != nil {
		v.damage(partitionName, 0, "%v", err)
		return
	}
	v.owner, v.named = h, true
	v.out.Topic, v.out.TopicID, v.out.Partition = string(b[headerSize+4:]), h.topic.String(), h.partition
}

// mine reports whether a file's header is of this log.
func (v *surveyor) mine(h header) error {
	if v.named && !h.sameOwner(v.owner) {
		return fmt.Errorf("belongs to another log: topic id %s partition %d in directory %x", h.topic, h.partition, h.dir)
	}
	return nil
}

// manifest reads what happened to the files.
func (v *surveyor) manifest() {
	v.used = append(v.used, manifestName)
	v.catalog.point.base = kafka.NoOffset
	b, err := readWhole(v.fs, v.path+"/"+manifestName)
	if err != nil {
		v.damage(manifestName, 0, "cannot be read: %v", err)
		return
	}
	h, err := parseHeader(b, kindManifest)
	if err == nil {
		err = v.mine(h)
	}
	if err != nil {
		v.damage(manifestName, 0, "%v", err)
		return
	}
	facts, garbage, err := parseFacts(b[headerSize:], h.seed())
	if err != nil {
		v.damage(manifestName, headerSize, "%v", err)
		return
	}
	if garbage > len(facts) {
		v.note("the last records of the manifest are torn")
	}
	v.listing = true
	c := &v.catalog
	for _, f := range facts {
		c.apply(f)
	}
	v.out.Manifest = &ManifestSurvey{Facts: len(facts), Clean: c.clean && garbage == len(facts), Start: c.start, End: c.end,
		Durable: c.point.offset, Cuts: c.cuts, Compact: c.cleaned, Swapping: c.swapping != nil}
	for _, e := range c.epochs.entries {
		v.out.Epochs = append(v.out.Epochs, EpochSurvey(e))
	}
	v.checkSummary(b[headerSize:], h.seed())
}

// checkSummary compares what a clean start would read with all the facts.
func (v *surveyor) checkSummary(slots []byte, seed uint32) {
	if !v.out.Manifest.Clean {
		v.note("the log was not closed: the next start recovers it")
		return
	}
	from := max(0, len(slots)/factSize-tailSlots)
	if c, _, ok := tailCatalog(slots[from*factSize:], from, seed); ok {
		if err := c.checkSummary(&v.catalog); err != nil {
			v.damage(manifestName, int64(headerSize+from*factSize), "%v", err)
		}
	}
}

// segments reads every segment there is, or should be.
func (v *surveyor) segments() {
	c := &v.catalog
	list := slices.Clone(c.segments)
	for _, name := range v.names {
		base, ok := parseName(name, logSuffix)
		if _, known := c.find(base); !ok || known {
			continue
		}
		if v.listing && (base < c.first || v.empty(name)) {
			continue // deleted, and the removal did not survive; or never begun
		}
		list = append(list, listed{base: base, follows: base})
	}
	slices.SortFunc(list, func(a, b listed) int { return int(min(1, max(-1, a.base-b.base))) })
	for i, k := range list {
		v.segment(k, i == len(list)-1)
	}
	if v.listing && len(list) == 0 && v.out.Manifest.Clean && c.point.base != kafka.NoOffset {
		v.damage(manifestName, 0, "the active segment %d is not listed", c.point.base)
	}
}

func (v *surveyor) empty(name string) bool {
	info, err := v.fs.Stat(v.path + "/" + name)
	return err == nil && info.Size == 0
}

// snapshots reads what producers had done.
func (v *surveyor) snapshots() {
	for _, name := range v.names {
		at, ok := parseName(name, snapshotSuffix)
		if !ok {
			continue
		}
		v.used = append(v.used, name)
		b, err := readWhole(v.fs, v.path+"/"+name)
		var p *txn.Producers
		if err == nil {
			p, err = v.decodeSnapshot(b, at)
		}
		if err != nil {
			v.damage(name, 0, "%v", err)
			continue
		}
		v.out.Snapshots = append(v.out.Snapshots, Snapshot{File: name, Offset: at, Producers: p.Len()})
	}
}

func (v *surveyor) decodeSnapshot(b []byte, at kafka.Offset) (*txn.Producers, error) {
	h, err := parseHeader(b, kindSnapshot)
	if err == nil {
		err = v.mine(h)
	}
	if err != nil {
		return nil, err
	}
	if h.base != at || len(b) < headerSize+4 || !sound(b[headerSize:], h.seed()) {
		return nil, fmt.Errorf("%w: offset %d, or checksum", errHeader, h.base)
	}
	return txn.Decode(b[headerSize+4:])
}

// leftovers lists what nobody has looked at.
func (v *surveyor) leftovers() {
	for _, name := range v.names {
		if !slices.Contains(v.used, name) {
			v.out.Leftovers = append(v.out.Leftovers, name)
		}
	}
}

// foreign reads the .log files of a directory that is not ours. They hold batches
// and nothing else, as ours do.
func (v *surveyor) foreign() {
	v.out.Partition = -1
	if dash := strings.LastIndexByte(v.path, '-'); dash > 0 {
		var n int32
		if _, err := fmt.Sscanf(v.path[dash+1:], "%d", &n); err == nil {
			v.out.Topic, v.out.Partition = v.path[:dash], n
		}
	}
	end := kafka.Offset(0)
	for _, name := range v.names {
		base, ok := parseName(name, logSuffix)
		if !ok {
			continue
		}
		v.used = append(v.used, name)
		s := v.plain(name, base)
		if base < end {
			v.damage(name, 0, "begins at %d, and the segment before ends at %d", base, end)
		}
		end = max(end, s.End)
	}
}

// plain reads a .log file that nothing else tells about.
func (v *surveyor) plain(name string, base kafka.Offset) SegmentSurvey {
	w := &segmentWalk{v: v, name: name, s: SegmentSurvey{File: name, Base: base, End: base, State: "unlisted",
		First: kafka.NoTimestamp, MaxTimestamp: kafka.NoTimestamp}}
	w.read(segmentBounds{size: noPosition, upTo: noPosition, proven: maxInt64})
	v.out.Segments = append(v.out.Segments, w.s)
	return w.s
}

// ExploreFile reads one .log file, of ours or of Kafka's. Blocks.
func ExploreFile(fs env.FS, name string) *Survey {
	v := &surveyor{fs: fs}
	v.out = Survey{Path: name, Format: "kafka", Partition: -1, Epochs: []EpochSurvey{}, Segments: []SegmentSurvey{},
		Snapshots: []Snapshot{}, Leftovers: []string{}, Notes: []string{}, Damage: []Damage{}}
	base, _ := parseName(name, logSuffix)
	v.plain(name, base)
	return &v.out
}

// ExploreID tells the id of a log directory. Blocks.
func ExploreID(fs env.FS) (DirID, error) {
	b, err := readWhole(fs, identityName)
	if err != nil {
		return DirID{}, err
	}
	h, err := parseHeader(b, kindDirectory)
	return h.dir, err
}

// Explorable reports whether a directory looks like a partition's. Blocks.
func Explorable(fs env.FS, path string) (bool, error) {
	info, err := fs.Stat(path)
	if err != nil || !info.IsDir {
		return false, err
	}
	names, err := fs.ReadDir(path)
	return slices.ContainsFunc(names, func(name string) bool {
		_, ok := parseName(name, logSuffix)
		return ok || name == partitionName || name == manifestName
	}), err
}

// EachBatch calls f with the batches of a .log file and their positions, in order,
// until f returns false or something is no batch. A batch is valid during the
// call. Blocks.
func EachBatch(fs env.FS, name string, f func(at int64, b record.Batch) bool) error {
	file, err := fs.OpenFile(name, env.ReadOnly)
	if err != nil {
		return err
	}
	size, err := file.Size()
	r := reader{f: file, end: size}
	for err == nil {
		at := r.at
		var b record.Batch
		var ok bool
		if b, ok, err = r.next(); err == nil && (!ok || !f(at, b)) {
			break
		}
	}
	return errors.Join(err, file.Close())
}
