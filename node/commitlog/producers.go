package commitlog

import "github.com/klammlog/klamm/node/txn"

// Producers describes the idempotent producers that the log knows of, by growing
// id.
func (l *Log) Producers() []txn.Info { return l.producers.All() }
