package meta

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// The scripts in testdata are the specification: a decision, the records it
// returned or the error, and with "show" the image they led to. Every record
// goes through its bytes.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{image: NewImage()}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	image *Image
	drawn byte
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "format":
		return s.apply(t, Format(d.CmdArgs[0].Key), nil)
	case "register":
		return s.register(t, d)
	case "create":
		records, err := s.image.CreateTopic(s.newTopic(t, d), Defaults{Partitions: 1, Replicas: 1})
		return s.apply(t, records, err)
	case "grow":
		records, err := s.image.CreatePartitions(growth(t, d))
		return s.apply(t, records, err)
	case "delete":
		return s.remove(t, d.CmdArgs[0].Key)
	case "producer-ids":
		var broker, size int32
		d.ScanArgs(t, "broker", &broker)
		d.ScanArgs(t, "size", &size)
		records, block, err := s.image.AllocateProducerIDs(s.member(kafka.NodeID(broker)), size)
		return s.apply(t, records, err) + fmt.Sprintf("block: %d to %d\n", block.First, block.End)
	case "lead-anew":
		var id int32
		d.ScanArgs(t, "id", &id)
		var all []Replica
		for _, topic := range s.image.Topics() {
			for p := range topic.Partitions {
				all = append(all, Replica{topic.ID, int32(p)})
			}
		}
		all = append(all, Replica{kafka.TopicID{99}, 0}, Replica{kafka.TopicID{1}, 99})
		return s.apply(t, s.image.LeadAnew(kafka.NodeID(id), all), nil)
	case "alter":
		records, err := s.image.AlterTopic(d.CmdArgs[0].Key, edit(config.Topic, d.CmdArgs[1:]), configured(t))
		return s.apply(t, records, err)
	case "alter-broker":
		id, err := strconv.Atoi(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		records, err := s.image.AlterBroker(kafka.NodeID(id), edit(config.Broker, d.CmdArgs[1:]), configured(t))
		return s.apply(t, records, err)
	case "apply":
		return s.applyLines(d.Input)
	case "show":
		return s.show()
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

// register registers a broker, and unless it is to stay fenced has it beat once.
func (s *script) register(t *testing.T, d *datadriven.TestData) string {
	var id int32
	d.ScanArgs(t, "id", &id)
	r := Registration{ID: kafka.NodeID(id), MinLevel: 1, MaxLevel: Level, CleanAfter: NoEpoch}
	r.Endpoints = []Endpoint{{"PLAINTEXT", "host" + strconv.Itoa(int(id)), 9092}}
	if arg, ok := d.Arg("dirs"); ok {
		for _, v := range arg.Vals {
			r.Directories = append(r.Directories, DirectoryID{v[0]})
		}
	}
	d.MaybeScanArgs(t, "rack", &r.Rack)
	records, epoch, err := s.image.Register(r, func(kafka.NodeID) bool { return false }, nil)
	out := s.apply(t, records, err)
	if err != nil || d.HasArg("fenced") {
		return out
	}
	records, _, err = s.image.Heartbeat(Beat{ID: r.ID, Epoch: epoch}, 0, nil)
	return out + s.apply(t, records, err)
}

func (s *script) member(id kafka.NodeID) Member {
	b, ok := s.image.Broker(id)
	if !ok {
		return Member{ID: id, Epoch: NoEpoch}
	}
	return Member{ID: id, Epoch: b.Epoch}
}

func (s *script) newTopic(t *testing.T, d *datadriven.TestData) NewTopic {
	s.drawn++
	n := NewTopic{ID: kafka.TopicID{s.drawn}, Partitions: Unset, Replicas: Unset}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "name":
			arg.Scan(t, 0, &n.Name)
		case "long-name":
			var length int
			arg.Scan(t, 0, &length)
			n.Name = strings.Repeat("x", length)
		case "partitions":
			arg.Scan(t, 0, &n.Partitions)
		case "replicas":
			var r int32
			arg.Scan(t, 0, &r)
			n.Replicas = int16(r)
		case "first":
			arg.Scan(t, 0, &n.First)
		case "set":
			for _, v := range arg.Vals {
				name, value, _ := strings.Cut(v, "=")
				n.Settings = append(n.Settings, config.Pair{Name: name, Value: value})
			}
		default:
			n.Assignment = append(n.Assignment, assigned(t, arg))
		}
	}
	return n
}

// growth reads name=a partitions=5 p0=(1,2) p1=(2,3), the new partitions counted
// from 0.
func growth(t *testing.T, d *datadriven.TestData) Growth {
	var g Growth
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "name":
			arg.Scan(t, 0, &g.Topic)
		case "partitions":
			arg.Scan(t, 0, &g.Partitions)
		case "first":
			arg.Scan(t, 0, &g.First)
		default:
			g.Assignment = append(g.Assignment, assigned(t, arg).Replicas)
		}
	}
	return g
}

