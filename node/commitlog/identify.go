package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Identify tells whose log a directory holds, without opening it. It fails with
// env.ErrNotExist if the directory holds none, not even one that ever took a
// record: its making was cut short, and it may be removed. It fails with
// ErrQuarantined if it cannot tell. Blocks.
func Identify(d *Dir, path string) (kafka.TopicID, error) {
	b, err := readWhole(d.fs, path+"/"+partitionName)
	if errors.Is(err, env.ErrNotExist) {
		return kafka.TopicID{}, d.unmade(path, err)
	}
	if err != nil {
		return kafka.TopicID{}, fmt.Errorf("%s: %w", path, err)
	}
	h, err := parseHeader(b, kindPartition)
	if err == nil && h.dir != d.id {
		err = fmt.Errorf("%w: of directory %x", errHeader, h.dir)
	}
	if err != nil {
		return kafka.TopicID{}, fmt.Errorf("%s: %w: %w", path, ErrQuarantined, err)
	}
	return h.topic, nil
}

// unmade returns missing if a directory without an identity holds nothing that
// was written after one.
func (d *Dir) unmade(path string, missing error) error {
	names, err := d.fs.ReadDir(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if slices.ContainsFunc(names, func(name string) bool { return !ofBeginning(name) }) {
		return fmt.Errorf("%s: %w: %w", path, ErrQuarantined, missing)
	}
	return fmt.Errorf("%s: %w", path, missing)
}
