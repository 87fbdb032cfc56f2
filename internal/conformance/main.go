// Command conformance has real clients use a real node, and has what they did and
// saw judged by 'klamm check'.
//
//	go run ./internal/conformance -klamm ./klamm -records 100000 -clients kgo,kcat
//
// Each client is a program that does what it is told (package talk). It produces
// records with each codec it has: with and without keys, values and headers, with
// timestamps of its past. Then it produces while the node is stopped and started
// again, and while it is killed, and another of it reads meanwhile. The node is
// killed once more, and everything is read back by the same kind of client. What
// was acknowledged has to be there, byte for byte, with its timestamp; with
// idempotence, once. .ci/conformance installs the clients.
//
// With -kills it is a cluster of three nodes that clients use, all at once, while
// leaders and controllers are killed and started again, stopped for longer than
// their sessions, and restarted one after the other:
//
//	go run ./internal/conformance -klamm ./klamm -records 1000000 -kills 100 -pauses 10 -clients franz,kcat
//
// It tells how long partitions were without a leader. With -partitions there are no
// clients: it tells what so many partitions cost the nodes of a cluster, and how
// long they have no leader when nodes die:
//
//	go run ./internal/conformance -klamm ./klamm -partitions 10000 -topics 10 -session 9s
//
// With -groups it is a cluster, too, and clients are members of groups that come and
// go meanwhile:
//
//	go run ./internal/conformance -klamm ./klamm -groups all -records 50000 -kills 20
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options is what the command is told.
type options struct {
	klamm   string
	records int
	clients []string
	keep    bool
	tools   tools

	kills, pauses int
	seed          uint64
	layout        layout

	groups string

	partitions, topics int
	quiet              time.Duration
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("conformance: ")
	var o options
	var clients string
	flag.StringVar(&o.klamm, "klamm", "klamm", "the klamm `BINARY` under test")
	flag.IntVar(&o.records, "records", 100_000, "records in each topic")
	flag.StringVar(&clients, "clients", "kcat,python,kafkajs,java,franz", "which, separated by commas")
	flag.IntVar(&o.kills, "kills", 0, "use a cluster, and kill so many leaders and controllers")
	flag.IntVar(&o.pauses, "pauses", 1, "with -kills: stop a leader so often for longer than its session")
	flag.Uint64Var(&o.seed, "seed", 1, "with -kills: draws when what happens")
	flag.DurationVar(&o.layout.session, "session", 2*time.Second, "with -kills or -partitions: broker.session.timeout.ms")
	flag.BoolVar(&o.layout.apart, "apart", false, "with -kills or -partitions: controllers are processes of their own")
	flag.StringVar(&o.groups, "groups", "", "use a cluster, and have groups read: `LIST` of names, or all; with -kills and -pauses")
	flag.IntVar(&o.partitions, "partitions", 0, "use no clients, and a cluster with so many partitions: measure what they cost")
	flag.IntVar(&o.topics, "topics", 10, "with -partitions: of so many topics")
	flag.DurationVar(&o.quiet, "quiet", time.Minute, "with -partitions: for how long idle processes are watched")
	flag.DurationVar(&patience, "patience", patience, "how long one run of a client may take")
	flag.BoolVar(&o.keep, "keep", false, "keep data, logs and histories, and say where")
	flag.StringVar(&o.tools.programs, "programs", ".", "the `DIR` of the programs franz and kcat")
	flag.StringVar(&o.tools.python, "python", "python3", "the `PYTHON` that has kafka-python")
	flag.StringVar(&o.tools.kafkajs, "kafkajs", "", "the `DIR` of client.js and its node_modules")
	flag.StringVar(&o.tools.java, "java", "", "the `CLASSPATH` of Client and the Java client")
	flag.Parse()
	o.clients = strings.Split(clients, ",")
	if o.records < 1000 {
		log.Fatalf("-records %d: want 1000 or more, or there is no middle to end the node in", o.records)
	}
	if err := o.run(); err != nil {
		log.Fatal(err)
	}
}

// run puts every client through it, on one node.
func (o *options) run() (err error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return err
	}
	defer func() {
		if o.keep {
			fmt.Println("kept:", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	switch {
	case o.partitions > 0:
		return o.runCrowd(dir)
	case o.groups != "":
		return o.runGroups(dir)
	case o.kills > 0:
		return o.runCluster(dir)
	}
	n, err := newNode(o.klamm, dir)
	if err != nil {
		return err
	}
	n.args = []string{"--listen", n.address}
	defer n.end(kill)
	if err := n.start(); err != nil {
		return err
	}
	var errs []error
	for _, name := range o.clients {
		p, err := programNamed(name)
		if err != nil {
			return err
		}
		begun := time.Now()
		c := &ordeal{program: p, tools: &o.tools, node: n, records: o.records, dir: dir}
		if err := c.run(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w\nthe node's last words:\n%s", name, err, n.lastWords()))
		}
		fmt.Printf("%s: done in %.0f s\n", name, time.Since(begun).Seconds())
	}
	return errors.Join(errs...)
}

// tools is where the clients are.
type tools struct{ programs, python, kafkajs, java string }

// A program is one client.
type program struct {
	name       string
	command    func(*tools) []string
	codecs     []string
	idempotent idempotence
	style      style
}

func programNamed(name string) (*program, error) {
	at := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
	if at < 0 {
		return nil, fmt.Errorf("no client %q", name)
	}
	return &programs[at], nil
}

// idempotence says what a client's producer does against duplicates.
type idempotence int

const (
	idempotent  idempotence = iota
	oneInFlight             // it has no idempotence: a retry may write twice
)

var allCodecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// jvm starts a Java virtual machine that is to be up soon, not fast after a while.
var jvm = []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

var programs = []program{
	{"kcat", func(t *tools) []string { return []string{filepath.Join(t.programs, "kcat")} }, allCodecs, idempotent, text},
	{"python", func(t *tools) []string { return []string{t.python, filepath.Join(t.programs, "client.py")} }, allCodecs, oneInFlight, binary},
	{"kafkajs", func(t *tools) []string { return []string{"node", filepath.Join(t.kafkajs, "client.js")} }, allCodecs, idempotent, binary},
	{"java", func(t *tools) []string { return append(jvm, "-cp", t.java, "Client") }, allCodecs, idempotent, binary},
	{"franz", func(t *tools) []string { return []string{filepath.Join(t.programs, "franz")} }, allCodecs, idempotent, binary},
}
