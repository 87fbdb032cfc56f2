package group

import "github.com/klammlog/klamm/node/kafka"

// A Request is one of the types of requests.
type Request interface{ request }

// Failed returns the answer to a request with an error, for who runs a Shard and
// cannot ask it.
func Failed(r Request, code kafka.Error) any { return r.failed(code) }
