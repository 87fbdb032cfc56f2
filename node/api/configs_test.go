package api

import (
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestASensitiveValueIsNotShown(t *testing.T) {
	secret := &config.Setting{Name: "secret", Type: config.TypeString, Sensitive: true, Doc: "A secret."}
	q := &kmsg.DescribeConfigsRequest{IncludeSynonyms: true, IncludeDocumentation: true}
	set := config.Synonym{Name: "secret", Text: "xyzzy", Source: config.FromStaticBroker}
	c := describing{request: q}.one(secret, set, []config.Synonym{set})
	if c.Value != nil || !c.IsSensitive || len(c.ConfigSynonyms) != 1 || c.ConfigSynonyms[0].Value != nil {
		t.Errorf("%+v", c)
	}
	if c.Source != kmsg.ConfigSourceStaticBrokerConfig {
		t.Errorf("from %v", c.Source)
	}
}

func TestWhatIsNotAskedForIsNotTold(t *testing.T) {
	set := config.Synonym{Name: "num.partitions", Text: "1", Source: config.FromDefault}
	c := describing{request: &kmsg.DescribeConfigsRequest{}}.one(config.NumPartitions.Setting, set, []config.Synonym{set})
	if c.Documentation != nil || len(c.ConfigSynonyms) != 0 || c.Value == nil || *c.Value != "1" || !c.ReadOnly {
		t.Errorf("%+v", c)
	}
}
