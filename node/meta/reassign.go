package meta

// completeReassignment drops the replicas that are being removed once all that are
// being added are in sync, and somebody who stays may lead (KIP-455).
func (d *decision) completeReassignment(c *change) {
	s := &c.next
	if len(s.Adding) == 0 && len(s.Removing) == 0 || lacks(s.ISR, s.Adding) {
		return
	}
	isr := without(s.ISR, s.Removing)
	if d.fewest(c, isr) == NoLeader {
		return
	}
	s.Replicas, s.ISR = without(s.Replicas, s.Removing), isr
	s.Adding, s.Removing = nil, nil
}
