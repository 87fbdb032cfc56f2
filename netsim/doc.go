// Package netsim is the network of a simulated universe: TCP byte streams between
// named hosts, in virtual time.
//
// What it does to the streams, each direction of each pair of hosts by itself (a
// link), from the seed:
//
//   - a segment is delayed by a latency, a drawn jitter, and for a drawn share
//     of segments a long tail;
//   - a link carries so many bytes a second; a connection buffers so many bytes
//     that have not arrived, then its writer waits;
//   - a lost segment arrives late by one or more drawn retransmission time-outs.
//     A stream is never reordered: what follows waits behind it. Streams of one
//     link overtake each other freely;
//   - a write is cut into drawn pieces, a read returns fewer bytes than there are,
//     and either may let other tasks run although it need not wait;
//   - a partition or clog holds bytes, those of a dial included, and does not drop
//     them. Once it ends they arrive after a drawn time, as the sender's timer has
//     it. A one-way partition also holds the acknowledgements of the other
//     direction, so there the send buffer fills although the bytes arrive;
//   - a connection whose bytes are not acknowledged for a drawn retransmission
//     time-out breaks with ErrReset at the sender, and only there. An idle one that
//     cannot reach its peer breaks after the keep-alive time;
//   - reset: both ends see ErrReset at once, bytes in flight are lost;
//   - half-open: one end is gone, and nothing that is sent to it is answered;
//   - a host refuses connections; or its kernel makes them and nobody accepts; or
//     it reads its sockets slowly; or it comes back under another address, and its
//     old connections are half-open;
//   - a process dies: its kernel goes on, sends what was written, then ends the
//     stream (io.EOF), or resets it if received bytes were unread; segments that
//     arrive later are answered with a reset;
//   - a machine dies: nothing is sent. Segments to it are held until it is back,
//     and are then answered with a reset.
//
// Not simulated: corrupted bytes, duplicated streams, simultaneous open, urgent
// data, congestion control, reuse of a closed connection's port pair. An
// acknowledgement travels in no time.
//
// A Fault is one of these as a value. It prints as a line, is parsed from it, and
// a Network that was given it counts what it did.
//
// The one rule for callers: when a machine loses power, MachineDown comes before
// the Crash of its node.
package netsim
