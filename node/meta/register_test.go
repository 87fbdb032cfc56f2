package meta

import (
	"errors"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

// What a registration holds goes into the log of everybody: it is bounded first.
func TestWhatARegistrationMayHold(t *testing.T) {
	m := NewImage()
	for _, r := range Format("c") {
		if err := m.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 1001)
	for name, change := range map[string]func(*Registration){
		"a rack as long as a file":    func(r *Registration) { r.Rack = long },
		"a host as long as a file":    func(r *Registration) { r.Endpoints = []Endpoint{{Host: long}} },
		"a listener's name like that": func(r *Registration) { r.Endpoints = []Endpoint{{Listener: long}} },
		"many listeners":              func(r *Registration) { r.Endpoints = make([]Endpoint, 101) },
		"many log directories":        func(r *Registration) { r.Directories = make([]DirectoryID, 101) },
		"a negative id":               func(r *Registration) { r.ID = -1 },
	} {
		r := Registration{ID: 1, MinLevel: 1, MaxLevel: Level, CleanAfter: NoEpoch, Rack: "east", Endpoints: []Endpoint{{"PLAINTEXT", "host", 9092}}}
		if _, _, err := m.Register(r, func(kafka.NodeID) bool { return true }, nil); err != nil {
			t.Fatal(err)
		}
		change(&r)
		if _, _, err := m.Register(r, func(kafka.NodeID) bool { return true }, nil); !errors.Is(err, kafka.ErrInvalidRequest) || len(err.Error()) > 300 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
