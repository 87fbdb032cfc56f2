package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// TestScripts runs the golden scripts. A number of a command is its ticket; answers
// and appends are printed when they come out. Commands, of group g unless g= names
// another:
//
//	limits [delay= size= timeout= metadata= check=]  seconds; migration=disabled, upgrade, downgrade: of the default both
//	topic name= id= partitions=                      what the metadata says; no partitions: it is deleted
//	join [m= i= type= p=(range:a/b,...) v= session= rebalance= c=]
//	                                                 p: protocols with the topics subscribed to, and =orders-0/orders-1 owned; range:? is garbage
//	sync m= gen= [i= a=(member:bytes,...) gives=(member:orders-0/orders-1,...) type= p=]  heartbeat m= gen= [i=]
//	leave [v=] m=(member,member/instance,/instance)
//	commit [m= gen= i= v= retention= id=] o=(orders-0:5,...)    with metadata: 5/text
//	fetch [o=(orders-0,...) id=]                     delete-offsets o=
//	delete, list [states= types=], describe
//	beat m= e= [i= v= rack= rebalance= topics=() regex= assignor= owned=()]   ConsumerGroupHeartbeat; regex=none: no pattern
//	describe-consumer
//	hold, release                                    appends are committed by hand, or at once
//	land [n=], refuse code=
//	at s= [wall=]                                    let time pass until; wall: seconds that the other clock jumps
//	reload                                           another coordinator, which has what is committed
//	unload code=, vanish topic= id=
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := script{stage: newStage()}
		s.reload()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			s.run()
			s.settle()
			out := s.print()
			if err := s.shard.Check(); err != nil {
				out += err.Error() + "\n"
			}
			if out == "" {
				out = "ok\n"
			}
			return out
		})
	})
}

type script struct {
	*stage
	t *testing.T
	d *datadriven.TestData
}

func (s *script) number(name string, otherwise int64) int64 {
	s.d.MaybeScanArgs(s.t, name, &otherwise)
	return otherwise
}

func (s *script) seconds(name string, otherwise int64) time.Duration {
	return time.Duration(s.number(name, otherwise)) * time.Second
}

func (s *script) text(name, otherwise string) string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name && len(a.Vals) > 0 {
			return a.Vals[0]
		}
	}
	return otherwise
}

func (s *script) list(name string) []string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name {
			return slices.DeleteFunc(slices.Clone(a.Vals), func(v string) bool { return v == "" })
		}
	}
	return nil
}

func (s *script) group() string { return s.text("g", "g") }

func (s *script) run() {
	switch s.d.Cmd {
	case "limits":
		s.limits.InitialDelay = s.seconds("delay", 3)
		s.limits.MaxSize = int(s.number("size", 1<<30))
		s.modern.MaxSize = s.limits.MaxSize
		s.limits.CommitTimeout = s.seconds("timeout", 5)
		s.limits.MaxMetadata = int(s.number("metadata", 64))
		s.limits.RetentionCheck = s.seconds("check", 600)
		for m := range (Upgrade | Downgrade) + 1 {
			if m.String() == s.text("migration", "bidirectional") {
				s.limits.Migration = m
			}
		}
	case "topic":
		s.topic()
	case "hold":
		s.hold = true
	case "release":
		s.hold = false
	case "land":
		for range s.number("n", int64(len(s.flying))) {
			s.land()
		}
	case "refuse":
		s.refuse(s.code())
	case "at":
		s.now.Wall += kafka.Timestamp(1000 * s.number("wall", 0))
		s.until(kafka.Instant(s.seconds("s", 0)))
	case "reload":
		s.reload()
	case "unload":
		s.shard.Unload(s.code())
		s.flying = nil
	case "vanish":
		s.shard.TopicDeleted(s.now, s.text("topic", ""), s.id())
	default:
		s.request()
	}
}

func (s *script) code() kafka.Error {
	for e := kafka.Error(-1); e < 140; e++ {
		if e.Name() == s.text("code", "") {
			return e
		}
	}
	s.t.Fatalf("%s: no such code", s.d.Pos)
	return 0
}