// assigned reads p0=(1,2).
func assigned(t *testing.T, arg datadriven.CmdArg) Assigned {
	p, err := strconv.Atoi(strings.TrimPrefix(arg.Key, "p"))
	if err != nil {
		t.Fatalf("unknown argument %s", arg.Key)
	}
	a := Assigned{Partition: int32(p)}
	for i := range arg.Vals {
		var id int32
		arg.Scan(t, i, &id)
		a.Replicas = append(a.Replicas, kafka.NodeID(id))
	}
	return a
}

func (s *script) remove(t *testing.T, name string) string {
	var id kafka.TopicID
	if topic, ok := s.image.Topic(name); ok {
		id = topic.ID
	}
	records, err := s.image.DeleteTopic(id)
	return s.apply(t, records, err)
}

func (s *script) apply(t *testing.T, records []Record, err error) string {
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	var out strings.Builder
	for _, r := range records {
		read, err := Decode(Encode(r))
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		if err := s.image.Apply(read); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		fmt.Fprintf(&out, "%s\n", describe(read))
	}
	if err := s.image.Check(); err != nil {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

// applyLines applies records that no decision returns.
func (s *script) applyLines(input string) string {
	bad := map[string]Record{
		"later feature level":      Feature{MetadataVersion, Level + 1},
		"another feature":          Feature{"kraft.version", 1},
		"second cluster id":        Cluster{"other"},
		"old broker epoch":         Broker{ID: 1, Epoch: 1},
		"topic with a taken name":  TopicRecord{"orders", kafka.TopicID{99}},
		"topic with a taken id":    TopicRecord{"other", kafka.TopicID{1}},
		"partition of no topic":    one(kafka.TopicID{99}, 0, PartitionState{Leader: NoLeader}),
		"partition after a gap":    one(kafka.TopicID{1}, 7, PartitionState{Leader: NoLeader}),
		"leader out of sync":       one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1, 2), ISR: ids(2), Leader: 1, LeaderEpoch: 5, Epoch: 5}),
		"in-sync but no replica":   one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 5, Epoch: 5}),
		"in sync and eligible":     one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), ELR: ids(1), Leader: 1, LeaderEpoch: 5, Epoch: 5}),
		"leader epoch going back":  one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), Leader: 1, LeaderEpoch: -1, Epoch: 5}),
		"two leaders in one epoch": one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, Epoch: 5}),
		"partition epoch standing": one(kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), Leader: 1, LeaderEpoch: 5}),
		"change of no broker":      BrokerChange{ID: 7, Epoch: 1},
		"change of a former life":  BrokerChange{ID: 1, Epoch: 1},
		"removal of a former life": RemoveBroker{ID: 1, Epoch: 1},
		"broker epoch going back":  BrokerEpoch{Last: 1},
		"one good and one bad partition": Partitions{[]PartitionRecord{
			{kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), Leader: 1, LeaderEpoch: 5, Epoch: 5}},
			{kafka.TopicID{1}, 2, PartitionState{Leader: NoLeader}}}},
		"removal of no topic":        RemoveTopic{kafka.TopicID{99}},
		"setting of no topic":        ConfigRecord{kafka.TopicID{99}, "retention.ms", nil},
		"producer block going back":  ProducerBlock{1, 0},
		"topic before feature level": TopicRecord{"early", kafka.TopicID{98}},
	}
	var out strings.Builder
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		before := s.show()
		r, ok := bad[line]
		if !ok {
			return "no such record: " + line
		}
		if err := s.image.Apply(r); err != nil {
			fmt.Fprintf(&out, "%s: error: %v\n", line, err)
		} else {
			fmt.Fprintf(&out, "%s: applied\n", line)
		}
		if after := s.show(); after != before {
			fmt.Fprintf(&out, "%s: the image changed to\n%s", line, after)
		}
	}
	return out.String()
}

func ids(of ...kafka.NodeID) []kafka.NodeID { return of }

func one(topic kafka.TopicID, number int32, state PartitionState) Partitions {
	return Partitions{[]PartitionRecord{{topic, number, state}}}
}

func (s *script) show() string {
	var out strings.Builder
	fmt.Fprintf(&out, "level %d cluster %q next producer id %d\n", s.image.Level(), s.image.ClusterID(), s.image.NextProducerID())
	for _, b := range s.image.Brokers() {
		fmt.Fprintf(&out, "%s\n", describe(b))
	}
	for _, b := range s.image.brokerSettings {
		fmt.Fprintf(&out, "settings of broker %d: %v\n", b.id, b.pairs)
	}
	for _, t := range s.image.Topics() {
		fmt.Fprintf(&out, "%s %s %v\n", t.Name, t.ID, t.Settings)
		for p, state := range t.Partitions {
			fmt.Fprintf(&out, "  %d %s\n", p, describe(state))
		}
	}
	return out.String()
}

