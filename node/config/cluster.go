package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
)

// The settings of a node's place in its cluster.
var (
	ProcessRoles = List{define(&Setting{
		Name: "process.roles", Scope: Broker, Type: TypeList, Default: "broker,controller",
		check: roles,
		Doc:   "What the node does: broker, controller, or both.",
	})}

	QuorumVoters = List{define(&Setting{
		Name: "controller.quorum.voters", Scope: Broker, Type: TypeList, Optional: true,
		check: voters,
		Doc:   "The controllers that a cluster begins with, as id@host:port of their listeners. A controller that is not among them takes part once it was added as a voter. If not set, those that the log directories were formatted with; without such, the node is alone.",
	})}

	ControllerListenerNames = List{define(&Setting{
		Name: "controller.listener.names", Scope: Broker, Type: TypeList, Default: "CONTROLLER",
		check: listenerNames,
		Doc:   "The names of those in listeners that controllers talk on. A node that is alone needs none of them.",
	})}

	InterBrokerListenerName = Text{define(&Setting{
		Name: "inter.broker.listener.name", Scope: Broker, Type: TypeString, Optional: true,
		check: listenerNames,
		Doc:   "The name of the listener on which brokers fetch from each other; the first that is no controller's if not set.",
	})}

	ListenerProtocols = List{define(&Setting{
		Name: "listener.security.protocol.map", Scope: Broker, Type: TypeList, Default: "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		check: protocols,
		Doc:   "The security protocol of each listener's name, as NAME:PLAINTEXT. PLAINTEXT and the controllers' names need not stand there.",
	})}

	QuorumElectionTimeout = Millis{define(&Setting{
		Name: "controller.quorum.election.timeout.ms", Scope: Broker, Type: TypeInt, Default: "1000",
		check: between(20, 600_000),
		Doc:   "How long controllers hear nothing of their leader before they elect another; a leader that does not hear most of them for so long steps down.",
	})}

	MetadataSnapshotBytes = Int{define(&Setting{
		Name: "metadata.log.max.record.bytes.between.snapshots", Scope: Broker, Type: TypeLong, Default: "20971520",
		check: atLeast(1),
		Doc:   "After how many bytes of the metadata log a snapshot takes the place of what is before it.",
	})}

	QuorumAutoJoin = Bool{define(&Setting{
		Name: "controller.quorum.auto.join.enable", Scope: Broker, Type: TypeBool, Default: "false",
		Doc: "Whether a controller that is no voter, or was one with a disk that is lost, asks the others to make it one.",
	})}

	BrokerSessionTimeout = Millis{define(&Setting{
		Name: "broker.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "9000",
		check: atLeast(1),
		Doc:   "How long controllers hear nothing of a broker before they take its partitions from it.",
	})}

	BrokerHeartbeatInterval = Millis{define(&Setting{
		Name: "broker.heartbeat.interval.ms", Scope: Broker, Type: TypeInt, Default: "2000",
		check: atLeast(1),
		Doc:   "How often a broker tells the controllers that it lives.",
	})}

	BrokerRack = Text{define(&Setting{
		Name: "broker.rack", Scope: Broker, Type: TypeString, Optional: true,
		Doc: "Where the broker stands; the replicas of a partition are spread over different racks.",
	})}

	AutoLeaderRebalance = Bool{define(&Setting{
		Name: "auto.leader.rebalance.enable", Scope: Broker, Type: TypeBool, Default: "true",
		Doc: "Whether preferred replicas become leaders again by themselves.",
	})}

	LeaderImbalanceCheckInterval = Int{define(&Setting{
		Name: "leader.imbalance.check.interval.seconds", Scope: Broker, Type: TypeLong, Default: "300",
		check: between(1, 1_000_000_000),
		Doc:   "How often controllers look for partitions whose preferred replica does not lead.",
	})}

	LeaderImbalancePercentage = Int{define(&Setting{
		Name: "leader.imbalance.per.broker.percentage", Scope: Broker, Type: TypeInt, Default: "10",
		check: between(0, 100),
		Doc:   "The share of a broker's partitions, in percent, that others may lead in its place before it gets them back.",
	})}
)