func (s *script) request() {
	t, member, instance := s.next(), s.text("m", ""), s.text("i", "")
	gen := Generation(s.number("gen", -1))
	switch s.d.Cmd {
	case "join":
		s.shard.Join(s.now, t, JoinRequest{
			Group: s.group(), Member: member, Instance: instance, ProtocolType: s.text("type", "consumer"),
			Protocols: s.protocols(), Session: s.seconds("session", 10), RebalanceTimeout: s.seconds("rebalance", 60),
			Version: int16(s.number("v", 9)), Client: Client{ID: s.text("c", "c"), Host: "/h"},
		})
	case "sync":
		r := SyncRequest{Group: s.group(), Generation: gen, Member: member, Instance: instance,
			ProtocolType: s.text("type", ""), Protocol: s.text("p", "")}
		for _, a := range s.list("a") {
			to, what, _ := strings.Cut(a, ":")
			r.Assignments = append(r.Assignments, Assignment{Member: to, Bytes: []byte(what)})
		}
		for _, a := range s.list("gives") {
			to, what, _ := strings.Cut(a, ":")
			r.Assignments = append(r.Assignments, Assignment{Member: to, Bytes: encodeGiven(1, s.named(what))})
		}
		s.shard.Sync(s.now, t, r)
	case "heartbeat":
		s.shard.Heartbeat(s.now, t, HeartbeatRequest{Group: s.group(), Generation: gen, Member: member, Instance: instance})
	case "leave":
		r := LeaveRequest{Group: s.group(), Version: int16(s.number("v", 5))}
		for _, who := range s.list("m") {
			id, instance, _ := strings.Cut(who, "/")
			r.Members = append(r.Members, Leaver{Member: id, Instance: instance})
		}
		s.shard.Leave(s.now, t, r)
	case "commit":
		r := CommitRequest{Group: s.group(), Generation: gen, Member: member, Instance: instance,
			Retention: s.seconds("retention", -1), Version: int16(s.number("v", 9))}
		r.Topics = s.offsets()
		s.shard.CommitOffsets(s.now, t, r)
	default:
		s.ask(t)
	}
}

func (s *script) ask(t machine.Ticket) {
	switch s.d.Cmd {
	case "fetch":
		s.shard.FetchOffsets(s.now, t, FetchOffsetsRequest{Group: s.group(), Generation: NoGeneration, Topics: s.places()})
	case "delete-offsets":
		s.shard.DeleteOffsets(s.now, t, DeleteOffsetsRequest{Group: s.group(), Topics: s.places()})
	case "delete":
		s.shard.DeleteGroup(s.now, t, DeleteGroupRequest{s.group()})
	case "list":
		s.shard.ListGroups(s.now, t, ListGroupsRequest{States: s.list("states"), Types: s.list("types")})
	case "describe-consumer":
		s.shard.ConsumerDescribe(s.now, t, ConsumerDescribeRequest{s.group()})
	case "beat":
		s.beat(t)
	case "describe":
		s.shard.DescribeGroup(s.now, t, DescribeGroupRequest{s.group()})
	default:
		s.t.Fatalf("%s: unknown command %q", s.d.Pos, s.d.Cmd)
	}
}

// topic changes what the metadata says of a topic.
func (s *script) topic() {
	t := Topic{Name: s.text("name", ""), ID: s.id(), Partitions: int32(s.number("partitions", 0))}
	s.topics = slices.DeleteFunc(s.topics, func(old Topic) bool { return old.Name == t.Name })
	if t.Partitions > 0 {
		s.topics = append(s.topics, t)
	}
	s.shard.TopicsChanged(s.now)
}

func (s *script) beat(t machine.Ticket) {
	r := ConsumerHeartbeatRequest{
		Group: s.group(), Member: s.text("m", ""), Instance: s.text("i", ""), Epoch: int32(s.number("e", 0)),
		Rack: s.given("rack"), Regex: s.given("regex"), Assignor: s.given("assignor"), Topics: s.list("topics"),
		RebalanceTimeout: s.seconds("rebalance", -1), Version: int16(s.number("v", 1)), Client: Client{"c", "/h"},
	}
	if r.Regex != nil && *r.Regex == "none" {
		*r.Regex = ""
	}
	if s.d.HasArg("owned") {
		r.Owned = []TopicPartitions{}
	}
	for _, o := range s.list("owned") {
		name, partition := s.place(o)
		topic, _ := s.topics.Topic(name)
		r.Owned = append(r.Owned, TopicPartitions{topic.ID, []int32{partition}})
	}
	s.shard.ConsumerHeartbeat(s.now, t, r)
}

// given returns a text if it is there.
func (s *script) given(name string) *string {
	if !s.d.HasArg(name) {
		return nil
	}
	text := s.text(name, "")
	return &text
}

// id reads a topic id: its last byte.
func (s *script) id() (id kafka.TopicID) {
	id[15] = byte(s.number("id", 0))
	return id
}

// protocols reads range:orders/clicks as the protocol range with a subscription.
func (s *script) protocols() (out []Protocol) {
	list := s.list("p")
	if list == nil {
		list = []string{"range:orders"}
	}
	for _, p := range list {
		name, topics, _ := strings.Cut(p, ":")
		if topics == "?" {
			out = append(out, Protocol{Name: name, Metadata: []byte("\x00\x01????")})
			continue
		}
		topics, owned, _ := strings.Cut(topics, "=")
		out = append(out, Protocol{Name: name, Metadata: owning(s.named(owned), strings.Split(topics, "/")...)})
	}
	return out
}

