package archtest

// A Ban keeps deterministic code from what a World offers in its own way.
type Ban struct {
	Package string   // import path; it covers the packages below it
	Names   []string // nil bans all of it
	Except  []string // names that are free
	Advice  string
}

// Bans lists what only real code may use. Where two cover a package the first
// counts.
var Bans = []Ban{
	{Package: "testing", Advice: "checks return errors, so that any program can run them"},
	{Package: "time",
		Names: []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick",
			"NewTimer", "NewTicker", "Timer", "Ticker", "Local", "LoadLocation"},
		Advice: "use World.Now, World.Wall, World.Sleep and deadlines"},
	{Package: "math/rand/v2",
		Except: []string{"Rand", "New", "NewPCG", "NewChaCha8", "NewZipf", "Source", "PCG", "ChaCha8", "Zipf"},
		Advice: "use a stream of World.Rand: the global one cannot be repeated"},
	{Package: "math/rand", Advice: "use a stream of World.Rand"},
	{Package: "crypto/rand", Advice: "use World.Secret"},
	{Package: "hash/maphash", Advice: "its seed differs from process to process: use hash/fnv or hash/crc32"},
	{Package: "os", Advice: "use World.LogDirs; signals, arguments and environment are cmd's"},
	{Package: "net", Advice: "use World.Net"},
	{Package: "syscall", Advice: "only node/osenv makes system calls"},
	{Package: "golang.org/x/sys", Advice: "only node/osenv makes system calls"},
	{Package: "sync", Advice: "one task runs at a time: use World.NewCond, env.Turn, env.Mailbox or nothing"},
	{Package: "unsafe", Advice: "addresses differ from run to run"},
	{Package: "runtime/debug", Except: []string{"Stack"}, Advice: "what the runtime does differs from run to run"},
	{Package: "runtime", Except: []string{"Error"}, Advice: "what the runtime does differs from run to run"},
	{Package: "context",
		Names:  []string{"WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause", "AfterFunc"},
		Advice: "deadlines are kafka.Instant, and Task.Cancel cancels"},
	{Package: "log/slog",
		Names:  []string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "Default", "SetDefault", "With"},
		Advice: "use World.Log: the default logger is the process's"},
	{Package: "log", Advice: "use World.Log"},
	{Package: "fmt", Names: []string{"Print", "Printf", "Println"}, Advice: "only cmd writes to standard output"},
}

// mapOrder lists the functions of package maps that show a map's order.
var mapOrder = []string{"Keys", "Values", "All"}

// sorters lists the functions of package slices that take such an order away.
var sorters = []string{"Sorted", "SortedFunc", "SortedStableFunc"}
