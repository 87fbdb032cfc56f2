package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Listener is one entry of listeners or advertised.listeners.
type Listener struct {
	Name string // the part before "://"; also the security protocol
	Host string // "" means every address
	Port int32
}

// Address returns host:port, with brackets around a host that has colons.
func (l Listener) Address() string {
	host := l.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(l.Port))
}

// ParseListener reads NAME://host:port. Only PLAINTEXT is served.
func ParseListener(s string) (Listener, error) {
	name, address, ok := strings.Cut(s, "://")
	if !ok {
		return Listener{}, fmt.Errorf("%s is not NAME://host:port", shorten(s))
	}
	if name = strings.ToUpper(name); name != "PLAINTEXT" {
		return Listener{}, fmt.Errorf("%s: the only security protocol is PLAINTEXT", shorten(name))
	}
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return Listener{}, fmt.Errorf("%s has no port", shorten(s))
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil {
		return Listener{}, fmt.Errorf("%s: the port is not a number up to 65535", shorten(s))
	}
	host := strings.TrimSuffix(strings.TrimPrefix(address[:colon], "["), "]")
	return Listener{Name: name, Host: host, Port: int32(port)}, nil
}

// ListenersIn returns the parsed listeners of a view.
func ListenersIn(v *View, s List) []Listener {
	var out []Listener
	for _, item := range s.In(v) {
		l, err := ParseListener(item)
		if err == nil { // a view holds nothing that was not checked
			out = append(out, l)
		}
	}
	return out
}

func checkListeners(v Value) error {
	if err := notEmpty(v); err != nil {
		return err
	}
	for _, item := range parseList(v.Text) {
		if _, err := ParseListener(item); err != nil {
			return err
		}
	}
	return nil
}

func notEmpty(v Value) error {
	if len(parseList(v.Text)) == 0 {
		return errors.New("an empty list")
	}
	return nil
}
