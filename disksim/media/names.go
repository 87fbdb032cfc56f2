package media

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
)

// Lookup finds a file or directory in the cache; ErrNotExist if there is none.
func (v *Volume) Lookup(name string) (*Inode, error) {
	return v.find(name, func(d *Inode) map[string]*Inode { return d.entries })
}

// find walks a name from the root through one of the two images.
func (v *Volume) find(name string, image func(*Inode) map[string]*Inode) (*Inode, error) {
	clean, err := cleaned(name)
	if err != nil {
		return nil, err
	}
	at := v.root
	for clean != "." && clean != "" {
		part, rest, _ := strings.Cut(clean, "/")
		next := image(at)[part] // nil for a regular file
		if next == nil {
			return nil, fmt.Errorf("%s: %w", name, env.ErrNotExist)
		}
		at, clean = next, rest
	}
	return at, nil
}

// cleaned normalizes a name; names that are absolute or leave the root do not
// exist.
func cleaned(name string) (string, error) {
	clean := path.Clean(name)
	if name == "" || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("name %q leaves the root: %w", name, env.ErrNotExist)
	}
	return clean, nil
}

// parent finds the directory of a name, and its last part.
func (v *Volume) parent(name string) (*Inode, string, error) {
	clean, err := cleaned(name)
	if err != nil {
		return nil, "", err
	}
	if clean == "." {
		return nil, "", fmt.Errorf("the root: %w", env.ErrExist)
	}
	dir, err := v.Lookup(path.Dir(clean))
	if err != nil {
		return nil, "", err
	}
	if !dir.IsDir() {
		return nil, "", fmt.Errorf("%s: not in a directory: %w", name, env.ErrNotExist)
	}
	return dir, path.Base(clean), nil
}

// Create makes an empty file or a directory; ErrExist if the name is taken.
func (v *Volume) Create(name string, t Type) (*Inode, error) {
	dir, base, err := v.parent(name)
	if err != nil {
		return nil, err
	}
	if dir.entries[base] != nil {
		return nil, fmt.Errorf("%s: %w", name, env.ErrExist)
	}
	i := v.newInode(t)
	i.links = 1
	dir.entries[base] = i
	if i.allocated = t == Directory; !i.allocated {
		v.issue(Effect{Kind: Alloc, ino: i})
	}
	v.issueEntry(Effect{Kind: Link, ino: i, move: &move{to: dir, toName: base}})
	return i, nil
}

// Remove removes a file or an empty directory.
func (v *Volume) Remove(name string) error {
	dir, base, err := v.parent(name)
	if err != nil {
		return err
	}
	i := dir.entries[base]
	if i == nil {
		return fmt.Errorf("%s: %w", name, env.ErrNotExist)
	}
	if len(i.entries) > 0 {
		return fmt.Errorf("%s: %w", name, env.ErrNotEmpty)
	}
	delete(dir.entries, base)
	v.issueEntry(Effect{Kind: Unlink, ino: i, move: &move{from: dir, fromName: base}})
	i.links--
	v.maybeFree(i)
	return nil
}

// Rename moves a file or directory, replacing a file at the new name.
func (v *Volume) Rename(from, to string) error {
	m, i, err := v.planRename(from, to)
	if err != nil {
		return err
	}
	replaced := m.to.entries[m.toName]
	if replaced == i {
		return nil // two names of one file: rename does nothing
	}
	delete(m.from.entries, m.fromName)
	m.to.entries[m.toName] = i
	v.issueEntry(Effect{Kind: Rename, ino: i, move: m})
	if replaced != nil {
		replaced.links--
		v.maybeFree(replaced)
	}
	return nil
}

// planRename checks the rules of rename and finds the entries.
func (v *Volume) planRename(from, to string) (*move, *Inode, error) {
	var m move
	var err error
	if m.from, m.fromName, err = v.parent(from); err != nil {
		return nil, nil, err
	}
	if m.to, m.toName, err = v.parent(to); err != nil {
		return nil, nil, err
	}
	i := m.from.entries[m.fromName]
	if i == nil {
		return nil, nil, fmt.Errorf("%s: %w", from, env.ErrNotExist)
	}
	target := m.to.entries[m.toName]
	if target != nil && target != i && (target.IsDir() || i.IsDir()) {
		return nil, nil, fmt.Errorf("%s: rename of %s: %w", to, from, env.ErrExist)
	}
	if i.IsDir() && strings.HasPrefix(path.Clean(to)+"/", path.Clean(from)+"/") && target != i {
		return nil, nil, fmt.Errorf("%s: rename into itself: %w", from, env.ErrExist)
	}
	return &m, i, nil
}

// List returns the names in a directory, sorted.
func (v *Volume) List(name string) ([]string, error) {
	dir, err := v.Lookup(name)
	if err != nil {
		return nil, err
	}
	if !dir.IsDir() {
		return nil, fmt.Errorf("%s: not a directory: %w", name, env.ErrNotExist)
	}
	return sortedNames(dir.entries), nil
}

func sortedNames(entries map[string]*Inode) []string {
	names := make([]string, 0, len(entries))
	for name := range entries { //klamm:unordered sorted below
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
