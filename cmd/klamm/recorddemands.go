package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
)

// demands returns what the run is promised, as the header of its history tells it:
// what the cluster says of itself and of the topic, and what flags change. If the
// cluster does not say, nothing may go. Blocks.
func (w *workload) demands() (json.RawMessage, error) {
	var d checker.Demands
	d.Leaders = len(w.c.client.View().Brokers()) > 1
	topic := client.TopicSettings(w.topic)
	described, err := w.c.client.DescribeConfigs(client.DescribeConfigs{Resources: []client.Resource{topic}}, w.c.deadline)
	if err == nil {
		err = described[0].Err
	}
	switch {
	case errors.Is(err, env.ErrCanceled):
		return nil, err
	case err != nil:
		fmt.Fprintf(w.errs, "klamm: the topic's settings are not known, so flags must tell what may go: %v\n", err)
	default:
		permit(&d, described[0].Settings)
	}
	if err := w.f.apply(&d); err != nil {
		return nil, usage(err)
	}
	return json.Marshal(d)
}

// longEnough is how long records must stay for retention by time not to matter.
const longEnough = 24 * time.Hour

// permit takes over what a topic's settings permit.
func permit(d *checker.Demands, settings []client.Setting) {
	values := make(map[string]string)
	for _, s := range settings {
		if s.Value != nil {
			values[s.Name] = *s.Value
		}
	}
	policy := values["cleanup.policy"]
	d.Compaction = strings.Contains(policy, "compact")
	d.Unclean = values["unclean.leader.election.enable"] == "true"
	if strings.Contains(policy, "delete") {
		bytes, err := strconv.ParseInt(values["retention.bytes"], 10, 64)
		ms, err2 := strconv.ParseInt(values["retention.ms"], 10, 64)
		d.Retention = err == nil && bytes >= 0 || err2 == nil && ms >= 0 && ms < longEnough.Milliseconds()
	}
}
