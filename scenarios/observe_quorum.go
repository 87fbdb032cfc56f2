package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// metadataPlace is the controllers' log: a partition like any other, with terms for
// leader epochs and one entry in each batch.
var metadataPlace = place{kafka.TopicID{15: 1}, kafka.TopicPartition{Topic: "__cluster_metadata"}}

// A ballot is one node's vote in one term.
type ballot struct {
	by   kafka.NodeID
	term uint64
}

// A quorumBook is what is known of the controllers' quorum from all its members.
type quorumBook struct {
	leaders map[uint64]kafka.NodeID // by term
	newest  uint64                  // term that somebody leads, or has led
	votes   map[ballot]kafka.NodeID
	chains  map[kafka.Offset]digest // of the log that was applied
	commit  kafka.Offset            // the most that any member knew to be committed
	tip     batchKey                // the entry that ended it when it was looked for
	tipAt   kafka.Offset            // then; 0 if it was not

	// Who may have decided what is committed, and what ended at tipAt: any of those
	// whom a member took for the voters when that was first seen. A leader that is
	// one change of the voters behind decides by those before it, and may.
	deciders, tipDeciders []electorate

	electorate   electorate // as the member knows that has applied most
	electorateAt kafka.Offset
}

func newQuorumBook() quorumBook {
	return quorumBook{leaders: map[uint64]kafka.NodeID{}, votes: map[ballot]kafka.NodeID{}, chains: map[kafka.Offset]digest{}}
}

// lookAtRaft: one controller leads in a term, and each votes once in it, for ever;
// terms and what is known to be committed never go back; all apply the same log.
func (o *clusterObserver) lookAtRaft(w *window, v raftView) {
	if w.read[metadataPlace] == nil {
		w.known = append(w.known, metadataPlace)
		w.read[metadataPlace] = &reading{}
	}
	if v.Term < w.term || v.DurableTerm < w.durableTerm && !o.isExcused(w) {
		o.complain(epochsForward, "controller %d: its term went back from %d, %d of it durable, to %d and %d", w.id, w.term, w.durableTerm, v.Term, v.DurableTerm)
	}
	if v.Commit < w.commit {
		o.complain(hwForward, "controller %d: what is committed went back from %d to %d", w.id, w.commit, v.Commit)
	}
	w.term, w.durableTerm, w.commit = v.Term, v.DurableTerm, v.Commit
	q := &o.quorum
	o.checkDecided(w, v)
	o.checkSure(w, v, q.commit)
	before := w.electorate
	if w.electorate = v.Electorate; v.Commit > q.commit {
		q.commit, q.deciders = v.Commit, o.deciding(before)
	}
	if v.Applied >= q.electorateAt {
		q.electorate, q.electorateAt = v.Electorate, v.Applied
	}
	if known, ok := q.chains[v.Applied]; !ok {
		q.chains[v.Applied] = digest{v.Chain, w.id}
	} else if known.sum != v.Chain {
		o.complain(raftLogMatching, "controllers %d and %d applied different entries up to offset %d", known.by, w.id, v.Applied)
	}
	if !o.isExcused(w) {
		o.checkVote(w.id, v)
	}
	if !v.Leads {
		return
	}
	if other, ok := q.leaders[v.Term]; ok && other != w.id {
		o.complain(oneRaftLeaderPerTerm, "both %d and %d lead the controllers in term %d", other, w.id, v.Term)
		return
	}
	q.leaders[v.Term] = w.id
	q.newest = max(q.newest, v.Term)
	o.checkOvertaken(w, v)
}

// checkVote: who has voted in a term votes for nobody else in it, after a restart
// neither.
func (o *clusterObserver) checkVote(id kafka.NodeID, v raftView) {
	b := ballot{id, v.DurableTerm}
	before, voted := o.quorum.votes[b]
	switch {
	case voted && before != v.Vote:
		o.complain(oneRaftLeaderPerTerm, "controller %d voted for %d in term %d, and then for %d", id, before, v.DurableTerm, v.Vote)
	case v.Vote != meta.NoLeader:
		o.quorum.votes[b] = v.Vote
	}
}

// deciding returns whom the members that run take for the voters, and whom one did
// until now.
func (o *clusterObserver) deciding(before electorate) []electorate {
	var all []electorate
	add := func(e electorate) {
		if len(e.Voters) > 0 && !slices.ContainsFunc(all, e.equal) {
			all = append(all, e)
		}
	}
	add(before)
	for _, w := range o.windows {
		add(w.electorate)
	}
	return all
}

// checkQuorum: what any controller knew to be committed is durable on most of the
// voters, and the same entry for ever.
func (o *clusterObserver) checkQuorum() {
	q := &o.quorum
	if q.commit == 0 || len(q.deciders) == 0 || o.promised.Loses {
		return
	}
	tip, have := batchKey{}, 0
	ok := slices.ContainsFunc(q.deciders, func(e electorate) bool {
		tip, have = o.tip(e, q.commit)
		return o.isHeld(e, q.commit, tip)
	})
	if !ok {
		o.complain(raftLogMatching, "the metadata log was committed up to offset %d, and of the voters %v only %d have it", q.commit, q.deciders, have)
	}
	if q.tipAt > 0 && !slices.ContainsFunc(q.tipDeciders, func(e electorate) bool { return o.isHeld(e, q.tipAt, q.tip) }) {
		o.complain(raftLogMatching, "the metadata log was committed up to offset %d with term %d, and of the voters %v not enough have that", q.tipAt, q.tip.epoch, q.tipDeciders)
	}
	if have > 0 {
		q.tip, q.tipAt, q.tipDeciders = tip, q.commit, q.deciders
	}
}

// tip returns the entry before an offset that most of the voters have, and how many.
func (o *clusterObserver) tip(e electorate, end kafka.Offset) (tip batchKey, have int) {
	entries, _ := o.holders(e.Voters, end)
	for key, n := range entries { //klamm:unordered the one that most have
		if n > have || n == have && key.epoch > tip.epoch {
			tip, have = key, n
		}
	}
	return tip, have
}

// isHeld reports whether most of an electorate have an entry before an offset, or
// need not be shown to.
func (o *clusterObserver) isHeld(e electorate, end kafka.Offset, tip batchKey) bool {
	for _, voters := range [][]kafka.NodeID{e.Voters, e.Outgoing} {
		entries, anyway := o.holders(voters, end)
		if len(voters) > 0 && entries[tip]+anyway <= len(voters)/2 {
			return false
		}
	}
	return true
}

// holders counts the voters whose log goes up to an offset, by the entry that ends
// it there, and those of which it need not be shown: they are excused, or have a
// snapshot instead.
func (o *clusterObserver) holders(voters []kafka.NodeID, end kafka.Offset) (entries map[batchKey]int, anyway int) {
	entries = map[batchKey]int{}
	for _, id := range voters {
		w := o.window(id)
		if w == nil || w.copyOf == nil || o.isExcused(w) {
			anyway++
			continue
		}
		c := w.copy(metadataPlace)
		if b := c.at(end - 1); b != nil {
			entries[batchKey{b.base, b.epoch}]++
		} else if w.snapshot() >= end {
			anyway++
		}
	}
	return entries, anyway
}
