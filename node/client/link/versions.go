package link

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/kafka"
)

const apiVersions = 18

// spoken is the highest version of each key that the code of this client was
// written for. A newer version may carry obligations (Produce 12 adds partitions
// to transactions), so it is raised by hand.
var spoken = map[int16]int16{
	0:           13, // Produce
	1:           17, // Fetch
	2:           8,  // ListOffsets
	3:           12, // Metadata
	apiVersions: 3,
	19:          7, // CreateTopics
	20:          6, // DeleteTopics
	22:          4, // InitProducerId
	23:          4, // OffsetForLeaderEpoch
	43:          2, // ElectLeaders
	45:          1, // AlterPartitionReassignments
	46:          0, // ListPartitionReassignments
	55:          2, // DescribeQuorum
	57:          2, // UpdateFeatures
	60:          2, // DescribeCluster
	64:          0, // UnregisterBroker
	75:          0, // DescribeTopicPartitions
	80:          1, // AddRaftVoter
	81:          0, // RemoveRaftVoter
}

// versions are the ranges a broker offered.
type versions struct {
	broker string
	ranges map[int16]span
}

type span struct{ min, max int16 }

// choose returns the highest version of a request that broker, caller and this
// package speak.
func (v versions) choose(req kmsg.Request, o Options) (int16, error) {
	key := req.Key()
	offered, ok := v.ranges[key]
	ours, known := spoken[key]
	if !known {
		ours = req.MaxVersion()
	}
	if o.MaxVersion > 0 {
		ours = min(ours, o.MaxVersion)
	}
	best := min(ours, offered.max)
	if !ok || best < max(offered.min, o.MinVersion) {
		return 0, fmt.Errorf("%s: broker %s offers versions %d to %d, client speaks %d to %d: %w",
			nameOf(req), v.broker, offered.min, offered.max, o.MinVersion, ours,
			kafka.ErrUnsupportedVersion)
	}
	return best, nil
}

// dial connects and negotiates. Blocks.
func (l *Link) dial() (*session, error) {
	deadline := l.w.Now().Add(l.c.DialTimeout)
	conn, err := l.w.Net.Dial(l.c.Address, deadline)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.c.Address, err)
	}
	s := &session{
		l:         l,
		conn:      conn,
		formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(l.c.ClientID)),
		lastUse:   l.w.Now(),
	}
	conn.SetReadDeadline(deadline)
	conn.SetWriteDeadline(deadline)
	if err := s.negotiate(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("negotiate with %s: %w", l.c.Address, err)
	}
	s.heard = l.w.Now()
	s.armRead()
	return s, nil
}

// negotiate asks the broker what it speaks. A broker that does not know our
// version of the question answers as version 0 and tells the highest it knows
// (KIP-511). Blocks.
func (s *session) negotiate() error {
	version := spoken[apiVersions]
	for {
		resp, err := s.askVersions(version)
		if err != nil {
			return err
		}
		code := kafka.Error(resp.ErrorCode)
		lower := lowerVersion(resp, version)
		if code == kafka.ErrUnsupportedVersion && lower < version {
			s.l.w.Probe("a broker spoke only an older ApiVersions")
			version = lower
			continue
		}
		if code != kafka.None {
			return fmt.Errorf("ApiVersions: %w", code)
		}
		s.mute(resp)
		s.versions = versions{broker: s.l.c.Address, ranges: make(map[int16]span, len(resp.ApiKeys))}
		for _, k := range resp.ApiKeys {
			s.versions.ranges[k.ApiKey] = span{k.MinVersion, k.MaxVersion}
		}
		return nil
	}
}

// lowerVersion returns what to ask with after the broker refused a version.
func lowerVersion(resp *kmsg.ApiVersionsResponse, refused int16) int16 {
	for _, k := range resp.ApiKeys {
		if k.ApiKey == apiVersions {
			return max(0, min(k.MaxVersion, refused-1))
		}
	}
	return 0
}

func (s *session) askVersions(version int16) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(version)
	req.ClientSoftwareName = s.l.c.Software
	req.ClientSoftwareVersion = s.l.c.Version
	correlation := s.l.next
	s.l.next = (s.l.next + 1) & 0x7fffffff
	if _, err := s.conn.Write(s.formatter.AppendRequest(nil, req, correlation)); err != nil {
		return nil, err
	}
	f := frames{conn: s.conn, limit: min(s.l.c.MaxFrame, growth)}
	frame, err := f.next()
	if err != nil {
		return nil, err
	}
	return decodeVersions(frame, correlation, version)
}

// decodeVersions decodes an answer to ApiVersions, which is of version 0 when it
// refuses the version of the request.
func decodeVersions(frame []byte, correlation int32, version int16) (*kmsg.ApiVersionsResponse, error) {
	peek := kbin.Reader{Src: frame}
	peek.Int32()
	if kafka.Error(peek.Int16()) == kafka.ErrUnsupportedVersion {
		version = 0
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(version)
	if _, err := decodeAnswer(frame, correlation, resp); err != nil {
		return nil, err
	}
	return resp, nil
}
