package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Moment is one line of a story.
type Moment struct {
	At   Instant
	Kind string // for a mark: fault, election, in-sync, commit, ack, read, group, lost, error, life, controller, heal, verdict
	Text string

	Lane, Partition, Operation int // where to look; None
}

// LongestStory is how many moments a story has at most.
const LongestStory = 12

// A candidate is a moment that could be told.
type candidate struct {
	Moment
	weight int
}

// Of one kind a story tells so many at most.
var mostOf = map[string]int{"fault": 4, "election": 3, "in-sync": 2, "error": 2, "controller": 1, "life": 2, "commit": 1, "lost": 3, "read": 3, "ack": 3, "heal": 1, "group": 3}

// Story chooses what led to the verdict: it walks back from the violation, through what
// can have had to do with it, and keeps what weighs most.
func Story(r *Run) []Moment {
	f := focusOf(r)
	s := teller{r: r, f: &f}
	s.evidence()
	s.progress()
	s.replicas()
	s.refusals()
	s.group()
	s.events()
	s.faults()
	s.heal()
	return append(s.chosen(), s.verdict())
}

// A teller collects what could be told.
type teller struct {
	r     *Run
	f     *focus
	found []candidate

	ofGroup bool // it is about a group
}

func (s *teller) add(weight int, m Moment) {
	if m.At > s.f.at {
		return
	}
	// The nearer the better, by a little.
	weight += int(20 * m.At / max(s.f.at, 1))
	s.found = append(s.found, candidate{m, weight})
}

// chosen keeps what weighs most, in the order of time.
func (s *teller) chosen() []Moment {
	slices.SortStableFunc(s.found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.At, a.At), strings.Compare(a.Text, b.Text))
	})
	count, told := map[string]int{}, map[string]bool{}
	var out []Moment
	for _, c := range s.found {
		if len(out) == LongestStory-1 || count[c.Kind] >= mostOf[c.Kind] || told[c.Text] {
			continue
		}
		count[c.Kind]++
		told[c.Text] = true
		out = append(out, c.Moment)
	}
	slices.SortStableFunc(out, func(a, b Moment) int { return cmp.Compare(a.At, b.At) })
	return out
}

func (s *teller) verdict() Moment {
	text := s.r.Reason
	if len(s.r.Violations) > 0 {
		text = s.r.Violations[0].Sentence
	}
	if text == "" {
		text = "the run ends: " + s.r.Verdict
	}
	m := Moment{At: s.f.at, Kind: "verdict", Text: text, Lane: None, Partition: s.f.partition, Operation: None}
	if len(s.f.lanes) == 1 {
		m.Lane = s.f.lanes[0]
	}
	return m
}

// evidence tells of the operations that show the violation; if an observer saw it, of
// what was acknowledged and read there.
func (s *teller) evidence() {
	shown := false
	if len(s.r.Violations) > 0 {
		for i, e := range s.r.Violations[0].Evidence {
			if e.Operation != None {
				shown = true
				s.operation(150-i, e.Operation, e.Text)
			}
		}
	}
	if shown || s.f.partition == None || s.f.offset < 0 {
		return
	}
	acked, first, last := None, None, None
	for i := range s.r.Operations {
		op := &s.r.Operations[i]
		if op.Partition != s.f.partition || op.Outcome != OK || op.Completed > s.f.at {
			continue
		}
		switch {
		case op.Kind == "send" && op.From == s.f.offset:
			acked = i
		case op.Kind == "poll" && op.From <= s.f.offset && op.End > s.f.offset && op.Records > 0:
			if first == None {
				first = i
			}
			last = i
		}
	}
	for _, i := range []int{acked, first, last} {
		if i != None {
			s.operation(120, i, s.r.Operations[i].Text)
		}
	}
}

func (s *teller) operation(weight, i int, text string) {
	op := &s.r.Operations[i]
	m := Moment{At: op.Completed, Kind: "read", Text: text, Lane: op.Lane, Partition: op.Partition, Operation: i}
	if m.At == Never {
		m.At = op.Invoked
	}
	if op.Kind == "send" {
		m.Kind = "ack"
	}
	s.add(weight, m)
}

