package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// UpdateFeatures (key 57): changes the levels of features, all or none (KIP-584).
// 0 to 2.
//
// v0 says of each feature whether it may be lowered; v1 has the type of update,
// 1 upgrades only, 2 and 3 downgrades too, and may ask for validation only. Up to v1
// every feature is answered for by itself, all alike; v2 has one error.

func updateFeatures(x *control, q *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	var updates []meta.FeatureUpdate
	for _, f := range q.FeatureUpdates {
		u := meta.FeatureUpdate{Name: f.Feature, Level: f.MaxVersionLevel, How: meta.Upgrade(f.UpgradeType)}
		if x.call.Version == 0 {
			u.How = meta.UpgradeOnly
			if f.AllowDowngrade {
				u.How = meta.SafeDowngrade
			}
		}
		updates = append(updates, u)
	}
	err := x.refused
	switch {
	case err != nil:
	case q.ValidateOnly && x.call.Version >= 1:
		_, err = x.s.image().UpdateFeatures(updates, x.s.config)
	default:
		err = x.c.UpdateFeatures(updates, x.deadline(q))
	}
	r := kmsg.NewPtrUpdateFeaturesResponse()
	if err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
	}
	if x.call.Version >= 2 {
		return r
	}
	for _, f := range q.FeatureUpdates {
		result := kmsg.NewUpdateFeaturesResponseResult()
		result.Feature, result.ErrorCode, result.ErrorMessage = f.Feature, r.ErrorCode, r.ErrorMessage
		r.Results = append(r.Results, result)
	}
	return r
}
