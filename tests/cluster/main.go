// Command cluster starts a real Kubernetes for tests: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, with either fake nodes or a real
// one (kubelet, containerd, kube-proxy, CoreDNS), and takes it down again
// without leaving anything behind. See README.md.
//
// It is one binary with every part in it. A part is run by giving its name as
// first argument or as the name the binary is called by.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// commands are what a person or a test calls.
var commands = map[string]func(args []string) error{
	"up":     up,
	"down":   down,
	"ctl":    ctl,
	"user":   user,
	"images": images,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, ok := parts[name]; !ok && len(os.Args) > 1 {
		name = os.Args[1]
		// The parts read os.Args themselves, as in their own binaries.
		os.Args = os.Args[1:]
	}
	if run, ok := parts[name]; ok {
		run()
		return
	}
	if name == initPart {
		exit(runInit())
	}
	if run, ok := commands[name]; ok {
		exit(run(os.Args[1:]))
	}
	fmt.Fprintf(os.Stderr, "usage: cluster COMMAND|PART [ARGUMENT]...\ncommands: %s\nparts: %s\n",
		strings.Join(sortedNames(commands), " "), strings.Join(sortedNames(parts), " "))
	os.Exit(2)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