// progress tells how far somebody came who never finished, and what he is told since.
func (s *teller) progress() {
	if s.r.Verdict != "stuck" || len(s.f.lanes) == 0 {
		return
	}
	lane, last := s.f.lanes[0], None
	for i := range s.r.Operations {
		if op := &s.r.Operations[i]; op.Lane == lane && op.Outcome == OK && (last == None || op.Completed > s.r.Operations[last].Completed) {
			last = i
		}
	}
	since := Instant(0)
	if last != None {
		since = s.r.Operations[last].Completed
		s.operation(110, last, "the last success of "+s.r.Lanes[lane].Name+": "+s.r.Operations[last].Text)
	}
	type told struct {
		first *Message
		n     int
	}
	answers := map[string]*told{}
	var most *told
	for i := range s.r.Messages {
		m := &s.r.Messages[i]
		if m.To != lane || !m.Answer || m.Sent < since || m.Text == "" {
			continue
		}
		key := fmt.Sprint(m.From, m.Name, m.Text)
		if answers[key] == nil {
			answers[key] = &told{first: m}
		}
		answers[key].n++
		if most == nil || answers[key].n > most.n {
			most = answers[key]
		}
	}
	if most != nil {
		s.add(115, Moment{At: most.first.Sent, Kind: "error", Lane: lane, Partition: s.f.partition, Operation: None, Text: fmt.Sprintf(
			"from here on %s is told %d times by %s: %s: %s", s.r.Lanes[lane].Name, most.n, s.r.Lanes[most.first.From].Name, most.first.Name, most.first.Text)})
	}
}

// offsetSaid finds offsets in the text of a message, and numbers in a sentence.
var (
	offsetSaid = regexp.MustCompile(`\boffset (\d+)`)
	numberSaid = regexp.MustCompile(`\b\d+\b`)
)

// group tells of the group in question: how it changed, and who committed, or was told,
// the offsets that the sentence names.
func (s *teller) group() {
	sentence := s.r.Reason
	if len(s.r.Violations) > 0 {
		sentence = s.r.Violations[0].Sentence
	}
	at := named(sentence, len(s.r.Groups), func(i int) string { return s.r.Groups[i].Name })
	if at == None {
		return
	}
	s.ofGroup = true
	g := &s.r.Groups[at]
	for i := 1; i < len(g.States); i++ {
		if is := &g.States[i]; is.Epoch != g.States[i-1].Epoch {
			s.add(45, Moment{At: is.At, Kind: "group", Lane: None, Partition: s.f.partition, Operation: None,
				Text: fmt.Sprintf("group %s goes to epoch %d, %s, with %d members (epoch %d, %d members before)", g.Name, is.Epoch, is.State, len(is.Members), g.States[i-1].Epoch, len(g.States[i-1].Members))})
		}
	}
	numbers := numberSaid.FindAllString(sentence, -1)
	first := map[string]bool{}
	for i := range s.r.Messages {
		m := &s.r.Messages[i]
		if m.Name != "OffsetCommit" && m.Name != "OffsetFetch" || !strings.Contains(m.Text, "group "+g.Name+";") && !strings.Contains(m.Text, "group "+g.Name+",") {
			continue
		}
		for _, o := range offsetSaid.FindAllStringSubmatch(m.Text, -1) {
			key := m.Name + o[1]
			if !slices.Contains(numbers, o[1]) || first[key] || !s.f.matters(m.From, m.Sent) {
				continue
			}
			first[key] = true
			verb := "asks"
			if m.Answer {
				verb = "tells"
			}
			s.add(105, Moment{At: m.Sent, Kind: "read", Lane: m.From, Partition: None, Operation: None,
				Text: fmt.Sprintf("%s %s %s: %s: %s", s.r.Lanes[m.From].Name, verb, s.r.Lanes[m.To].Name, m.Name, m.Text)})
		}
	}
}

