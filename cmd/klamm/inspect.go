package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/klammlog/klamm/node/quorum"
)

type inspectFlags struct {
	records  bool
	metadata bool
	from     int64
	count    int
	output   string
}

func newInspectCommand() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect DIR|FILE",
		Short: "Look at the files of a log, and check all of them",
		Long: `Read a data directory, a partition's directory in it, or one .log file, without changing or
locking anything, and check it: every checksum, the indexes against the batches, offsets and
leader epochs from batch to batch, the manifest against the files. A .log file holds Kafka's
batches and nothing else, so those of Kafka can be read too. Of a controller the votes,
the metadata log and its snapshots are read as well.

What a crash explains is a note, and the next start puts it in order; damage is what nothing
explains. A node may run meanwhile, but what it is just writing can look like damage.

Exit codes: 0 nothing is damaged; 1 something is; 2 usage, or nothing to look at.`,
		Example: `  klamm inspect data
  klamm inspect data/orders-0 -o json
  klamm inspect data --metadata --from 1000
  klamm inspect data/orders-0/00000000000000000000.log --records --from 4117 --count 5`,
		Args: oneArgument("a directory or a .log file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0])
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.records, "records", false, "print batches and their records too")
	flags.BoolVar(&f.metadata, "metadata", false, "print the metadata log and its snapshots too")
	flags.Int64Var(&f.from, "from", 0, "with --records or --metadata: the first `OFFSET`")
	flags.IntVarP(&f.count, "count", "n", 100, "with --records or --metadata: so many records or entries at most; 0: all")
	outputFlag(cmd, &f.output)
	return cmd
}

// run looks at what path names.
func (f *inspectFlags) run(cmd *cobra.Command, path string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.from < 0 || f.count < 0 {
		return usage(fmt.Errorf("--from %d --count %d: want 0 or more", f.from, f.count))
	}
	if !f.records && !f.metadata && (cmd.Flags().Changed("from") || cmd.Flags().Changed("count")) {
		return usage(errors.New("--from and --count go with --records or --metadata"))
	}
	place, err := findPlace(path)
	if err != nil {
		return usage(err)
	}
	host, err := osenv.New(osenv.Options{LogDirs: []string{place.root}})
	if err != nil {
		return err
	}
	defer host.Close()
	i := &inspection{f: f, fs: host.World().LogDirs[0].FS, place: place, out: cmd.OutOrStdout()}
	if err := host.Do(context.Background(), i.run); err != nil {
		return err
	}
	if err := i.print(); err != nil {
		return err
	}
	if f.records {
		if err := host.Do(context.Background(), i.dump); err != nil {
			return err
		}
	}
	if f.metadata {
		if err := host.Do(context.Background(), i.dumpMetadata); err != nil {
			return err
		}
	}
	if i.report.Code != 0 {
		return exitCode(i.report.Code)
	}
	return nil
}

// A place is what is to be looked at: below root is a data directory, one
// partition's directory, or one file.
type place struct {
	root      string
	partition string // its directory in root, or ""
	file      string // in root, or ""
	asked     string
}

// findPlace finds out what a path names.
func findPlace(path string) (place, error) {
	info, err := os.Stat(path)
	if err != nil {
		return place{}, err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return place{}, err
	}
	p := place{root: full, asked: path}
	if !info.IsDir() {
		p.root, p.file = filepath.Dir(full), filepath.Base(full)
		return p, nil
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return place{}, err
	}
	ours := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return !e.IsDir() && (e.Name() == "manifest" || e.Name() == "partition" || strings.HasSuffix(e.Name(), ".log"))
	})
	if ours {
		p.root, p.partition = filepath.Dir(full), filepath.Base(full)
	}
	return p, nil
}

// An inspection is one look.
type inspection struct {
	f      *inspectFlags
	fs     env.FS
	place  place
	out    io.Writer
	report inspectJSON
	quorum *quorum.Inspection // nil: there are no files of the controllers
	count  int                // records that were printed
}

// inspectJSON is what inspect prints.
type inspectJSON struct {
	Kind       string              `json:"_kind"`
	Version    int                 `json:"_version"`
	Path       string              `json:"path"`
	Directory  string              `json:"directory_id,omitempty"`
	InUse      bool                `json:"in_use,omitempty"`
	Metadata   *metadataJSON       `json:"metadata,omitempty"`
	Partitions []*commitlog.Survey `json:"partitions"`
	Damage     []commitlog.Damage  `json:"damage"`
	Damaged    int                 `json:"damaged"`
	Code       int                 `json:"exit_code"`
}

// run reads. It is a task. Blocks.
func (i *inspection) run() error {
	i.report = inspectJSON{Kind: "klamm.inspect", Version: 1, Path: i.place.asked, Partitions: []*commitlog.Survey{}, Damage: []commitlog.Damage{}}
	i.report.InUse = inUse(i.place.root)
	var err error
	switch p := i.place; {
	case p.file != "":
		i.report.Partitions = append(i.report.Partitions, commitlog.ExploreFile(i.fs, p.file))
	case p.partition != "":
		i.identity()
		err = i.partition(p.partition)
		if p.partition == quorum.MetadataPath {
			err = errors.Join(err, i.metadata())
		}
	default:
		err = i.directory()
	}
	i.report.Damaged = len(i.report.Damage)
	for _, s := range i.report.Partitions {
		i.report.Damaged += len(s.Damage)
	}
	if i.report.Damaged > 0 {
		i.report.Code = exitFailed
	}
	return err
}

// identity reads whose the directory is. A partition's may lie anywhere.
func (i *inspection) identity() (known bool) {
	id, err := commitlog.ExploreID(i.fs)
	switch {
	case errors.Is(err, env.ErrNotExist):
		return false
	case err != nil:
		i.report.Damage = append(i.report.Damage, commitlog.Damage{File: "directory", What: err.Error()})
	default:
		i.report.Directory = fmt.Sprintf("%x", id)
	}
	return true
}

func (i *inspection) partition(path string) error {
	s, err := commitlog.Explore(i.fs, path)
	if err != nil {
		return err
	}
	i.report.Partitions = append(i.report.Partitions, s)
	return nil
}

// directory looks at every partition in it.
func (i *inspection) directory() error {
	known := i.identity()
	if err := i.metadata(); err != nil {
		return err
	}
	names, err := i.fs.ReadDir(".")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		ok, err := commitlog.Explorable(i.fs, name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := i.partition(name); err != nil {
			return err
		}
	}
	if !known && len(i.report.Partitions) == 0 {
		return usage(fmt.Errorf("%s: is no data directory, and no partition's", i.place.asked))
	}
	return nil
}

// inUse reports whether a node holds a data directory's lock. It asks for it
// without waiting and without keeping it, and makes no file.
func inUse(root string) bool {
	f, err := os.Open(filepath.Join(root, ".lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	return false
}

// print prints what was found.
func (i *inspection) print() error {
	if i.f.output == "json" {
		return printJSON(i.out, i.report)
	}
	return i.printText()
}
