package commitlog

import (
	"errors"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// mend looks whether the file still holds what was put there, and rewrites it if it
// does not: nobody reads it again before the next start, which would refuse the log.
// What cannot be read is left to the next time. Blocks.
func (m *manifest) mend() error {
	if err := m.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer m.turn.Leave()
	if m.catalog.partial || m.catalog.clean || m.d.failed != nil {
		return m.d.failed
	}
	for range tries {
		whole, err := m.stands()
		switch {
		case errors.Is(err, env.ErrCanceled):
			return err
		case err != nil:
			m.w.Probe("a scrub could not read a manifest")
			return nil
		case whole:
			return nil
		}
	}
	m.w.Log.Error("a manifest is corrupt and written anew", "path", m.path)
	if err := m.rewrite(); err != nil {
		return err
	}
	m.w.Probe("a manifest was corrupt and was written anew")
	return nil
}

// stands reports whether the file has its header and all facts, and behind them nothing
// but what a write left that failed for lack of space. Blocks.
func (m *manifest) stands() (bool, error) {
	f, err := m.d.fs.OpenFile(m.path, env.ReadOnly)
	if err != nil {
		return false, err
	}
	b, err := readAllOf(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	if h, err := m.parseHeader(b); err != nil || h != m.h {
		return false, nil
	}
	facts, garbage, err := parseFacts(b[headerSize:], m.seed)
	return err == nil && len(facts) >= m.used && garbage <= max(m.used, m.stale), nil
}
