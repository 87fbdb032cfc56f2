package scenarios

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A fumbler makes mistakes with machines and their files, beside a bungler: half of the
// seeds have one.
type fumbler struct {
	machine
	draws *rand.Rand
	done  bool
}

func (r *run) newFumbler(name string) *fumbler {
	f := &fumbler{draws: r.k.Rand("workload/" + name)}
	f.machine = r.newMachine(name, f.main)
	return f
}

// unfinished says that he is still at it, or "".
func (f *fumbler) unfinished() string {
	if f.done {
		return ""
	}
	return f.node.Name() + " is not through with mistakes"
}

func (f *fumbler) main() {
	cl, err := client.New(f.world, f.r.clientConfig(f.node.Name()))
	if err != nil {
		panic(err)
	}
	for !f.r.healed {
		switch f.draws.IntN(7) {
		case 0:
			f.downgrade()
		case 1:
			f.putBack(cl)
		case 2, 3:
			f.appendToLog()
		case 4:
			f.addDirectory()
		default:
			f.startCopy()
		}
		f.rest(f.r.options.Safety / 6)
	}
	cl.Close(kafka.Never)
	f.done = true
}

func (f *fumbler) soon() kafka.Instant { return f.world.Now().Add(f.r.requestTimeout) }

func (f *fumbler) rest(most time.Duration) {
	f.world.Sleep(time.Duration(f.draws.Int64N(int64(most))))
}

// startCopy starts a second machine with the number and the disk of a broker, made of a
// snapshot of that, and turns it off again. The broker learns that it is not the one that
// the cluster knows, ends, and comes back. Blocks.
func (f *fumbler) startCopy() {
	host := pick(f.draws, f.r.brokers...)
	active := f.r.controller()
	if active == nil {
		return
	}
	image, id := active.running.Image(), kafka.NodeID(host.seat.id)
	known, ok := image.Broker(id)
	if !ok {
		return
	}
	copied := meta.Registration{
		ID: id, ClusterID: image.ClusterID(), Endpoints: known.Endpoints, Directories: known.Directories,
		Rack: known.Rack, Volatile: known.Volatile, CleanAfter: meta.NoEpoch, MinLevel: known.MinLevel, MaxLevel: known.MaxLevel,
	}
	for i := range copied.Incarnation {
		copied.Incarnation[i] = byte(f.draws.Uint32())
	}
	question := peer.RegistrationRequest(copied)
	question.Version = 4
	c, err := f.dialTo(active.seat.controllers())
	if err != nil {
		return
	}
	resp, err := c.ask(question, f.soon())
	_ = c.net.Close()
	f.r.took(operatorMistakes, err == nil && resp.(*kmsg.BrokerRegistrationResponse).ErrorCode == 0)
}

// downgrade has the controllers know of a setting that only a later version has: that was
// in use, and set it. Nodes of this version leave it alone. Blocks.
func (f *fumbler) downgrade() {
	active := f.r.controller()
	if active == nil {
		return
	}
	n, value := active.running, "on"
	active.node.Go("later version", func() {
		err := n.Decide(func(now *meta.Image) ([]meta.Record, error) {
			t, ok := now.Topic(topicName)
			if !ok {
				return nil, kafka.ErrUnknownTopicOrPartition
			}
			return []meta.Record{meta.ConfigRecord{Topic: t.ID, Name: "setting.of.a.later.version", Value: &value}}, nil
		})
		f.r.took(operatorMistakes, err == nil)
	})
}

// appendToLog has a tool write behind the end of a log, on a broker that is stopped for it:
// a copy that was cut short, an editor's last line. What was promised is there all the same.
func (f *fumbler) appendToLog() {
	host := pick(f.draws, f.r.brokers...)
	if host.running == nil || host.stopping {
		return
	}
	garbage := make([]byte, 1+f.draws.IntN(200))
	for i := range garbage {
		garbage[i] = byte(f.draws.Uint32())
	}
	which := f.draws.Uint32()
	host.tool = func(fs env.FS) {
		f.r.took(operatorMistakes, appendTo(fs, which, garbage) == nil)
	}
	host.stop(time.Duration(f.draws.Int64N(int64(500 * time.Millisecond))))
}

// addDirectory adds a directory to a broker's log.dirs in which nothing can be read or made,
// as of a disk that is not mounted, or takes that back, and restarts the broker: it serves
// what is in the first.
func (f *fumbler) addDirectory() {
	host := pick(f.draws, f.r.brokers...)
	if host.running == nil || host.stopping {
		return
	}
	w := host.world
	if len(w.LogDirs) > 1 {
		w.LogDirs = w.LogDirs[:1]
	} else {
		disk := disksim.New(f.r.k, host.seat.name+"/1", disksim.Options{})
		disksim.Fault{Kind: disksim.FaultMetaError, Disk: disk.Name(), Path: "*"}.Apply(disk)
		w.LogDirs = append(w.LogDirs, env.LogDir{Name: host.seat.name + "/disk1", FS: disk.FS(host.node)})
	}
	f.r.took(operatorMistakes, host.stop(time.Duration(f.draws.Int64N(int64(500*time.Millisecond)))))
}

