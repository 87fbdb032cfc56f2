package meta

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
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
	return s.runCluster(t, d)
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
	checkDump(t, s.image)
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
