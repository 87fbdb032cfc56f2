package meta

import (
	"github.com/klammlog/klamm/node/config"
)

// A policy is the settings by which partitions are decided.
type policy struct {
	minISR  int  // min.insync.replicas
	unclean bool // unclean.leader.election.enable
}

// policyOn returns what is in force for topics that set nothing, on a node with
// the given settings; nil stands for the defaults.
func policyOn(on *config.View) policy {
	if on == nil {
		on, _ = config.NewBroker(nil) // nothing is set, so nothing can be wrong
	}
	plain := config.TopicInForce(on, nil)
	return policy{minISR: int(config.MinInsyncReplicas.In(plain)), unclean: config.UncleanLeaderElection.In(plain)}
}

// of returns what is in force for a topic with the given settings. What cannot be
// read is not in force.
func (p policy) of(settings []config.Pair) policy {
	if len(settings) == 0 {
		return p
	}
	if v, ok := parsed(settings, config.MinInsyncReplicas.Setting); ok {
		p.minISR = int(v.Number)
	}
	if v, ok := parsed(settings, config.UncleanLeaderElection.Setting); ok {
		p.unclean = v.Number != 0
	}
	return p
}

func parsed(settings []config.Pair, s *config.Setting) (config.Value, bool) {
	text, ok := find(settings, s.Name)
	if !ok {
		return config.Value{}, false
	}
	v, err := s.Parse(text)
	return v, err == nil
}