// appendTo appends to the last segment of one of the topic's logs. Blocks.
func appendTo(fs env.FS, which uint32, b []byte) error {
	dirs, err := fs.ReadDir(".")
	if err != nil {
		return err
	}
	dirs = slices.DeleteFunc(dirs, func(name string) bool { return !strings.HasPrefix(name, topicName+"-") })
	if len(dirs) == 0 {
		return env.ErrNotExist
	}
	slices.Sort(dirs)
	dir := dirs[int(which)%len(dirs)]
	names, err := fs.ReadDir(dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
	if len(names) == 0 {
		return env.ErrNotExist
	}
	file, err := fs.OpenFile(dir+"/"+slices.Max(names), env.Write)
	if err != nil {
		return err
	}
	size, err := file.Size()
	if err == nil {
		_, err = file.WriteAt(b, size)
	}
	return errors.Join(err, file.Close())
}

// fumbled is a topic that is deleted, created again, and meets its old files.
var fumbled = kafka.TopicPartition{Topic: "fumbled"}

// putBack deletes a topic, puts its files back from a copy, and creates the topic again: who
// finds them does not serve them. Blocks.
func (f *fumbler) putBack(cl *client.Client) {
	f.create(cl)
	var host *brokerHost
	found := f.await(func() bool {
		i := slices.IndexFunc(f.r.brokers, func(b *brokerHost) bool { return b.has(fumbled) })
		if i >= 0 {
			host = f.r.brokers[i]
		}
		return i >= 0
	})
	if !found || !f.fill(cl) {
		return
	}
	var files []savedFile
	f.onMachine(host, func(fs env.FS) { files = save(fs, fumbled.String()) })
	f.delete(cl)
	f.await(func() bool { return !host.has(fumbled) })
	f.onMachine(host, func(fs env.FS) {
		if _, err := fs.Stat(fumbled.String()); err == nil || len(files) == 0 || host.has(fumbled) {
			return // it is not gone yet
		}
		f.r.took(operatorMistakes, restore(fs, fumbled.String(), files) == nil)
	})
	f.create(cl)
	f.rest(time.Second)
	f.delete(cl)
}

// fill sends a record to the topic, so that its logs are not as if they were new, and
// reports whether it is there. Blocks.
func (f *fumbler) fill(cl *client.Client) bool {
	config := client.DefaultProducer()
	config.Linger, config.MaxBlock, config.DeliveryTimeout = 0, f.r.requestTimeout, f.r.requestTimeout+time.Second
	p, err := cl.NewProducer(config)
	if err != nil {
		panic(err)
	}
	defer p.Close(kafka.Never)
	sent, err := p.SendTo(0, client.Record{Topic: fumbled.Topic, Value: []byte("fumbled")})
	if err != nil {
		return false
	}
	result, err := sent.Wait(f.soon())
	return err == nil && result.Outcome == client.Acked
}

// await waits a second at most, and reports whether it has come. Blocks.
func (f *fumbler) await(come func() bool) bool {
	for range 20 {
		if come() {
			return true
		}
		f.world.Sleep(50 * time.Millisecond)
	}
	return false
}

// onMachine runs a program on a broker's machine, beside the broker, and waits for it for a
// while. Blocks.
func (f *fumbler) onMachine(host *brokerHost, program func(env.FS)) {
	if host.running == nil {
		return
	}
	task := host.node.Go("tool", func() { program(host.world.LogDirs[0].FS) })
	f.await(task.Done)
}

func (f *fumbler) create(cl *client.Client) {
	topic := client.NewTopic{Name: fumbled.Topic, Partitions: 1, Replicas: int16(f.r.options.Replicas), Configs: anyTimestamp}
	_, _ = cl.CreateTopics([]client.NewTopic{topic}, f.soon())
}

func (f *fumbler) delete(cl *client.Client) {
	_, _ = cl.DeleteTopics([]string{fumbled.Topic}, f.soon())
}

// has reports whether the broker runs and knows that it has a partition.
func (b *brokerHost) has(tp kafka.TopicPartition) bool {
	if b.running == nil {
		return false
	}
	_, ok := b.running.Partition(tp)
	return ok
}

// A savedFile is a file of a directory that somebody made a copy of.
type savedFile struct {
	name string
	b    []byte
}

// save returns the files of a directory as far as they can be read. Blocks.
func save(fs env.FS, dir string) []savedFile {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	var out []savedFile
	for _, name := range names {
		if b, err := readAll(fs, dir+"/"+name); err == nil {
			out = append(out, savedFile{name, b})
		}
	}
	return out
}

// restore makes a directory with these files. Blocks.
func restore(fs env.FS, dir string, files []savedFile) error {
	if err := fs.Mkdir(dir); err != nil {
		return err
	}
	for _, f := range files {
		file, err := fs.OpenFile(dir+"/"+f.name, env.Write|env.Create)
		if err != nil {
			return err
		}
		for at := 0; at < len(f.b) && err == nil; {
			var n int
			n, err = file.WriteAt(f.b[at:], int64(at))
			at += n
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// readAll returns what is in a file. Blocks.
func readAll(fs env.FS, name string) ([]byte, error) {
	file, err := fs.OpenFile(name, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out []byte
	for p := make([]byte, 4096); ; {
		n, err := file.ReadAt(p, int64(len(out)))
		out = append(out, p[:n]...)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
