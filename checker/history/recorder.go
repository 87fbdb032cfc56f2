package history

// A Recorder writes a History while its run happens. Any number of clients may
// have operations open, as long as one of them runs at a time: it has no lock.
//
// Operations are invoked by methods of the Recorder and completed, once each, by
// methods of the handle they return. What is never completed stays Pending.
type Recorder struct {
	h          *History
	now        func() Instant
	clients    map[string]ClientID
	partitions map[Partition]PartitionID
	records    RecordID
}

// NewRecorder returns a recorder of an empty history of a run that is happening.
// It reads its instants from now, and tells apart what happens at one of them: no
// two invocations or completions get the same, for then the judges, who take what
// touches for concurrent, could not hold a client's next operation against its
// last. A clock that stands still is told as if it went on by a nanosecond.
func NewRecorder(now func() Instant) *Recorder {
	last := Instant(-1)
	return NewTranscriber(func() Instant {
		last = max(now(), last+1)
		return last
	})
}

// NewTranscriber returns a recorder of an empty history of a run that is over:
// now returns the instant of whatever is told next.
func NewTranscriber(now func() Instant) *Recorder {
	return &Recorder{
		h:          &History{},
		now:        now,
		clients:    map[string]ClientID{},
		partitions: map[Partition]PartitionID{},
	}
}

// Now returns an instant at which something begins that is told later.
func (r *Recorder) Now() Instant { return r.now() }

// History returns what was recorded so far. It changes as recording goes on.
func (r *Recorder) History() *History { return r.h }

// Client returns the number of the client of that name.
func (r *Recorder) Client(name string) ClientID {
	id, ok := r.clients[name]
	if !ok {
		id = ClientID(len(r.h.Clients))
		r.h.Clients = append(r.h.Clients, name)
		r.clients[name] = id
	}
	return id
}

// Partition returns the number of the partition.
func (r *Recorder) Partition(topic string, index int32) PartitionID {
	p := Partition{topic, index}
	id, ok := r.partitions[p]
	if !ok {
		id = PartitionID(len(r.h.Partitions))
		r.h.Partitions = append(r.h.Partitions, p)
		r.partitions[p] = id
	}
	return id
}

// NextRecord returns an identity that no record of this history has: 1, 2, 3 and
// so on.
func (r *Recorder) NextRecord() RecordID {
	r.records++
	return r.records
}

// Send invokes a send. The caller fills in what it is about (Client to
// Tombstone); the rest is the recorder's.
func (r *Recorder) Send(s Send) SendHandle {
	i := len(r.h.Sends)
	s.Op = r.h.addOp(KindSend, i)
	s.Outcome, s.Invoked, s.Completed = Pending, r.now(), Never
	s.Offset, s.Timestamp, s.Error = NoOffset, NoTimestamp, ""
	r.h.Sends = append(r.h.Sends, s)
	return SendHandle{r, int32(i)}
}

// A SendHandle completes one send.
type SendHandle struct {
	r *Recorder
	i int32
}

// Acked completes it as acknowledged. With acks=0, or if the answer told none,
// offset is NoOffset.
func (s SendHandle) Acked(offset Offset, at Timestamp) {
	send := s.end(OK, "")
	send.Offset, send.Timestamp = offset, at
}

// Failed completes it: the record definitely was not and will not be written.
func (s SendHandle) Failed(err string) { s.end(Failed, err) }

// Unknown completes it: the record may be in the log, or may still get there.
func (s SendHandle) Unknown(err string) { s.end(Unknown, err) }

// Op returns the number of the operation.
func (s SendHandle) Op() OpID { return s.r.h.Sends[s.i].Op }

func (s SendHandle) end(o Outcome, err string) *Send {
	send := &s.r.h.Sends[s.i]
	mustBePending(send.Outcome)
	send.Outcome, send.Completed, send.Error = o, s.r.now(), err
	return send
}

// Poll invokes a poll of one partition. The caller fills in Client to Final, and
// Before.
func (r *Recorder) Poll(p Poll) PollHandle {
	i := len(r.h.Polls)
	p.Op = r.h.addOp(KindPoll, i)
	p.Outcome, p.Invoked, p.Completed = Pending, r.now(), Never
	p.After, p.End, p.Error = p.Before, NoOffset, ""
	r.h.Polls = append(r.h.Polls, p)
	return PollHandle{r, int32(i)}
}

