package scenarios

import (
	"fmt"
	"strconv"
	"time"

	"github.com/klammlog/klamm/node/config"
)

// ConnectionLimits are what the broker allows its clients to take. Zeros leave
// Kafka's defaults.
type ConnectionLimits struct {
	MaxIdle        time.Duration // connections.max.idle.ms
	MaxConnections int64         // max.connections
	MaxPerHost     int64         // max.connections.per.ip
	MaxRequest     int64         // socket.request.max.bytes
	MaxQueued      int64         // queued.max.request.bytes
}

func (l ConnectionLimits) String() string {
	return fmt.Sprintf("max.idle=%s max.connections=%d max.connections.per.ip=%d request.max.bytes=%d queued.max.request.bytes=%d",
		l.MaxIdle, l.MaxConnections, l.MaxPerHost, l.MaxRequest, l.MaxQueued)
}

// pairs returns the broker's settings that say so.
func (l ConnectionLimits) pairs() []config.Pair {
	var out []config.Pair
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"connections.max.idle.ms", l.MaxIdle.Milliseconds()},
		{"max.connections", l.MaxConnections},
		{"max.connections.per.ip", l.MaxPerHost},
		{"socket.request.max.bytes", l.MaxRequest},
		{"queued.max.request.bytes", l.MaxQueued},
	} {
		if limit.value > 0 {
			out = append(out, config.Pair{Name: limit.name, Value: strconv.FormatInt(limit.value, 10)})
		}
	}
	return out
}
