// Command kcat is kcat as a client program of the conformance driver: see package
// talk.
//
// Kcat takes one partition, one set of headers and no timestamps for all it
// sends, and does not tell offsets: there is one process for each partition, and its
// end with exit code 0 is the acknowledgement of all it was given.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/klammlog/klamm/internal/conformance/talk"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("kcat: ")
	verb, bootstrap, rest := os.Args[1], os.Args[2], os.Args[3:]
	var err error
	switch verb {
	case "produce":
		err = produce(bootstrap, rest[0])
	case "consume":
		err = consume(bootstrap, rest)
	case "times":
		err = times(bootstrap)
	case "console":
		err = console(bootstrap, rest[0])
	default:
		err = fmt.Errorf("no such verb: %s", verb)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// kcat is a command whose own words go to standard error. With -E it does not end
// when its only broker is down.
func kcat(args ...string) *exec.Cmd {
	cmd := exec.Command("kcat", append([]string{"-q", "-E"}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	return s
}

// A sender is one process and what it was given.
type sender struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	acks []talk.Ack
}

func produce(bootstrap, codec string) error {
	senders := map[int32]*sender{}
	in := lines(os.Stdin)
	for in.Scan() {
		s, err := talk.ParseSend(in.Text())
		if err != nil {
			return err
		}
		to := senders[s.Partition]
		if to == nil {
			if to, err = startSender(bootstrap, codec, &s); err != nil {
				return err
			}
			senders[s.Partition] = to
		}
		to.acks = append(to.acks, talk.Ack{Number: s.Number, Invoked: talk.Now(), Offset: -1, Timestamp: -1})
		if _, err := fmt.Fprintf(to.in, "%s\t%s\n", s.Key, s.Value); err != nil {
			return err
		}
	}
	for _, s := range senders {
		_ = s.in.Close() // it ends when it has been told all
	}
	for _, s := range senders {
		err := s.cmd.Wait()
		for i := range s.acks {
			s.acks[i].Completed = talk.Now()
			if err != nil {
				s.acks[i].Error = err.Error()
			}
			fmt.Println(s.acks[i].String())
		}
	}
	return in.Err()
}

func startSender(bootstrap, codec string, first *talk.Send) (*sender, error) {
	args := []string{"-P", "-b", bootstrap, "-t", first.Topic, "-p", strconv.Itoa(int(first.Partition)), "-K", "\t", "-z", codec,
		"-X", "enable.idempotence=true", "-X", "acks=all", "-X", "linger.ms=5", "-X", "reconnect.backoff.max.ms=100"}
	for _, h := range first.Headers {
		args = append(args, "-H", h.Name+"="+string(h.Value))
	}
	s := &sender{cmd: kcat(args...)}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return s, s.cmd.Start()
}

var answered = regexp.MustCompile(`^(\S+) \[(\d+)\] offset (-?\d+)`)

func times(bootstrap string) error {
	in := lines(os.Stdin)
	for in.Scan() {
		l, err := talk.ParseLookup(in.Text())
		if err != nil {
			return err
		}
		l.Invoked = talk.Now()
		out, err := kcat("-Q", "-b", bootstrap, "-t", fmt.Sprintf("%s:%d:%d", l.Topic, l.Partition, l.Asked)).Output()
		if err != nil {
			return err
		}
		l.Completed = talk.Now()
		found := answered.FindSubmatch(out)
		if found == nil {
			return fmt.Errorf("-Q answered %q", out)
		}
		if l.Offset, err = strconv.ParseInt(string(found[3]), 10, 64); err != nil {
			return err
		}
		fmt.Println(l.String())
	}
	return in.Err()
}

// console asks for the metadata: it is all kcat can ask.
func console(bootstrap, topic string) error {
	out, err := kcat("-L", "-J", "-b", bootstrap, "-t", topic).Output()
	if err != nil {
		return err
	}
	var listed struct {
		Brokers []struct{ ID int32 }
		Topics  []struct {
			Topic      string
			Partitions []struct{ Leader int32 }
		}
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		return err
	}
	if len(listed.Brokers) != 1 || len(listed.Topics) != 1 || listed.Topics[0].Topic != topic || len(listed.Topics[0].Partitions) == 0 {
		return errors.New("metadata: " + string(out))
	}
	fmt.Println("metadata")
	return nil
}
