// Command klamm runs nodes, runs simulations, and talks to clusters.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})) }
