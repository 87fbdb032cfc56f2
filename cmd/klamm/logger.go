package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/klammlog/klamm/node/osenv"
)

func checkLogLevel(level string) error {
	if err := new(slog.Level).UnmarshalText([]byte(level)); err != nil {
		return usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", level))
	}
	return nil
}

// newLogger returns a logger that writes lines of text.
func newLogger(out io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l}))
}

// crashed ends the process because a task panicked: what it left behind cannot
// be trusted.
func crashed(p osenv.Panic) {
	fmt.Fprintln(os.Stderr, p)
	os.Exit(exitInternal)
}
