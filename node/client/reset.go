package client

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// findStart asks for the offset a cursor is to begin with. Blocks.
func (c *Consumer) findStart(cur *cursor) {
	defer c.wake.Broadcast()
	defer func() { cur.busy = false }()
	generation, from := cur.generation, cur.from
	found, err := c.client.Offsets([]Place{{cur.tp, from}}, c.w.Now().Add(c.client.c.RequestTimeout))
	if c.closed || cur.generation != generation {
		return // second look: somebody seeked meanwhile
	}
	if err != nil {
		c.fail(cur, err)
		return
	}
	at := found[0].Offset
	if at == kafka.NoOffset {
		cur.from = Latest() // no record is that young
		return
	}
	if cur.reason != nil {
		c.report(Reset{Partition: cur.tp, From: cur.position, To: at, Reason: cur.reason})
		cur.reason = nil
	}
	cur.resolve(at)
}

func (c *Consumer) report(r Reset) {
	c.w.Log.Warn("consumer position reset", "partition", r.Partition.String(),
		"from", int64(r.From), "to", int64(r.To), "reason", r.Reason.Error())
	c.w.Probe("a consumer's position was reset")
	c.resets = append(c.resets, r)
	if len(c.resets) > maxResets {
		c.resets = c.resets[1:]
	}
}

// lose handles a position that is not in the log: policy decides, or Poll tells.
// What was fetched before is returned first.
func (c *Consumer) lose(cur *cursor, reason error) {
	if len(cur.chunks) > 0 {
		c.rest(cur)
		return
	}
	if c.c.Reset == ResetNone {
		cur.lost = fmt.Errorf("%w: %w", ErrNoOffset, reason)
		c.news.Broadcast()
		return
	}
	lost := cur.position
	cur.restart(c.startOver(), reason)
	cur.position = lost // for the report; not known until it is resolved
	c.wake.Broadcast()
}

// noticeRecreation compares the topic's id with the one the cursor began with. A
// single broker's metadata can be old, so the broker that leads the new topic's partition
// must have refused the old id as well, if it can: that the old topic's did tells that it
// was deleted, and not that what an old metadata answer names came after it.
func (c *Consumer) noticeRecreation(cur *cursor) {
	t, ok := c.client.meta.view.Topic(cur.tp.Topic)
	switch {
	case !ok || t.ID == kafka.TopicID{}:
	case cur.topicID == kafka.TopicID{}:
		cur.topicID = t.ID
	case cur.topicID != t.ID && (cur.successor == t.ID || cur.named):
		c.w.Probe("a consumed topic was deleted and created again")
		cur.topicID, cur.successor = t.ID, kafka.TopicID{}
		cur.chunks, cur.bytes = nil, 0
		c.lose(cur, fmt.Errorf("topic %s: %w", cur.tp.Topic, ErrRecreated))
	case cur.topicID != t.ID && errors.Is(cur.err, kafka.ErrUnknownTopicOrPartition):
		cur.err = nil // one of that name is there again; its leader has yet to say that it is another
	}
}