// named reads orders-0/orders-1 as partitions.
func (s *script) named(text string) (out []namedPartitions) {
	for _, one := range strings.Split(text, "/") {
		if one != "" {
			topic, partition := s.place(one)
			out = append(out, namedPartitions{topic, []int32{partition}})
		}
	}
	return out
}

// subscribing is the metadata of a consumer that reads some topics.
func subscribing(topics ...string) []byte { return owning(nil, topics...) }

// owning is the metadata of a consumer that owns something.
func owning(owned []namedPartitions, topics ...string) []byte {
	e := encoder{}
	e.int16(1)
	e.count(len(topics))
	for _, t := range topics {
		e.text(t)
	}
	e.int32(-1)
	e.b = append(e.b, encodeGiven(1, owned)[2:]...)
	return e.b[:len(e.b)-4]
}

// places reads orders-0 as a partition.
func (s *script) places() (out []FetchTopic) {
	for _, o := range s.list("o") {
		topic, partition := s.place(o)
		if n := len(out); n == 0 || out[n-1].Name != topic {
			out = append(out, FetchTopic{Name: topic, ID: s.id()})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, partition)
	}
	return out
}

func (s *script) place(text string) (topic string, partition int32) {
	topic, number, _ := strings.Cut(text, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatal(s.d.Pos, err)
	}
	return topic, int32(n)
}

// offsets reads orders-0:5/text as an offset with metadata.
func (s *script) offsets() (out []CommitTopic) {
	for _, o := range s.list("o") {
		where, what, _ := strings.Cut(o, ":")
		number, metadata, _ := strings.Cut(what, "/")
		topic, partition := s.place(where)
		n, err := strconv.Atoi(number)
		if err != nil {
			s.t.Fatal(s.d.Pos, err)
		}
		if n := len(out); n == 0 || out[n-1].Name != topic {
			out = append(out, CommitTopic{Name: topic, ID: s.id()})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, CommitPartition{
			Partition: partition, Offset: kafka.Offset(n), LeaderEpoch: 7, Metadata: metadata})
	}
	return out
}

// print says what has come out since it was last asked.
func (s *script) print() string {
	var b strings.Builder
	for _, a := range s.appends {
		fmt.Fprintf(&b, "append %d:", a.ID)
		for i, r := range a.Records {
			if i > 0 {
				b.WriteByte(';')
			}
			b.WriteString(" " + describeRecord(r))
		}
		b.WriteByte('\n')
	}
	for _, a := range s.answers {
		fmt.Fprintf(&b, "%d: %s\n", a.Ticket, describeAnswer(a.Value))
	}
	s.appends, s.answers = nil, nil
	return b.String()
}

func describeRecord(r machine.Record) string {
	k, _, err := decodeKey(r.Key)
	if err != nil {
		return err.Error()
	}
	if r.Value == nil {
		return k.String() + " gone"
	}
	switch k.kind {
	case offsetKind:
		c, err := decodeOffset(r.Value)
		out := fmt.Sprintf("%v at %d", k, c.offset) + failure(err)
		if c.metadata != "" {
			out += " " + c.metadata
		}
		if c.expires != kafka.NoTimestamp {
			out += fmt.Sprintf(" until %d", c.expires)
		}
		return out
	case classicKind:
		g, err := decodeGeneration(r.Value)
		out := failure(err) + fmt.Sprintf("%v generation %d %s led by %q:", k, g.number, g.protocol, g.leader)
		for _, m := range g.members {
			out += fmt.Sprintf(" %s=%s", m.id, describeGiven(m.assignment))
		}
		return out
	}
	return k.String() + describeModern(k, r.Value)
}

func describeModern(k key, value []byte) string {
	switch k.kind {
	case consumerEpochKind:
		v, err := decodeEpoch(value)
		return fmt.Sprintf(" is %d", v.epoch) + failure(err)
	case targetEpochKind:
		epoch, err := decodeTarget(value)
		return fmt.Sprintf(" is of %d", epoch) + failure(err)
	case consumerMemberKind:
		v, err := decodeEnrolment(value)
		out := fmt.Sprintf(" reads %s%s", strings.Join(v.topics, "/"), v.regex) + failure(err)
		if v.classic != nil {
			out += fmt.Sprintf(" classic session %v", v.classic.session)
			for _, p := range v.classic.protocols {
				out += " " + p.Name
			}
		}
		return out
	case targetMemberKind:
		p, err := decodePlaces(value)
		return " " + describePlaces(p) + failure(err)
	case currentMemberKind:
		v, err := decodeProgress(value)
		return fmt.Sprintf(" epoch %d<%d state %d has %s revokes %s", v.epoch, v.previous, v.state, describePlaces(v.assigned), describePlaces(v.revoking)) + failure(err)
	}
	return ""
}

