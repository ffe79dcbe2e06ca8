// Command pause holds the namespaces of a pod, like the program of the same
// name in Kubernetes' build/pause: it sleeps until it is told to end and reaps
// what the pod's containers leave behind. It is a program of its own because
// every pod runs one, and package initialization alone would make the cluster
// binary several times as large in memory.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for sig := range signals {
		if sig != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break // none left that has ended
			}
		}
	}
}
