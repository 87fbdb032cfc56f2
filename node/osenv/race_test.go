//go:build race

package osenv_test

const raceEnabled = true
