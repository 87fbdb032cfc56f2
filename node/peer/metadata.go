package peer

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// ReadMetadata reads committed metadata from a controller: the active one if
// anybody knows it, for the others learn later what is committed; else one after
// the other. Blocks.
func (p *Peers) ReadMetadata(from kafka.Offset, maxBytes int, deadline kafka.Instant) (quorum.Page, error) {
	to := p.o.Leader()
	address, ok := p.voter(to)
	if to == meta.NoLeader || !ok || p.shy == to {
		p.next++
		v, ok := p.voterAt(p.next)
		if !ok {
			return quorum.Page{}, errors.New("nobody knows a controller")
		}
		to, address = v.ID, v.Address
	}
	page, err := p.readFrom(to, address, from, maxBytes, deadline)
	p.shy = meta.NoLeader
	if err != nil {
		p.shy = to // the next one is asked, whoever is said to lead
	}
	return page, err
}

func (p *Peers) readFrom(id kafka.NodeID, address string, from kafka.Offset, maxBytes int, deadline kafka.Instant) (quorum.Page, error) {
	wait := max(deadline.Sub(p.w.Now()), 0)
	q := &ReadMetadata{
		ClusterID: p.o.Image().ClusterID(), ReplicaID: int32(p.o.ID), From: int64(from),
		MaxBytes: int32(maxBytes), MaxWaitMillis: millis(wait), Directory: p.o.Directory,
	}
	// The deadline is when the controller answers; the answer takes a moment more.
	answer, err := p.link(id, address, metadataLane).Do(q, link.Options{Patience: wait}, deadline.Add(p.patience(metadataLane)))
	if err != nil {
		return quorum.Page{}, err
	}
	r := answer.(*MetadataRead)
	if code := kafka.Error(r.ErrorCode); code != kafka.None {
		return quorum.Page{}, fmt.Errorf("controller %d: %.1000s: %w", id, r.ErrorMessage, code)
	}
	return quorum.DecodePage(r.Page)
}
