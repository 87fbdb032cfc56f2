package quorum

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/internal/assert"
)

// A logger takes raft's own lines. Raft speaks of every vote and configuration:
// here that is for those who debug, and what it warns of is for everybody. What
// raft calls a panic is an assertion.
//
// The text of a protocol buffer differs from build to build, on purpose, and log
// lines enter the simulator's hash chain: messages are logged as their size.
type logger struct{ log *slog.Logger }

func (l logger) Debug(v ...any)              { l.print(slog.LevelDebug, v) }
func (l logger) Debugf(f string, v ...any)   { l.printf(slog.LevelDebug, f, v) }
func (l logger) Info(v ...any)               { l.print(slog.LevelDebug, v) }
func (l logger) Infof(f string, v ...any)    { l.printf(slog.LevelDebug, f, v) }
func (l logger) Warning(v ...any)            { l.print(slog.LevelWarn, v) }
func (l logger) Warningf(f string, v ...any) { l.printf(slog.LevelWarn, f, v) }
func (l logger) Error(v ...any)              { l.print(slog.LevelError, v) }
func (l logger) Errorf(f string, v ...any)   { l.printf(slog.LevelError, f, v) }
func (l logger) Fatal(v ...any)              { l.Panic(v...) }
func (l logger) Fatalf(f string, v ...any)   { l.Panicf(f, v...) }
func (l logger) Panic(v ...any)              { assert.That(false, "raft: %s", fmt.Sprint(plain(v)...)) }
func (l logger) Panicf(f string, v ...any)   { assert.That(false, "raft: "+f, plain(v)...) }

func (l logger) print(level slog.Level, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft: "+fmt.Sprint(plain(v)...))
	}
}

func (l logger) printf(level slog.Level, f string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft: "+fmt.Sprintf(f, plain(v)...))
	}
}

// plain returns arguments in which what has no text of its own that is the same
// in every build is replaced.
func plain(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		if m, ok := a.(proto.Message); ok {
			a = fmt.Sprintf("%s of %d bytes", m.ProtoReflect().Descriptor().Name(), proto.Size(m))
		}
		out[i] = a
	}
	return out
}
