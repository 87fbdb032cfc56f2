package envtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
)

// A Script is a sequence of disk operations that can be played on any FS, one
// after the other. Every operation of it is legal where it stands.
type Script []Op

// An Op is one disk operation. It prints as one line, which ParseScript reads.
type Op struct {
	Kind OpKind
	Path string
	To   string // Rename: the new path
	Off  int64  // Write, Allocate
	N    int64  // Write, Allocate: how many bytes; Truncate: the new size
	Seed uint64 // Write: of the bytes
}

// An OpKind says what an Op does.
type OpKind string

// The kinds. Files are opened by the first operation that needs them and stay
// open, also when they are renamed or removed.
const (
	OpCreate   OpKind = "create"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpAllocate OpKind = "allocate"
	OpSync     OpKind = "sync"
	OpSyncData OpKind = "syncdata"
	OpMkdir    OpKind = "mkdir"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpSyncDir  OpKind = "syncdir"
)

// String returns the operation as a line without its end. Paths have no spaces.
func (o Op) String() string {
	switch o.Kind {
	case OpWrite:
		return fmt.Sprintf("%s %s off=%d n=%d seed=%d", o.Kind, o.Path, o.Off, o.N, o.Seed)
	case OpAllocate:
		return fmt.Sprintf("%s %s off=%d n=%d", o.Kind, o.Path, o.Off, o.N)
	case OpTruncate:
		return fmt.Sprintf("%s %s n=%d", o.Kind, o.Path, o.N)
	case OpRename:
		return fmt.Sprintf("%s %s to=%s", o.Kind, o.Path, o.To)
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Path)
}

// String returns the script as lines.
func (s Script) String() string {
	var b strings.Builder
	for _, op := range s {
		fmt.Fprintln(&b, op)
	}
	return b.String()
}

// ParseScript reads what Script.String writes.
func ParseScript(text string) (Script, error) {
	var s Script
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		op, err := parseOp(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
		s = append(s, op)
	}
	return s, nil
}

func parseOp(line string) (op Op, err error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return op, fmt.Errorf("want a kind and a path")
	}
	op.Kind, op.Path = OpKind(words[0]), words[1]
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "to":
			op.To = value
		case "off":
			_, err = fmt.Sscan(value, &op.Off)
		case "n":
			_, err = fmt.Sscan(value, &op.N)
		case "seed":
			_, err = fmt.Sscan(value, &op.Seed)
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return op, err
		}
	}
	return op, nil
}

// Draw returns a script of n operations on a few files in three directories:
// many appends, some overwrites, holes, truncations, renames over other files,
// removals, and syncs in between.
func Draw(r *rand.Rand, n int) Script {
	d := &drawing{rand: r, model: NewModel()}
	d.add(Op{Kind: OpMkdir, Path: "a"})
	d.add(Op{Kind: OpMkdir, Path: "b"})
	for len(d.script) < n {
		d.draw()
	}
	return d.script
}

type drawing struct {
	rand   *rand.Rand
	model  *Model
	script Script
}

func (d *drawing) add(op Op) {
	d.model.Do(op)
	d.script = append(d.script, op)
}

var scriptPaths = []string{"f", "g", "a/f", "a/g", "b/f", "b/g"}

func (d *drawing) draw() {
	files := d.model.files()
	free := slices.DeleteFunc(slices.Clone(scriptPaths), func(p string) bool { return slices.Contains(files, p) })
	if len(files) == 0 || (len(free) > 0 && d.rand.IntN(8) == 0) {
		d.add(Op{Kind: OpCreate, Path: pick(d.rand, free)})
		return
	}
	path := pick(d.rand, files)
	size := d.model.size(path)
	switch d.rand.IntN(16) {
	case 0, 1, 2, 3, 4:
		d.write(path, size)
	case 5:
		d.write(path, d.rand.Int64N(size+1))
	case 6:
		d.write(path, size+d.rand.Int64N(10_000))
	case 7:
		d.add(Op{Kind: OpTruncate, Path: path, N: d.rand.Int64N(size + 1)})
	case 8:
		d.cutAndGrow(path, size)
	case 9:
		d.add(Op{Kind: OpAllocate, Path: path, Off: size, N: 1 + d.rand.Int64N(100_000)})
	case 10, 11:
		d.rename(path)
	case 12:
		d.add(Op{Kind: OpRemove, Path: path})
	case 13:
		d.add(Op{Kind: OpSync, Path: path})
	case 14:
		d.add(Op{Kind: OpSyncData, Path: path})
	case 15:
		d.add(Op{Kind: OpSyncDir, Path: pick(d.rand, []string{".", "a", "b"})})
	}
}

