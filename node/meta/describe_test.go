package meta

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klammlog/klamm/node/kafka"
)

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
	for _, g := range s.image.Groups() {
		fmt.Fprintf(&out, "settings of group %s: %v\n", g.Group, g.Pairs)
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

// different tells how two images differ. No list and an empty one are the same.
func different(a, b *Image) string {
	return cmp.Diff(a, b, cmp.AllowUnexported(Image{}, brokerSettings{}), cmpopts.EquateEmpty())
}