// replicas tells of what logs lost, and when the record in question was committed.
func (s *teller) replicas() {
	if s.f.partition == None {
		return
	}
	name := s.r.Partitions[s.f.partition]
	for i := range s.r.Replicas {
		v := &s.r.Replicas[i]
		if v.Partition != s.f.partition {
			continue
		}
		where := s.r.Lanes[v.Lane].Name
		committed := false
		for j := 1; j < len(v.States); j++ {
			was, is := &v.States[j-1], &v.States[j]
			m := Moment{At: is.At, Kind: "lost", Lane: v.Lane, Partition: v.Partition, Operation: None}
			switch {
			case is.Role == "down" || is.Role == "gone" || is.Role == "broken" || !s.f.matters(v.Lane, is.At):
			case is.End < was.End:
				weight := 70
				if is.End <= s.f.offset && s.f.offset < was.End {
					weight = 130
				}
				m.Text = fmt.Sprintf("the log of %s on %s ends at %d, and ended at %d before", name, where, is.End, was.End)
				if was.Role == "down" {
					m.Text = fmt.Sprintf("%s has started again: its log of %s ends at %d, and ended at %d before", where, name, is.End, was.End)
				}
				m.Text += fmt.Sprintf("; the high watermark that it knows is %d, and was %d", is.HighWatermark, was.HighWatermark)
				s.add(weight, m)
			case is.HighWatermark < was.HighWatermark && was.Role != "down":
				m.Text = fmt.Sprintf("the high watermark of %s on %s goes back from %d to %d", name, where, was.HighWatermark, is.HighWatermark)
				s.add(75, m)
			case was.Role == "down" && slices.Contains(s.f.lanes, v.Lane):
				m.Kind = "life"
				m.Text = fmt.Sprintf("%s has started again: its log of %s ends at %d; the high watermark that it knows is %d; in sync are %s", where, name, is.End, is.HighWatermark, s.names(is.InSync))
				s.add(66, m)
			case is.Start > was.Start && was.Role != "down":
				m.Text = fmt.Sprintf("the log of %s on %s begins at %d, and began at %d before; it ends at %d", name, where, is.Start, was.Start, is.End)
				s.add(s.ofDeletion(), m)
			case s.f.offset >= 0 && !committed && is.Role == "leader" && was.HighWatermark <= s.f.offset && is.HighWatermark > s.f.offset:
				committed = true
				m.Kind = "commit"
				m.Text = fmt.Sprintf("offset %d of %s is committed: the high watermark of its leader %s reaches %d; in sync are %s%s", s.f.offset, name, where, is.HighWatermark, s.names(is.InSync), s.tooFew(is.InSync))
				s.add(80, m)
			}
		}
	}
}

// ofDeletion is what it weighs that records were deleted: much, if it is about that.
func (s *teller) ofDeletion() int {
	if len(s.r.Violations) > 0 && strings.Contains(s.r.Violations[0].Sentence, "log start") {
		return 90
	}
	return 15
}

// errorSaid finds the names of errors in the text of an answer.
var errorSaid = regexp.MustCompile(`\b[A-Z]+(_[A-Z]+)+\b`)

// refusals tells what somebody was told, of the partition in question, who is named: that
// it was an error, of what he had asked for, and how often he had asked for the same.
func (s *teller) refusals() {
	type asking struct {
		m     *Message
		times int
	}
	asked, times := map[int]asking{}, map[string]int{}
	for i := range s.r.Messages {
		m := &s.r.Messages[i]
		switch {
		case m.Call == 0 || m.Name != "Produce" || !slices.Contains(m.Partitions, s.f.partition):
		case !m.Answer && slices.Contains(s.f.lanes, m.From):
			key := fmt.Sprint(m.From, m.Text)
			times[key]++
			asked[m.Call] = asking{m, times[key]}
		case m.Answer && asked[m.Call].m != nil && errorSaid.MatchString(m.Text):
			a := asked[m.Call]
			s.add(72, Moment{At: m.Sent, Kind: "error", Lane: m.From, Partition: s.f.partition, Operation: None, Text: fmt.Sprintf(
				"%s tells %s: %s, when that asks for the %s time: Produce: %s", s.r.Lanes[m.From].Name, s.r.Lanes[m.To].Name, m.Text, ordinal(a.times), a.m.Text)})
		}
	}
}

func ordinal(n int) string {
	if names := []string{"first", "second", "third"}; n <= len(names) {
		return names[n-1]
	}
	return fmt.Sprintf("%dth", n)
}

