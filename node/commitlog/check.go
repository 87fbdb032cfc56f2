package commitlog

import "fmt"

// Check returns the first invariant of the log that does not hold.
func (l *Log) Check() error {
	if l.ended {
		return nil
	}
	checks := []func() error{l.checkOffsets, l.checkSegments, l.checkQueue, l.epochs.Check, l.producers.Consistent}
	if l.cutting {
		checks = checks[:2] // what is given and known is cut last
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

func (l *Log) checkOffsets() error {
	if l.durable < l.start || l.written < l.durable || l.end < l.written {
		return fmt.Errorf("start %d, durable %d, written %d, end %d are not in order", l.start, l.durable, l.written, l.end)
	}
	return nil
}

func (l *Log) checkSegments() error {
	for i, s := range l.known {
		if s.end < s.base || s.durable > s.size || s.gone {
			return fmt.Errorf("segment %d: end %d, durable %d of %d bytes, gone %t", s.base, s.end, s.durable, s.size, s.gone)
		}
		if i > 0 && l.known[i-1].end > s.base {
			return fmt.Errorf("segment %d begins below the end %d of the one before", s.base, l.known[i-1].end)
		}
		if s.sealed && s.dirty() {
			return fmt.Errorf("segment %d is sealed and not synced", s.base)
		}
	}
	if s := l.active(); s != nil && s.end > l.written {
		return fmt.Errorf("active segment ends at %d, the log at %d", s.end, l.written)
	}
	return nil
}

func (l *Log) checkQueue() error {
	end, bytes := l.written, 0
	for _, q := range l.queue {
		if q.batch.BaseOffset() < end {
			return fmt.Errorf("queued batch at %d below %d", q.batch.BaseOffset(), end)
		}
		end, bytes = q.batch.EndOffset(), bytes+q.batch.Size()
	}
	if end > l.end || (end < l.end && l.writable()) || bytes != l.queued {
		return fmt.Errorf("queue ends at %d of %d, %d bytes of %d", end, l.end, bytes, l.queued)
	}
	return nil
}