// write adds a write at off; one in eight is so long that a kill can hit it.
func (d *drawing) write(path string, off int64) {
	n := 1 + d.rand.Int64N(20_000)
	if d.rand.IntN(8) == 0 {
		n = 1 + d.rand.Int64N(1<<20)
	}
	d.add(Op{Kind: OpWrite, Path: path, Off: off, N: n, Seed: d.rand.Uint64()})
}

// cutAndGrow makes room for what was cut off to come back.
func (d *drawing) cutAndGrow(path string, size int64) {
	d.add(Op{Kind: OpTruncate, Path: path, N: d.rand.Int64N(size + 1)})
	if d.rand.IntN(2) == 0 {
		d.write(path, size+d.rand.Int64N(10_000))
		return
	}
	d.add(Op{Kind: OpTruncate, Path: path, N: size + d.rand.Int64N(10_000)})
}

func (d *drawing) rename(path string) {
	if to := pick(d.rand, scriptPaths); to != path {
		d.add(Op{Kind: OpRename, Path: path, To: to})
	}
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// A Player carries out operations on a disk, keeping files open.
type Player struct {
	fs   env.FS
	open map[string]env.File
	gone []env.File // open, but removed or replaced
}

// NewPlayer returns a player without open files.
func NewPlayer(fs env.FS) *Player { return &Player{fs: fs, open: make(map[string]env.File)} }

// Do carries out one operation, all of it. Blocks.
func (p *Player) Do(op Op) error {
	switch op.Kind {
	case OpMkdir:
		return p.fs.Mkdir(op.Path)
	case OpSyncDir:
		return p.fs.SyncDir(op.Path)
	case OpRename:
		return p.rename(op)
	case OpRemove:
		p.forget(op.Path)
		return p.fs.Remove(op.Path)
	}
	f, err := p.file(op)
	if err != nil {
		return err
	}
	switch op.Kind {
	case OpWrite:
		return store(f, pattern(op.Seed, int(op.N)), op.Off)
	case OpTruncate:
		return f.Truncate(op.N)
	case OpAllocate:
		return f.Allocate(op.Off, op.N)
	case OpSync:
		return f.Sync()
	case OpSyncData:
		return f.SyncData()
	case OpCreate:
		return nil
	}
	return fmt.Errorf("operation %q is unknown", op.Kind)
}

// file returns the open file of an operation.
func (p *Player) file(op Op) (env.File, error) {
	if f, ok := p.open[op.Path]; ok {
		return f, nil
	}
	flag := env.Write
	if op.Kind == OpCreate {
		flag |= env.Create | env.Exclusive
	}
	f, err := p.fs.OpenFile(op.Path, flag)
	if err != nil {
		return nil, err
	}
	p.open[op.Path] = f
	return f, nil
}

func (p *Player) rename(op Op) error {
	p.forget(op.To)
	if f, ok := p.open[op.Path]; ok {
		delete(p.open, op.Path)
		p.open[op.To] = f
	}
	return p.fs.Rename(op.Path, op.To)
}

func (p *Player) forget(path string) {
	if f, ok := p.open[path]; ok {
		delete(p.open, path)
		p.gone = append(p.gone, f)
	}
}

// Close closes the open files. Blocks.
func (p *Player) Close() error {
	var err error
	for _, path := range scriptPaths {
		if f, ok := p.open[path]; ok {
			err = first(err, f.Close())
		}
	}
	for _, f := range p.gone {
		err = first(err, f.Close())
	}
	p.open, p.gone = make(map[string]env.File), nil
	return err
}
