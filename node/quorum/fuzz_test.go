package quorum

import (
	"bytes"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// What decodes encodes to the same bytes: there is one way to write each thing.
// What does not is refused without harm.
func FuzzDecode(f *testing.F) {
	ms := members{{ID: 1, Address: "a:1", Directory: meta.DirectoryID{1}}, {ID: 4, Address: "", Directory: meta.DirectoryID{2}}}
	f.Add(AppendPage(nil, Page{Leader: 2, Epoch: 3, End: 7, Voters: ms, Entries: []PageEntry{{Index: 5, Term: 2, Data: []byte("x")}}}))
	f.Add(AppendPage(nil, Page{Index: 9, Sum: 77, At: 4, Total: 8, Piece: []byte{1, 2}}))
	f.Add(ms.encode(nil))
	f.Add(hardState{term: 3, vote: 2, commit: 9, base: []kafka.NodeID{1, 2}}.encode())
	f.Add(frame{from: meta.DirectoryID{1}, base: 7, message: []byte("m")}.encode())
	snap := newSnapshot(snapshot{index: 9, term: 2, conf: &pb.ConfState{Voters: []uint64{1}}, chain: 5, members: ms, records: meta.Format("c")})
	f.Add(snap.encode())
	f.Add(snap.data)
	f.Add(seal(kindState, meta.DirectoryID{1}, []byte("body")))
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte) {
			if !bytes.Equal(again, b) {
				t.Errorf("%s: %x encodes to %x", what, b, again)
			}
		}
		if p, err := DecodePage(b); err == nil {
			same("page", AppendPage(nil, p))
		}
		if ms, err := decodeMembers(b); err == nil && len(b) > 0 {
			same("members", ms.encode(nil))
		}
		if h, err := decodeState(b); err == nil {
			same("state", h.encode())
		}
		if f, err := decodeFrame(b); err == nil {
			same("frame", f.encode())
		}
		if body, err := unseal(kindState, meta.DirectoryID{1}, b); err == nil {
			same("file", seal(kindState, meta.DirectoryID{1}, body))
		}
		if s, err := decodeSnapshot(b); err == nil {
			again, err := decodeSnapshot(newSnapshot(*s).encode())
			if err != nil || again.index != s.index || again.chain != s.chain || len(again.records) != len(s.records) {
				t.Errorf("snapshot: %x came back as %+v, %v", b, again, err)
			}
		}
	})
}
