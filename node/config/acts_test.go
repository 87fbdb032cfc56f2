package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// definition matches a setting that code can read, and its variable.
var definition = regexp.MustCompile(`(?m)^\t(\w+) = \w+\{define\(&Setting\{\n\t\tName: "([^"]+)"`)

// Every setting is read by somebody: what nobody reads would be accepted and
// ignored. Settings of brokers may be read by way of a topic's, and those that
// take only the value false say what is so.
func TestEverySettingActs(t *testing.T) {
	var own, others strings.Builder
	look := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasPrefix(path, "../config/") {
			own.Write(text)
		} else {
			others.Write(text)
		}
		return err
	}
	for _, root := range []string{"..", "../../cmd"} { // log.dirs are the host's to open
		if err := filepath.WalkDir(root, look); err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{}
	for _, m := range definition.FindAllStringSubmatch(own.String(), -1) {
		variables[m[2]+" of "+scopeAt(own.String(), m[0]).String()] = m[1]
	}
	for scope := range scopes {
		for _, s := range Settings(scope) {
			name := variables[s.Name+" of "+scope.String()]
			read := name != "" && (strings.Contains(others.String(), "config."+name+".") ||
				strings.Contains(others.String(), "config."+name+")") || strings.Contains(own.String(), name+".In(") || strings.Contains(own.String(), name+".Has("))
			never := s.Type == TypeBool && s.check != nil && s.check(Value{Number: 1}) != nil
			if !read && !never && !standsIn(s) {
				t.Errorf("%s of a %s: nobody reads it", s.Name, scope)
			}
		}
	}
}

// scopeAt returns the scope in the definition that begins with head.
func scopeAt(text, head string) Scope {
	_, rest, _ := strings.Cut(text, head)
	if strings.HasPrefix(rest, ", Scope: Topic") {
		return Topic
	}
	if strings.HasPrefix(rest, ", Scope: Group") {
		return Group
	}
	return Broker
}

// standsIn reports whether a topic's setting falls back to s.
func standsIn(s *Setting) bool {
	return s.Scope == Broker && slices.ContainsFunc(slices.Concat(registry[Topic], registry[Group]), func(inherits *Setting) bool {
		return slices.Contains(inherits.fallback, s)
	})
}
