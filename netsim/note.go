package netsim

import (
	"hash/crc32"

	"github.com/klammlog/klamm/sim"
)

// An event is what a link of the hash chain says about a connection.
type event uint8

const (
	evDial event = iota + 1
	evConnected
	evAccepted
	evSent
	evDelivered
	evHeld
	evRead
	evCloseWrite
	evClosed
	evReset
	evTimedOut
	evMachineDown
	evMachineUp
)

func (e event) String() string {
	return [...]string{"?", "dials", "connected", "accepted", "sent", "delivered", "held", "read",
		"closes its stream", "closed", "reset", "timed out", "machine down", "machine up"}[e]
}

// note adds an event at one end of a connection to the hash chain.
func (e *end) note(ev event, size int, sum uint32) {
	k := e.net.k
	side := uint64(0)
	if e == e.conn.server {
		side = 1
	}
	k.Note(sim.NoteNet, uint64(ev)<<56|e.conn.id<<1|side, uint64(size)<<32|uint64(sum))
	if k.Recording() {
		k.Record("net #%d %s>%s %s %d bytes", e.conn.id, e.local, e.remote, ev, size)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is in hardware, and costs 50 ns for a kilobyte: the hash chain covers
// what the bytes are, not just how many.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
