package main

import (
	"fmt"
	"os"
	"time"
)

// stopwatch reports on standard error how far the start has come.
type stopwatch struct{ start time.Time }

func newStopwatch() *stopwatch { return &stopwatch{time.Now()} }

func (w *stopwatch) lap(what string) {
	fmt.Fprintf(os.Stderr, "cluster: %6.2f s  %s\n", time.Since(w.start).Seconds(), what)
}
