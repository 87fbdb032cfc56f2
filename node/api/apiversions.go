package api

import (
	"regexp"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (key 18): which versions of which requests are served. 0 to 4.
//
// v3 adds the client's name and version, which must look like ones: otherwise
// INVALID_REQUEST. Any other version, known to nobody perhaps, is answered in
// the encoding of version 0 with UNSUPPORTED_VERSION and the range that is served
// (KIP-511); its body is not looked at. The answer's header is version 0 always.
//
// Produce is told from version 0 on, as Kafka does, although 3 is the oldest that
// is taken: librdkafka before 2.11 would otherwise not compress (KAFKA-18659).
// Finalized features, and those that this node knows, are told from v3 on; the
// numbers are klamm's own (see node/meta).

const maxApiVersions = 4

var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func beginApiVersions(s *Server, call *Call) (answer, error) {
	if call.Version < 0 || call.Version > maxApiVersions {
		s.w.Probe("a client asked for a version of ApiVersions that is not served")
		return refuseVersion(call, maxApiVersions), nil
	}
	if call.Version > 0 && s.w.Buggify("a broker answers ApiVersions as an older one does") {
		return refuseVersion(call, call.Version-1), nil
	}
	request := kmsg.NewPtrApiVersionsRequest()
	if err := s.decode(request, call); err != nil {
		return nil, err
	}
	if call.Version >= 3 && (!isSoftware(request.ClientSoftwareName) || !isSoftware(request.ClientSoftwareVersion)) {
		return served(func() kmsg.Response {
			r := kmsg.NewPtrApiVersionsResponse()
			r.ErrorCode = int16(kafka.ErrInvalidRequest)
			return r
		}), nil
	}
	call.Client.Software, call.Client.SoftwareVersion = request.ClientSoftwareName, request.ClientSoftwareVersion
	return served(func() kmsg.Response { return s.apiVersions(call.Client.via) }), nil
}

func isSoftware(name string) bool { return len(name) <= 1000 && softwareName.MatchString(name) }

// refuseVersion tells the newest version of ApiVersions that is served.
func refuseVersion(call *Call, newest int16) answer {
	call.Version = 0
	return served(func() kmsg.Response {
		r := kmsg.NewPtrApiVersionsResponse()
		r.ErrorCode = int16(kafka.ErrUnsupportedVersion)
		r.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: int16(kmsg.ApiVersions), MaxVersion: newest}}
		return r
	})
}

func (s *Server) apiVersions(via side) kmsg.Response {
	r := kmsg.NewPtrApiVersionsResponse()
	for _, h := range s.handlers {
		if h == nil || !h.on.serves(via) {
			continue
		}
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(h.key), h.advertise, h.max
		r.ApiKeys = append(r.ApiKeys, k)
	}
	s.tellFeatures(r)
	return r
}

func (s *Server) tellFeatures(r *kmsg.ApiVersionsResponse) {
	for _, known := range meta.Features {
		f := kmsg.NewApiVersionsResponseSupportedFeature()
		f.Name, f.MinVersion, f.MaxVersion = known.Name, known.Min, known.Max
		r.SupportedFeatures = append(r.SupportedFeatures, f)
	}
	r.FinalizedFeaturesEpoch = int64(s.source.Applied())
	for _, on := range s.source.Image().Finalized() {
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MinVersionLevel, f.MaxVersionLevel = on.Name, on.Level, on.Level
		r.FinalizedFeatures = append(r.FinalizedFeatures, f)
	}
}