// A Voter is one entry of controller.quorum.voters.
type Voter struct {
	ID      kafka.NodeID
	Address string // host:port
}

// ParseVoter reads id@host:port.
func ParseVoter(s string) (Voter, error) {
	number, address, ok := strings.Cut(s, "@")
	if !ok {
		return Voter{}, fmt.Errorf("%s is not id@host:port", shorten(s))
	}
	id, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return Voter{}, fmt.Errorf("%s: %s is not a node's number", shorten(s), shorten(number))
	}
	colon := strings.LastIndexByte(address, ':')
	if colon <= 0 {
		return Voter{}, fmt.Errorf("%s is not id@host:port", shorten(s))
	}
	if port, err := strconv.ParseUint(address[colon+1:], 10, 16); err != nil || port == 0 {
		return Voter{}, fmt.Errorf("%s: the port is not a number from 1 to 65535", shorten(s))
	}
	return Voter{ID: kafka.NodeID(id), Address: address}, nil
}

// VotersIn returns the configured voters, by id; none if the node is alone.
func VotersIn(v *View) []Voter {
	var out []Voter
	for _, item := range QuorumVoters.In(v) {
		if one, err := ParseVoter(item); err == nil { // a view holds nothing that was not checked
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b Voter) int { return int(a.ID) - int(b.ID) })
	return out
}

// WithVoters returns the settings of a node that was told its voters elsewhere, as
// id@host:port[,id@host:port...]. The error says what contradicts them.
func (v *View) WithVoters(voters string) (*View, error) {
	out := newBroker()
	var errs []error
	for _, l := range v.layers {
		errs = append(errs, out.set(l.source, l.pairs)...)
	}
	errs = append(errs, out.set(FromStaticBroker, []Pair{{QuorumVoters.Name, voters}})...)
	return out, first(errs, out.checkTogether())
}

// IsBroker reports whether a node with these settings is a broker.
func IsBroker(v *View) bool { return ProcessRoles.Has(v, "broker") }

// IsController reports whether a node with these settings is a controller.
func IsController(v *View) bool { return ProcessRoles.Has(v, "controller") }

// IsControllers reports whether a listener of that name is the controllers'.
func IsControllers(v *View, name string) bool {
	return slices.ContainsFunc(ControllerListenerNames.In(v), func(one string) bool { return strings.EqualFold(one, name) })
}

// BrokerListeners returns the listeners that are not the controllers'.
func BrokerListeners(v *View) []Listener {
	return slices.DeleteFunc(ListenersIn(v, Listeners), func(l Listener) bool { return IsControllers(v, l.Name) })
}

// ControllerListeners returns the listeners that are the controllers'.
func ControllerListeners(v *View) []Listener {
	return slices.DeleteFunc(ListenersIn(v, Listeners), func(l Listener) bool { return !IsControllers(v, l.Name) })
}

// InterBrokerListener returns the name of the listener on which brokers talk with
// each other.
func InterBrokerListener(v *View) string {
	if name := InterBrokerListenerName.In(v); name != "" {
		return strings.ToUpper(name)
	}
	for _, l := range BrokerListeners(v) {
		return l.Name
	}
	return "PLAINTEXT"
}

func roles(v Value) error {
	if err := notEmpty(v); err != nil {
		return err
	}
	return anyOf("broker", "controller")(v)
}

func voters(v Value) error {
	seen := map[kafka.NodeID]bool{}
	for _, item := range parseList(v.Text) {
		one, err := ParseVoter(item)
		if err != nil {
			return err
		}
		if seen[one.ID] {
			return fmt.Errorf("voter %d stands there twice", one.ID)
		}
		seen[one.ID] = true
	}
	return nil
}

func listenerNames(v Value) error {
	for _, name := range parseList(v.Text) {
		if err := checkListenerName(name); err != nil {
			return err
		}
	}
	return notEmpty(v)
}

