package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Listener is one entry of listeners or advertised.listeners.
type Listener struct {
	Name string // the part before "://", in capitals
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

// ParseListener reads NAME://host:port.
func ParseListener(s string) (Listener, error) {
	name, address, ok := strings.Cut(s, "://")
	if !ok {
		return Listener{}, fmt.Errorf("%s is not NAME://host:port", shorten(s))
	}
	if err := checkListenerName(name); err != nil {
		return Listener{}, err
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
	return Listener{Name: strings.ToUpper(name), Host: host, Port: int32(port)}, nil
}

// checkListenerName refuses what is no name, and the names of security protocols
// that klamm does not speak.
func checkListenerName(name string) error {
	upper := strings.ToUpper(name)
	if upper == "SSL" || upper == "SASL_PLAINTEXT" || upper == "SASL_SSL" {
		return fmt.Errorf("%s: the only security protocol is PLAINTEXT", upper)
	}
	if upper == "" || strings.Trim(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
		return fmt.Errorf("%s is no name of a listener", shorten(name))
	}
	return nil
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
	seen := map[string]bool{}
	for _, item := range parseList(v.Text) {
		l, err := ParseListener(item)
		if err != nil {
			return err
		}
		if seen[l.Name] {
			return fmt.Errorf("%s stands there twice", l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

func notEmpty(v Value) error {
	if len(parseList(v.Text)) == 0 {
		return errors.New("an empty list")
	}
	return nil
}