// tooFew says so if fewer replicas are in sync than it takes to commit anything.
func (s *teller) tooFew(inSync []int32) string {
	for _, o := range s.r.Options {
		if least, err := strconv.Atoi(o.Value); err == nil && o.Name == "min.insync.replicas" && len(inSync) < least {
			return ", and min.insync.replicas is " + o.Value
		}
	}
	return ""
}

// names names nodes.
func (s *teller) names(ids []int32) string {
	var out []string
	for _, id := range ids {
		name := fmt.Sprintf("node %d", id)
		if i := slices.IndexFunc(s.r.Lanes, func(l Lane) bool { return l.Kind != Client && l.ID == int(id) }); i >= 0 {
			name = s.r.Lanes[i].Name
		}
		out = append(out, name)
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// events tells of elections, in-sync sets, errors and controllers.
func (s *teller) events() {
	elections := None
	for i := range s.r.Events {
		e := &s.r.Events[i]
		if !s.f.matters(e.Lane, e.At) {
			continue
		}
		ours := e.Partition != None && e.Partition == s.f.partition
		weight := 0
		switch e.Kind {
		case Election:
			if weight = 10; ours {
				weight, elections = 60, len(s.found)
			} else if s.ofGroup && e.Partition != None && strings.HasPrefix(s.r.Partitions[e.Partition], "__consumer_offsets-") {
				weight = 62 // who coordinates
			}
		case InSync:
			if weight = 5; ours {
				weight = 42
			}
		case Failure:
			if weight = 50; ours {
				weight = 65
			}
		case Warning:
			if ours {
				weight = 25
			}
		case Active:
			weight = 30
		}
		if weight > 0 {
			s.add(weight, Moment{At: e.At, Kind: kindOf(e.Kind), Text: s.worded(e), Lane: e.Lane, Partition: e.Partition, Operation: None})
		}
	}
	if elections != None && elections < len(s.found) {
		s.found[elections].weight += 30 // the last one
	}
}

// worded says who said it, of what was logged.
func (s *teller) worded(e *Event) string {
	if (e.Kind == Failure || e.Kind == Warning) && e.Lane != None {
		return s.r.Lanes[e.Lane].Name + " logs: " + e.Text
	}
	return e.Text
}

func kindOf(k EventKind) string {
	if k == Failure || k == Warning {
		return "error"
	}
	return string(k)
}

// faults tells of what struck whoever has to do with it.
func (s *teller) faults() {
	for i := range s.r.Faults {
		f := &s.r.Faults[i]
		family, _, _ := strings.Cut(f.Line, " ")
		for _, strike := range f.Strikes {
			if strike.At > s.f.at {
				continue
			}
			weight, lane := 40, None
			for l := range s.r.Lanes {
				if wordIn(strike.On, s.r.Lanes[l].Name) >= 0 {
					if lane == None {
						lane = l
					}
					if s.holds(l) {
						weight = 48
					} else if s.r.Lanes[l].Kind == Client && !slices.Contains(s.f.lanes, l) && weight == 40 {
						weight = 20
					}
				}
			}
			if len(s.r.Faults) <= 4 {
				weight += 40 // all of them, in a run that was shrunk
			}
			text := fmt.Sprintf("%s strikes %s", family, strike.On)
			if strike.Until != Never {
				text += fmt.Sprintf(", until %s", strike.Until)
				if strike.Until >= s.f.at {
					weight += 10
				}
			}
			s.add(weight, Moment{At: strike.At, Kind: "fault", Text: text, Lane: lane, Partition: None, Operation: None})
		}
	}
}

// holds reports whether a node has a replica of the partition in question.
func (s *teller) holds(lane int) bool {
	return slices.ContainsFunc(s.r.Replicas, func(v Replica) bool { return v.Lane == lane && v.Partition == s.f.partition })
}

// heal tells when the faults ended, if it broke after that.
func (s *teller) heal() {
	for _, p := range s.r.Phases {
		if p.Name == "liveness" {
			s.add(45, Moment{At: p.At, Kind: "heal", Text: "the faults end for good: from here on everything has to finish", Lane: None, Partition: None, Operation: None})
		}
	}
}

// String writes seconds: 3.201s.
func (t Instant) String() string {
	if t == Never {
		return "never"
	}
	ms := int64(t) / 1e6
	return fmt.Sprintf("%d.%03ds", ms/1000, ms%1000)
}