func failure(err error) string {
	if err == nil {
		return ""
	}
	return " " + err.Error()
}

func describeAnswer(v any) string {
	switch v := v.(type) {
	case JoinResponse:
		return describeJoin(v)
	case SyncResponse:
		return fmt.Sprintf("sync %s %s %q", v.Error.Name(), v.Protocol, describeGiven(v.Assignment))
	case HeartbeatResponse:
		return "heartbeat " + v.Error.Name()
	case LeaveResponse:
		out := "leave " + v.Error.Name()
		for _, m := range v.Members {
			out += fmt.Sprintf(" %s/%s:%s", m.Member, m.Instance, m.Error.Name())
		}
		return out
	case CommitResponse:
		out := "commit " + v.Error.Name()
		for _, topic := range v.Topics {
			for _, p := range topic.Partitions {
				out += fmt.Sprintf(" %s-%d:%s", topic.Name, p.Partition, p.Error.Name())
			}
		}
		return out
	case FetchOffsetsResponse:
		out := "fetch " + v.Error.Name()
		for _, topic := range v.Topics {
			for _, p := range topic.Partitions {
				out += fmt.Sprintf(" %s-%d:%d/%s", topic.Name, p.Partition, p.Offset, p.Metadata)
			}
		}
		return out
	case *ConsumerHeartbeatResponse:
		out := fmt.Sprintf("beat %s %s epoch %d", v.Error.Name(), v.Member, v.Epoch)
		if v.Message != "" {
			out += ": " + v.Message
		}
		if v.Assigned != nil {
			out += " assigned " + describePlaces(placesOf(v.Assigned))
		}
		return out
	case ConsumerDescribeResponse:
		out := fmt.Sprintf("describe %s %s epoch %d target %d %s", v.Error.Name(), v.State, v.Epoch, v.AssignmentEpoch, v.Assignor)
		for _, m := range v.Members {
			if m.Type == TypeClassic {
				m.Instance += " (classic)"
			}
			out += fmt.Sprintf("\n  %s %s epoch %d reads %s%s has %s shall have %s", m.ID, m.Instance, m.Epoch, strings.Join(m.Topics, "/"), m.Regex,
				describePlaces(placesOf(m.Assigned)), describePlaces(placesOf(m.Target)))
		}
		return out
	case ListGroupsResponse:
		out := "list " + v.Error.Name()
		for _, g := range v.Groups {
			out += fmt.Sprintf(" [%s %s %s %s]", g.ID, g.Type, g.ProtocolType, g.State)
		}
		return out
	case DeleteGroupResponse:
		return "delete " + v.Error.Name()
	case DescribeGroupResponse:
		out := fmt.Sprintf("describe %s %s %s/%s", v.Error.Name(), v.State, v.ProtocolType, v.Protocol)
		for _, m := range v.Members {
			out += fmt.Sprintf(" [%s %s %s %q %q]", m.ID, m.Instance, m.Client.ID, topicsOf(m.Metadata), m.Assignment)
		}
		return out
	}
	return fmt.Sprintf("%+v", v)
}

// describeGiven names what a leader, or the coordinator, gave, if it is that.
func describeGiven(b []byte) string {
	given, err := decodeGiven(b)
	if err != nil || len(b) == 0 {
		return string(b)
	}
	var out []string
	for _, t := range given {
		for _, p := range t.partitions {
			out = append(out, fmt.Sprintf("%s-%d", t.topic, p))
		}
	}
	return strings.Join(out, " ") + "."
}

// describePlaces names topics by the last byte of their ids.
func describePlaces(p places) string {
	var out []string
	for _, q := range p {
		out = append(out, fmt.Sprintf("%d-%d", q.topic[15], q.partition))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func topicsOf(metadata []byte) string {
	topics, _ := subscription(metadata)
	return strings.Join(topics, "/")
}

func describeJoin(v JoinResponse) string {
	out := fmt.Sprintf("join %s", v.Error.Name())
	if v.Member != "" {
		out += " " + v.Member
	}
	if v.Error != kafka.None {
		return out
	}
	out += fmt.Sprintf(" generation %d %s/%s led by %s", v.Generation, v.ProtocolType, v.Protocol, v.Leader)
	if v.SkipAssignment {
		out += ", need not assign"
	}
	for _, m := range v.Members {
		out += fmt.Sprintf(" [%s %s %s]", m.ID, m.Instance, topicsOf(m.Metadata))
	}
	return out
}
