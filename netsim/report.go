package netsim

import "fmt"

// Report says, a line for each, which connections have bytes under way or unread,
// and why those under way do not arrive: what a run that makes no progress prints.
func (n *Network) Report() []string {
	var lines []string
	for _, c := range n.list() {
		for _, e := range []*end{c.client, c.server} {
			if text := e.pending(); text != "" {
				lines = append(lines, fmt.Sprintf("%s>%s: %s", e.local, e.remote, text))
			}
		}
	}
	return lines
}

// pending says what has become of the bytes an end sent.
func (e *end) pending() string {
	f := e.out
	under := fmt.Sprintf("%d bytes under way, %d unread", f.queued, f.to.unread)
	switch {
	case f.line.len() == 0 && f.to.unread == 0 && f.owed == 0:
		return ""
	case f.stuck && e.conn.severed != nil:
		return under + ", held for good by " + e.conn.severed.Fault.String()
	case f.stuck && !f.link.open():
		return under + ", held by " + f.link.blockers[0].Fault.String()
	case f.stuck:
		return under + ", held until " + f.to.host.name + " is back"
	case f.full:
		return under + ", waiting for the reader"
	case f.line.len() == 0:
		return under
	}
	return fmt.Sprintf("%s, next at %s", under, f.line.head().due)
}
