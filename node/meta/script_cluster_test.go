package meta

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// runCluster is the part of the scripts that needs more than one broker.
func (s *script) runCluster(t *testing.T, d *datadriven.TestData) string {
	on := configured(t)
	switch d.Cmd {
	case "cluster":
		return s.cluster(t, d)
	case "register":
		return s.register(t, d)
	case "beat":
		return s.beat(t, d)
	case "fence":
		return s.apply(t, s.image.Fence(numbers(d, "ids"), on), nil)
	case "unregister":
		records, err := s.image.Unregister(numbers(d, "id")[0])
		return s.apply(t, records, err)
	case "isr":
		return s.alterISR(t, d)
	case "elect":
		return s.elect(t, d)
	case "elect-waiting":
		return s.apply(t, s.image.ElectWaiting(on), nil)
	case "rebalance":
		r := Rebalancing{Limit: 1000}
		d.MaybeScanArgs(t, "percent", &r.Percent)
		d.MaybeScanArgs(t, "limit", &r.Limit)
		return s.apply(t, s.image.Rebalance(r, on), nil)
	case "reassign":
		return s.reassign(t, d)
	case "reassignments":
		return s.reassignments(d)
	case "features":
		return s.features(t, d)
	case "prepare":
		v, err := config.NewBroker([]config.Pair{{Name: d.CmdArgs[0].Key, Value: d.CmdArgs[0].Vals[0]}})
		if err != nil {
			t.Fatal(err)
		}
		return s.apply(t, s.image.Prepare(v), nil)
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

// cluster forms one of brokers=3 racks=(a,b,a), which serve.
func (s *script) cluster(t *testing.T, d *datadriven.TestData) string {
	s.apply(t, Format("cluster-1"), nil)
	var n int
	d.ScanArgs(t, "brokers", &n)
	racks, _ := d.Arg("racks")
	for i := range n {
		id := kafka.NodeID(i + 1)
		r := Registration{ID: id, MinLevel: 1, MaxLevel: Level, CleanAfter: NoEpoch, Directories: []DirectoryID{{byte(id)}}}
		r.Incarnation[0], r.Volatile = byte(id), d.HasArg("volatile")
		if len(racks.Vals) > 0 {
			r.Rack = racks.Vals[i]
		}
		records, epoch, err := s.image.Register(r, func(kafka.NodeID) bool { return false }, nil)
		s.apply(t, records, err)
		records, _, err = s.image.Heartbeat(Beat{ID: id, Epoch: epoch}, 0, nil)
		s.apply(t, records, err)
	}
	return s.show()
}

// register registers a broker: id=1 dirs=(a) rack=x clean volatile life=2 live=1
// levels=(2,3) cluster=c. Unless it is to stay fenced it beats once.
func (s *script) register(t *testing.T, d *datadriven.TestData) string {
	id := numbers(d, "id")[0]
	r := Registration{ID: id, MinLevel: 1, MaxLevel: Level, CleanAfter: NoEpoch, Volatile: d.HasArg("volatile")}
	r.Endpoints = []Endpoint{{"PLAINTEXT", "host" + strconv.Itoa(int(id)), 9092}}
	if arg, ok := d.Arg("dirs"); ok {
		for _, v := range arg.Vals {
			dir := v[0]
			if n, err := strconv.Atoi(v); err == nil {
				dir = byte(n)
			}
			r.Directories = append(r.Directories, DirectoryID{dir})
		}
	}
	if levels := numbers(d, "levels"); levels != nil {
		r.MinLevel, r.MaxLevel = int16(levels[0]), int16(levels[1])
	}
	d.MaybeScanArgs(t, "rack", &r.Rack)
	d.MaybeScanArgs(t, "cluster", &r.ClusterID)
	for _, n := range numbers(d, "life") {
		r.Incarnation[0] = byte(n)
	}
	if d.HasArg("clean") {
		r.CleanAfter = s.member(id).Epoch
	}
	live := func(kafka.NodeID) bool { return d.HasArg("live") }
	records, epoch, err := s.image.Register(r, live, configured(t))
	out := s.apply(t, records, err)
	if err != nil || d.HasArg("fenced") {
		return out
	}
	records, _, err = s.image.Heartbeat(Beat{ID: r.ID, Epoch: epoch}, 0, configured(t))
	return out + s.apply(t, records, err)
}

// beat reads id=1 applied=5 needed=6 shutdown fence offline=(a-0) epoch=2.
func (s *script) beat(t *testing.T, d *datadriven.TestData) string {
	b := Beat{ID: numbers(d, "id")[0], WantShutdown: d.HasArg("shutdown"), WantFence: d.HasArg("fence")}
	b.Epoch = s.member(b.ID).Epoch
	d.MaybeScanArgs(t, "epoch", &b.Epoch)
	var applied, needed int64
	d.MaybeScanArgs(t, "applied", &applied)
	d.MaybeScanArgs(t, "needed", &needed)
	b.Applied = kafka.Offset(applied)
	if arg, ok := d.Arg("offline"); ok {
		for _, v := range arg.Vals {
			b.Offline = append(b.Offline, s.replica(v))
		}
	}
	records, a, err := s.image.Heartbeat(b, kafka.Offset(needed), configured(t))
	out := s.apply(t, records, err)
	if err != nil {
		return out
	}
	return out + fmt.Sprintf("answer: caught up %v, fenced %v, may shut down %v\n", a.CaughtUp, a.Fenced, a.MayShutDown)
}

// alterISR reads by=1 a-0 set=(1,2@5): members with the broker epochs that the
// leader knows, by default those of their registration if they are new.
func (s *script) alterISR(t *testing.T, d *datadriven.TestData) string {
	self := s.member(numbers(d, "by")[0])
	d.MaybeScanArgs(t, "by-epoch", &self.Epoch)
	var items []Alter
	for _, arg := range d.CmdArgs {
		if strings.Contains(arg.Key, "-") && arg.Key != "by-epoch" && arg.Key != "leader-epoch" {
			items = append(items, s.alterOne(t, d, arg))
		}
	}
	records, altered, err := s.image.AlterPartitions(self, items, configured(t))
	out := s.apply(t, records, err)
	for _, a := range altered {
		if a.Err != nil {
			out += fmt.Sprintf("answer: %v\n", a.Err)
		} else {
			out += fmt.Sprintf("answer: in-sync %v epoch %d\n", a.State.ISR, a.State.Epoch)
		}
	}
	return out
}

func (s *script) alterOne(t *testing.T, d *datadriven.TestData, arg datadriven.CmdArg) Alter {
	a := Alter{Replica: s.replica(arg.Key)}
	now, _ := s.image.Partition(a.Replica)
	leaderEpoch := int32(now.LeaderEpoch)
	d.MaybeScanArgs(t, "leader-epoch", &leaderEpoch)
	a.LeaderEpoch, a.Epoch = kafka.LeaderEpoch(leaderEpoch), now.Epoch
	d.MaybeScanArgs(t, "epoch", &a.Epoch)
	for _, v := range arg.Vals {
		text, epoch, with := strings.Cut(v, "@")
		m := s.member(number(text))
		switch {
		case with:
			m.Epoch = int64(number(epoch))
		case slices.Contains(now.ISR, m.ID):
			m.Epoch = NoEpoch
		}
		a.ISR = append(a.ISR, m)
	}
	return a
}

// elect reads unclean (a-0,b-1), or no partitions for all.
func (s *script) elect(t *testing.T, d *datadriven.TestData) string {
	kind := ElectPreferred
	if d.HasArg("unclean") {
		kind = ElectUnclean
	}
	var want []Replica
	if arg, ok := d.Arg("of"); ok {
		for _, v := range arg.Vals {
			want = append(want, s.replica(v))
		}
	}
	records, elected, err := s.image.ElectLeaders(kind, want, configured(t))
	out := s.apply(t, records, err)
	for _, e := range elected {
		out += fmt.Sprintf("%s-%d: %v\n", short(e.Topic), e.Partition, e.Err)
	}
	return out
}

// reassign reads a-0=(1,2) b-0=cancel keep-factor.
func (s *script) reassign(t *testing.T, d *datadriven.TestData) string {
	var want []Reassignment
	for _, arg := range d.CmdArgs {
		if arg.Key == "keep-factor" {
			continue
		}
		r := Reassignment{Replica: s.replica(arg.Key), KeepFactor: d.HasArg("keep-factor")}
		if len(arg.Vals) != 1 || arg.Vals[0] != "cancel" {
			r.Replicas = []kafka.NodeID{}
			for _, v := range arg.Vals {
				if v != "" {
					r.Replicas = append(r.Replicas, number(v))
				}
			}
		}
		want = append(want, r)
	}
	records, errs := s.image.Reassign(want, configured(t))
	out := s.apply(t, records, nil)
	for i, err := range errs {
		if err != nil {
			out += fmt.Sprintf("%s-%d: %v\n", short(want[i].Topic), want[i].Partition, err)
		}
	}
	return out
}

func (s *script) reassignments(d *datadriven.TestData) string {
	var want []Replica
	if arg, ok := d.Arg("of"); ok {
		for _, v := range arg.Vals {
			want = append(want, s.replica(v))
		}
	}
	var out strings.Builder
	for _, r := range s.image.Reassignments(want) {
		fmt.Fprintf(&out, "%s-%d replicas %v adding %v removing %v\n", short(r.Topic), r.Partition, r.Replicas, r.Adding, r.Removing)
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

// features reads metadata.version=2 how=downgrade.
func (s *script) features(t *testing.T, d *datadriven.TestData) string {
	how := UpgradeOnly
	if d.HasArg("downgrade") {
		how = SafeDowngrade
	}
	var updates []FeatureUpdate
	for _, arg := range d.CmdArgs {
		if arg.Key != "downgrade" {
			updates = append(updates, FeatureUpdate{Name: arg.Key, Level: int16(number(arg.Vals[0])), How: how})
		}
	}
	records, err := s.image.UpdateFeatures(updates, configured(t))
	return s.apply(t, records, err)
}

// replica reads a-0; a topic that does not exist has the id 99.
func (s *script) replica(text string) Replica {
	name, n, _ := strings.Cut(text, "-")
	r := Replica{Topic: kafka.TopicID{99}, Partition: int32(number(n))}
	if t, ok := s.image.Topic(name); ok {
		r.Topic = t.ID
	}
	return r
}

func numbers(d *datadriven.TestData, key string) []kafka.NodeID {
	arg, ok := d.Arg(key)
	if !ok {
		return nil
	}
	var out []kafka.NodeID
	for _, v := range arg.Vals {
		out = append(out, number(v))
	}
	return out
}

func number(text string) kafka.NodeID {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return kafka.NodeID(n)
}

// checkDump fails if the image, as records through their bytes, is not the same.
func checkDump(t interface{ Fatalf(string, ...any) }, m *Image) {
	records, err := DecodeAll(EncodeAll(nil, m.Dump()))
	if err != nil {
		t.Fatalf("%v", err)
	}
	again := NewImage()
	for _, r := range records {
		if err := again.Apply(r); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
	}
	checkEqual(t, m, again)
}

func checkEqual(t interface{ Fatalf(string, ...any) }, a, b *Image) {
	if diff := different(a, b); diff != "" {
		t.Fatalf("images differ: %s", diff)
	}
	if a.Digest() != b.Digest() {
		t.Fatalf("equal images have digests %x and %x", a.Digest(), b.Digest())
	}
}
