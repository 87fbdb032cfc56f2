package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// An Inspection is what the files of a member say, or of a node that only
// follows, read without changing or locking anything. Files of a node that runs
// may be in the middle of a change.
type Inspection struct {
	State     *StateFile // nil where there is none: the node is no controller
	Snapshots []SnapshotFile
	Damage    []string // what could not be read, one line each

	fs  env.FS
	dir string
}

// A StateFile is a member's hard state.
type StateFile struct {
	Term      uint64
	Vote      kafka.NodeID // in that term; meta.NoLeader for none
	Committed kafka.Offset // as far as it was known when the file was written
	Began     []kafka.NodeID
}

// A SnapshotFile is one snapshot of the image.
type SnapshotFile struct {
	Name             string
	Offset           kafka.Offset // it stands for the entries below
	Term             uint64
	Bytes            int
	Voters, Learners []kafka.NodeID
	Members          []Voter // what is known of them
	Records          []meta.Record
}

// An EntryView is one entry of the metadata log.
type EntryView struct {
	Offset  kafka.Offset
	Term    uint64
	Written kafka.Timestamp // here
	Bytes   int
	Records []meta.Record
	Members string // what a change of the members does; "" if it is none
}

// Inspect reads the state and the snapshots of the log directory dir of fs ("."
// for its root). Damage is in the result; it fails only if there is nothing to
// read: env.ErrNotExist. Blocks.
func Inspect(fs env.FS, dir string) (*Inspection, error) {
	i := &Inspection{fs: fs, dir: dir}
	found := false
	for _, path := range []string{Path, observerPath} {
		s := store{fs: fs, path: i.path(path)}
		names, _, err := s.snapshots()
		if errors.Is(err, env.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = true
		for _, name := range names {
			snap, err := s.readSnapshot(name)
			if err != nil {
				i.Damage = append(i.Damage, err.Error())
				continue
			}
			i.Snapshots = append(i.Snapshots, snapshotFile(path+"/"+name, snap))
		}
		if path == Path {
			i.readState(s)
		}
	}
	if !found {
		return nil, fmt.Errorf("%s: neither %s nor %s: %w", dir, Path, observerPath, env.ErrNotExist)
	}
	return i, nil
}

func (i *Inspection) path(name string) string {
	if i.dir == "." || i.dir == "" {
		return name
	}
	return i.dir + "/" + name
}

func (i *Inspection) readState(s store) {
	h, err := s.loadState()
	if err != nil {
		i.Damage = append(i.Damage, err.Error())
		return
	}
	i.State = &StateFile{Term: h.term, Vote: nodeID(h.vote), Committed: kafka.Offset(h.commit), Began: h.base}
}

func snapshotFile(name string, s *snapshot) SnapshotFile {
	f := SnapshotFile{Name: name, Offset: kafka.Offset(s.index), Term: s.term, Bytes: len(s.data), Members: s.members, Records: s.records}
	for _, id := range s.conf.GetVoters() {
		f.Voters = append(f.Voters, nodeID(id))
	}
	for _, id := range s.conf.GetLearners() {
		f.Learners = append(f.Learners, nodeID(id))
	}
	return f
}

// Entries calls f with the entries of the metadata log, oldest first, until f
// returns false or an entry cannot be read, which is the error. Segments may hold
// entries for which a snapshot stands by now. Blocks.
func (i *Inspection) Entries(f func(EntryView) bool) error {
	path := i.path(MetadataPath)
	names, err := i.fs.ReadDir(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	slices.Sort(names)
	more := true
	for _, name := range names {
		if !more || !strings.HasSuffix(name, ".log") {
			continue
		}
		var bad error
		err := commitlog.EachBatch(i.fs, path+"/"+name, func(at int64, b record.Batch) bool {
			v, err := viewEntry(b)
			if err != nil {
				bad = fmt.Errorf("%s/%s: position %d: %w", path, name, at, err)
				return false
			}
			more = f(v)
			return more
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
	}
	return nil
}

func viewEntry(b record.Batch) (EntryView, error) {
	e, err := entryIn(b)
	if err != nil {
		return EntryView{}, err
	}
	v := EntryView{Offset: e.offset(), Term: e.term, Written: b.FirstTimestamp(), Bytes: b.Size()}
	if e.kind == kindRecords {
		v.Records, err = meta.DecodeAll(e.data)
		return v, err
	}
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(e.data, cc); err != nil {
		return v, fmt.Errorf("configuration change: %w", errMalformed)
	}
	told, err := decodeMembers(cc.GetContext())
	v.Members = describeChange(cc, told)
	return v, err
}

// describeChange says what a change of the members does.
func describeChange(cc *pb.ConfChangeV2, told members) string {
	var parts []string
	for _, c := range cc.GetChanges() {
		id := nodeID(c.GetNodeId())
		switch c.GetType() {
		case pb.ConfChangeAddNode:
			parts = append(parts, fmt.Sprintf("voter %d", id))
		case pb.ConfChangeAddLearnerNode:
			parts = append(parts, fmt.Sprintf("learner %d", id))
		case pb.ConfChangeRemoveNode:
			parts = append(parts, fmt.Sprintf("remove %d", id))
		}
	}
	for _, v := range told {
		parts = append(parts, fmt.Sprintf("%d is at %q with directory %x", v.ID, v.Address, v.Directory))
	}
	if len(parts) == 0 {
		return "leave the joint configuration"
	}
	return strings.Join(parts, ", ")
}
