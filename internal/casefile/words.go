package casefile

import (
	"regexp"
	"strings"
)

// What YAML's decoder says of Go's types, and how a person says it.
var (
	ofType     = regexp.MustCompile(`field (\S+) not found in type [^\s;]+`)
	unsuitable = regexp.MustCompile("cannot unmarshal (!!\\S+) (?:`(.*?)` )?into ([^\\s;]+)")
)

// wanted is what may stand where a value of a type of Go is read.
var wanted = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0 to 18446744073709551615", "string": "text", "bool": "true or false",
	"[]string": "a list of texts", "time.Duration": "a time such as 5m",
}

// oneLine says in one line what the decoder complains of, without the names of Go.
func oneLine(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", ";")), " ")
	text = ofType.ReplaceAllString(text, "there is no key $1")
	return unsuitable.ReplaceAllStringFunc(text, func(s string) string {
		m := unsuitable.FindStringSubmatch(s)
		want, ok := wanted[m[3]]
		if !ok {
			want = "keys with values"
		}
		switch {
		case m[2] != "":
			return "want " + want + ", not " + m[2]
		case m[1] == "!!seq":
			return "want " + want + ", not a list"
		case m[1] == "!!map":
			return "want " + want + ", not keys with values"
		}
		return "want " + want
	})
}