func describe(v any) string {
	switch v := v.(type) {
	case PartitionState:
		out := fmt.Sprintf("replicas %v in-sync %v leader %d leader-epoch %d epoch %d", v.Replicas, v.ISR, v.Leader, v.LeaderEpoch, v.Epoch)
		for _, l := range []struct {
			name string
			ids  []kafka.NodeID
		}{{"adding", v.Adding}, {"removing", v.Removing}, {"elr", v.ELR}, {"last-elr", v.LastELR}} {
			if len(l.ids) > 0 {
				out += fmt.Sprintf(" %s %v", l.name, l.ids)
			}
		}
		return out
	case Partitions:
		var out []string
		for _, p := range v.States {
			out = append(out, fmt.Sprintf("partition %s %d: %s", short(p.Topic), p.Partition, describe(p.PartitionState)))
		}
		return strings.Join(out, "\n")
	case Broker:
		out := fmt.Sprintf("broker %d epoch %d %v directories %x", v.ID, v.Epoch, v.Endpoints, v.Directories)
		return out + standingOf(v.Fenced, v.ShuttingDown) + optional("rack", v.Rack) + optional("offline", v.Offline)
	case BrokerChange:
		return fmt.Sprintf("broker %d epoch %d:%s", v.ID, v.Epoch, standingOf(v.Fenced, v.ShuttingDown))
	case ConfigRecord:
		if v.Value == nil {
			return fmt.Sprintf("config %s %s removed", v.Topic, v.Name)
		}
		return fmt.Sprintf("config %s %s=%s", v.Topic, v.Name, *v.Value)
	case BrokerConfig:
		if v.Value == nil {
			return fmt.Sprintf("broker config %d %s removed", v.Broker, v.Name)
		}
		return fmt.Sprintf("broker config %d %s=%s", v.Broker, v.Name, *v.Value)
	}
	return fmt.Sprintf("%s %+v", strings.TrimPrefix(fmt.Sprintf("%T", v), "meta."), v)
}

// short leaves the zeros off a topic id.
func short(id kafka.TopicID) string { return strings.TrimRight(id.String(), "0") }

func standingOf(fenced, shuttingDown bool) string {
	switch {
	case fenced && shuttingDown:
		return " fenced, shut down"
	case fenced:
		return " fenced"
	case shuttingDown:
		return " shutting down"
	}
	return " serves"
}

func optional(name string, v any) string {
	if s := fmt.Sprint(v); s != "" && s != "[]" {
		return " " + name + " " + s
	}
	return ""
}

// What decodes encodes to the same bytes: there is one way to write a record.
func FuzzDecode(f *testing.F) {
	value := "1"
	for _, r := range []Record{
		Feature{MetadataVersion, 1}, Cluster{"c"},
		Broker{ID: 1, Epoch: 2, Endpoints: []Endpoint{{"P", "h", 3}}, Directories: []DirectoryID{{4}, {5}}, Rack: "r", Volatile: true,
			Offline: []Replica{{kafka.TopicID{1}, 0}, {kafka.TopicID{1}, 1}}},
		BrokerChange{1, 2, true, true}, BrokerOffline{1, 2, []Replica{{kafka.TopicID{1}, 0}}}, RemoveBroker{1, 2}, BrokerEpoch{7},
		TopicRecord{"t", kafka.TopicID{1}}, RemoveTopic{kafka.TopicID{1}}, ProducerBlock{1, 2},
		one(kafka.TopicID{1}, 2, PartitionState{Replicas: ids(1, 2, 3, 300), Adding: ids(3), Removing: ids(2), ISR: ids(1), ELR: ids(2),
			LastELR: ids(3), Leader: 1, LeaderEpoch: 2, Epoch: 3}),
		Partitions{[]PartitionRecord{{kafka.TopicID{1}, 0, PartitionState{Replicas: ids(1), ISR: ids(1), Leader: 1}},
			{kafka.TopicID{1}, 1, PartitionState{Leader: NoLeader}}, {kafka.TopicID{2}, 0, PartitionState{Leader: NoLeader}}}},
		ConfigRecord{kafka.TopicID{1}, "a", &value}, ConfigRecord{kafka.TopicID{1}, "a", nil},
		BrokerConfig{EveryBroker, "a", &value}, BrokerConfig{1, "a", nil},
	} {
		f.Add(Encode(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		if again := Encode(r); !bytes.Equal(again, b) {
			t.Fatalf("%v: %x encodes to %x", r, b, again)
		}
		read, err := Decode(Encode(r))
		if diff := cmp.Diff(r, read); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func TestWhatALaterVersionWroteIsNotGuessedAt(t *testing.T) {
	for _, b := range [][]byte{{0, byte(lastKind) + 1, 0, 0}, {0, 1, 0, 1, 0, 0, 0, 1}} {
		if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), ErrTooNew.Error()) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
