package scenarios

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// operating is the scenario that is about them.
var operating = &Scenario{
	Name:      "operators",
	About:     "operators create, delete, grow and configure topics and brokers, and look at everything, while the broker dies under them",
	Always:    []Family{operatorActs},
	Sometimes: []Family{"crash", "power-loss", "graceful-stop", "pause", "slow-node", "task-stall", "reset", "latency", "disk-full", "disk-slow", "disk-sync-keep", "disk-sync-revert", "disk-sync-error", "disk-write-error"},
	OneOf:     []Family{"crash", "power-loss", "pause"},
	AtLeast:   2,
	AtMost:    6,
	Reaches:   []string{"a batch was compressed anew", "settings of a broker changed while it ran"},
}

// Operators are who changes topics and brokers while others work.
type Operators struct {
	Operators    int
	OperatorActs int // that each does about
	SideTopics   int // that they share, besides the one of the workload
	ExtraMax     int // partitions that the workload's topic may get
}

func (o Operators) String() string {
	return fmt.Sprintf("operators=%d acts=%d side.topics=%d extra.partitions=%d", o.Operators, o.OperatorActs, o.SideTopics, o.ExtraMax)
}

// inviteOperators draws who comes.
func (o *Options) inviteOperators(r *rand.Rand) {
	o.Operators.Operators = 1 + r.IntN(3)
	o.OperatorActs = pick(r, 60, 120, 200)
	o.SideTopics = 1 + r.IntN(3)
	o.ExtraMax = r.IntN(4)
}

// A ministry is what the operators of a run share: what they asked for and were
// told, and where they put records.
type ministry struct {
	told      metadata.History
	doubts    map[string]int // acts of unknown outcome, by resource
	serial    int            // makes values that nobody has set before
	sides     []*incarnation // of topics that operators wrote to, in the order in which they were seen
	cut       map[kafka.TopicPartition]history.Offset
	clusterID string
	acting    int      // operators who are not through with their acts
	open      []string // what the judge could not decide

	stocktaking bool // what happened has happened
}

// doubtMost is how many acts of unknown outcome a resource may have: each may happen
// at any later time, or never, and who judges has to try them all.
const doubtMost = 8

// An operator speaks the wire protocol by himself: he asks once, and what he is not
// answered is in doubt.
type operator struct {
	machine
	*ministry
	draws *rand.Rand
	conn  *rawConn
	first bool // the one who reads everything back
	done  bool
}

// newOperators adds the operators that the options ask for.
func (r *run) newOperators() {
	r.ministry = ministry{doubts: map[string]int{}, cut: map[kafka.TopicPartition]history.Offset{}, acting: r.options.Operators.Operators}
	for i := range r.options.Operators.Operators {
		name := fmt.Sprintf("o%d", i+1)
		o := &operator{ministry: &r.ministry, draws: r.k.Rand("workload/" + name), first: i == 0}
		o.machine = r.newMachine(name, o.main)
		r.guests = append(r.guests, o)
	}
}

// unfinished says that the operator is still at it, or "".
func (o *operator) unfinished() string {
	if o.done {
		return ""
	}
	return o.node.Name() + " is not through with what operators do"
}

func (o *operator) main() {
	o.beginWithOrders()
	pause := 2 * o.r.options.Safety / time.Duration(o.r.options.OperatorActs)
	for !o.r.healed {
		o.act()
		o.world.Sleep(time.Duration(o.draws.Int64N(int64(pause))))
	}
	o.acting--
	if o.first {
		for o.acting > 0 {
			o.world.Sleep(50 * time.Millisecond)
		}
		o.takeStock()
	}
	o.hangUp()
	o.done = true
}

// An operatorAct is something that operators do, so often in comparison.
type operatorAct struct {
	often int
	do    func(*operator)
}

var operatorMenu = []operatorAct{
	{3, (*operator).alterOrders},
	{2, (*operator).alterBroker},
	{3, (*operator).alterSide},
	{4, (*operator).createSide},
	{2, (*operator).deleteSide},
	{1, (*operator).growSide},
	{1, (*operator).growOrders},
	{1, (*operator).cutSide},
	{6, (*operator).writeSide},
	{3, (*operator).readSide},
	{4, (*operator).look},
	{4, (*operator).read},
	{4, (*operator).describe},
}

// act does something drawn. Blocks.
func (o *operator) act() {
	all := 0
	for _, a := range operatorMenu {
		all += a.often
	}
	n := o.draws.IntN(all)
	for _, a := range operatorMenu {
		if n -= a.often; n < 0 {
			a.do(o)
			return
		}
	}
}

// ask sends one request and returns its answer. Once in a while the operator does
// not wait for it. Without a connection nothing was sent, and sent is false. Blocks.
func (o *operator) ask(req kmsg.Request) (resp kmsg.Response, sent bool) {
	if o.conn == nil {
		c, err := o.dialRaw()
		if err != nil {
			o.world.Sleep(50 * time.Millisecond)
			return nil, false
		}
		o.conn = c
	}
	patience := o.r.requestTimeout
	if !o.r.healed && o.draws.IntN(40) == 0 {
		patience = time.Duration(o.draws.Int64N(int64(20 * time.Millisecond)))
	}
	resp, err := o.conn.ask(req, o.world.Now().Add(patience))
	if err != nil {
		o.hangUp()
		return nil, true
	}
	return resp, true
}

func (o *operator) hangUp() {
	if o.conn != nil {
		_ = o.conn.net.Close()
		o.conn = nil
	}
}

// timeout draws what the broker may take, in milliseconds.
func (o *operator) timeout() int32 {
	return int32(pick(o.draws, o.r.requestTimeout, o.r.requestTimeout, o.r.requestTimeout, 5*time.Millisecond).Milliseconds())
}

// judgeOperators adds what operators were told and cannot be.
func (r *run) judgeOperators(o *Outcome) {
	res := &o.Result
	if r.options.Operators.Operators == 0 || r.drawn.Unrestricted {
		return
	}
	res.Judged = append(res.Judged, metadataLinearizable, describesTruly)
	o.Acts = &r.ministry.told
	v := metadata.Judge(o.Acts)
	r.ministry.open = v.Open
	for _, broken := range v.Violations {
		var events []string
		for i := range broken.Operations {
			events = append(events, broken.Operations[i].String())
		}
		res.Violations = append(res.Violations, Violation{metadataLinearizable, broken.Sentence, events})
	}
}