func protocols(v Value) error {
	for _, item := range parseList(v.Text) {
		name, protocol, ok := strings.Cut(item, ":")
		if !ok {
			return fmt.Errorf("%s is not NAME:PLAINTEXT", shorten(item))
		}
		if !strings.EqualFold(protocol, "PLAINTEXT") {
			return fmt.Errorf("%s: the only security protocol is PLAINTEXT", shorten(protocol))
		}
		if err := checkListenerName(name); err != nil {
			return err
		}
	}
	return nil
}

// checkCluster refuses settings that contradict each other about the node's place
// in its cluster.
func (v *View) checkCluster() error {
	for _, check := range []func(*View) error{checkRoles, checkProtocols, checkEndpoints} {
		if err := check(v); err != nil {
			return fmt.Errorf("%w: %w", err, kafka.ErrInvalidConfig)
		}
	}
	if beat, session := BrokerHeartbeatInterval.In(v), BrokerSessionTimeout.In(v); beat >= session {
		return fmt.Errorf("broker.heartbeat.interval.ms=%d: not less than broker.session.timeout.ms=%d: %w", beat, session, kafka.ErrInvalidConfig)
	}
	return nil
}

// checkRoles looks at roles, voters and listeners together. A controller that is
// not among the voters is one that joins them later.
func checkRoles(v *View) error {
	all, id := VotersIn(v), kafka.NodeID(NodeID.In(v))
	voter := slices.ContainsFunc(all, func(one Voter) bool { return one.ID == id })
	switch {
	case !IsController(v) && voter:
		return fmt.Errorf("controller.quorum.voters=%s: has node.id=%d, which is no controller", QuorumVoters.In(v), id)
	case !IsBroker(v) && len(BrokerListeners(v)) > 0:
		return fmt.Errorf("listeners: process.roles=controller has only those in controller.listener.names=%s", ControllerListenerNames.In(v))
	case IsBroker(v) && len(BrokerListeners(v)) == 0:
		return errors.New("listeners: a broker has one that is not in controller.listener.names")
	case !IsController(v) && len(ControllerListeners(v)) > 0:
		return fmt.Errorf("listeners: process.roles=broker has none of controller.listener.names=%s", ControllerListenerNames.In(v))
	case IsController(v) && len(all) > 0 && len(ControllerListeners(v)) == 0:
		return fmt.Errorf("listeners: a controller with controller.quorum.voters has one of controller.listener.names=%s", ControllerListenerNames.In(v))
	}
	return nil
}

// checkProtocols refuses listeners that nobody gave a security protocol.
func checkProtocols(v *View) error {
	known := map[string]bool{"PLAINTEXT": true}
	for _, item := range ListenerProtocols.In(v) {
		name, _, _ := strings.Cut(item, ":")
		known[strings.ToUpper(name)] = true
	}
	for _, l := range ListenersIn(v, Listeners) {
		if !known[l.Name] && !IsControllers(v, l.Name) {
			return fmt.Errorf("listeners: %s has no security protocol in listener.security.protocol.map", l.Name)
		}
	}
	return nil
}

// checkEndpoints looks at what is advertised, and where brokers meet.
func checkEndpoints(v *View) error {
	brokers := BrokerListeners(v)
	named := func(name string) func(Listener) bool {
		return func(l Listener) bool { return l.Name == name }
	}
	advertised := ListenersIn(v, AdvertisedListeners)
	for _, l := range advertised {
		if IsControllers(v, l.Name) {
			return fmt.Errorf("advertised.listeners: %s is the controllers', and clients do not talk with it", l.Name)
		}
		if !slices.ContainsFunc(brokers, named(l.Name)) {
			return fmt.Errorf("advertised.listeners: %s is not in listeners", l.Name)
		}
	}
	inter := InterBrokerListener(v)
	if IsBroker(v) && !slices.ContainsFunc(brokers, named(inter)) {
		return fmt.Errorf("inter.broker.listener.name=%s: not one of the broker's listeners", inter)
	}
	if IsBroker(v) && len(advertised) > 0 && !slices.ContainsFunc(advertised, named(inter)) {
		return fmt.Errorf("advertised.listeners: lacks %s, on which brokers talk with each other", inter)
	}
	return nil
}