// Polled records a poll that is over, for clients that learn only then which
// partitions it was about. The caller fills in Client to Final, Invoked (by Now),
// Before, After and End.
func (r *Recorder) Polled(p Poll, records []Read) {
	i := len(r.h.Polls)
	p.Op = r.h.addOp(KindPoll, i)
	p.Outcome, p.Completed, p.Error = OK, r.now(), ""
	r.h.setReads(&p, records)
	r.h.Polls = append(r.h.Polls, p)
}

// A PollHandle completes one poll.
type PollHandle struct {
	r *Recorder
	i int32
}

// Returned completes it with its records, which are copied, the position after
// it, and the end of the log if the answer told it, or else NoOffset.
func (p PollHandle) Returned(records []Read, after, end Offset) {
	poll := p.end(OK, "")
	poll.After, poll.End = after, end
	p.r.h.setReads(poll, records)
}

// Failed completes it without records.
func (p PollHandle) Failed(err string) { p.end(Failed, err) }

func (p PollHandle) end(o Outcome, err string) *Poll {
	poll := &p.r.h.Polls[p.i]
	mustBePending(poll.Outcome)
	poll.Outcome, poll.Completed, poll.Error = o, p.r.now(), err
	return poll
}

// ListOffsets invokes a lookup. The caller fills in Client to Isolation, and
// Asked.
func (r *Recorder) ListOffsets(l ListOffsets) ListOffsetsHandle {
	i := len(r.h.ListOffsets)
	l.Op = r.h.addOp(KindListOffsets, i)
	l.Outcome, l.Invoked, l.Completed = Pending, r.now(), Never
	l.Offset, l.Timestamp, l.Error = NoOffset, NoTimestamp, ""
	r.h.ListOffsets = append(r.h.ListOffsets, l)
	return ListOffsetsHandle{r, int32(i)}
}

// A ListOffsetsHandle completes one lookup.
type ListOffsetsHandle struct {
	r *Recorder
	i int32
}

// Answered completes it. The offset is NoOffset if the broker said there is none.
func (l ListOffsetsHandle) Answered(offset Offset, at Timestamp) {
	list := l.end(OK, "")
	list.Offset, list.Timestamp = offset, at
}

// Failed completes it without an answer.
func (l ListOffsetsHandle) Failed(err string) { l.end(Failed, err) }

func (l ListOffsetsHandle) end(o Outcome, err string) *ListOffsets {
	list := &l.r.h.ListOffsets[l.i]
	mustBePending(list.Outcome)
	list.Outcome, list.Completed, list.Error = o, l.r.now(), err
	return list
}

// ReadBack begins the reading of a whole partition by polls marked Final.
func (r *Recorder) ReadBack(c ClientID, p PartitionID) ReadBackHandle {
	i := len(r.h.ReadBacks)
	r.h.ReadBacks = append(r.h.ReadBacks, ReadBack{
		Op: r.h.addOp(KindReadBack, i), Client: c, Partition: p,
		Invoked: r.now(), Completed: Never, LogStart: NoOffset, LogEnd: NoOffset,
	})
	return ReadBackHandle{r, int32(i)}
}

// A ReadBackHandle completes one reading of a whole partition.
type ReadBackHandle struct {
	r *Recorder
	i int32
}

// Done completes it: from logStart up to logEnd, all was polled.
func (b ReadBackHandle) Done(logStart, logEnd Offset) {
	back := b.end(OK, "")
	back.LogStart, back.LogEnd = logStart, logEnd
}

// Failed completes it: the reader gave up.
func (b ReadBackHandle) Failed(err string) { b.end(Failed, err) }

func (b ReadBackHandle) end(o Outcome, err string) *ReadBack {
	back := &b.r.h.ReadBacks[b.i]
	mustBePending(back.Outcome)
	back.Outcome, back.Completed, back.Error = o, b.r.now(), err
	return back
}

// Mark records that something happened to the run, now. A mark about no
// partition or no offset says NoPartition or NoOffset.
func (r *Recorder) Mark(m Mark) {
	m.Op, m.At = r.h.addOp(KindMark, len(r.h.Marks)), r.now()
	r.h.Marks = append(r.h.Marks, m)
}

// mustBePending panics if a client completes an operation twice: then its
// history proves nothing.
func mustBePending(o Outcome) {
	if o != Pending {
		panic("history: operation completed twice")
	}
}
