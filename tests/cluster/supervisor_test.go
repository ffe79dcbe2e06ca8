package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell is a part that runs a script.
func shell(name, script string) part {
	return part{name: name, program: "sh", args: []string{"-c", script}}
}

// All in one test: a supervisor reaps every child of the process, so there can
// be only one.
func TestSupervisor(t *testing.T) {
	dir := t.TempDir()
	s := newSupervisor(dir)
	t.Cleanup(func() {
		if err := s.killAll(); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()

	// A part that dies ends the start of the cluster, and its log says why.
	broken := shell("broken", "echo what is wrong; exit 3")
	broken.healthy = func(context.Context) error { return errors.New("not healthy") }
	if err := s.start(broken); err != nil {
		t.Fatal(err)
	}
	err := s.ready(ctx, "broken")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "what is wrong") {
		t.Errorf("error is: %v", err)
	}

	runs := filepath.Join(dir, "runs")
	count := func() int {
		data, err := os.ReadFile(runs)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Count(string(data), "\n")
	}
	await := func(want int) {
		t.Helper()
		err := waitUntil(10*time.Second, func() error {
			if got := count(); got != want {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%d runs, want %d", count(), want)
		}
	}
	worker := shell("worker", "echo >> '"+runs+"'; exec sleep 1000")
	worker.healthy = func(context.Context) error {
		if count() == 0 {
			return errors.New("has not run")
		}
		return nil
	}
	if err := s.start(worker); err != nil {
		t.Fatal(err)
	}
	if err := s.ready(ctx, "worker"); err != nil {
		t.Fatal(err)
	}
	s.running()

	processes, err := s.matching("worker")
	if err != nil {
		t.Fatal(err)
	}
	proc := processes[0]
	pid := func() processID {
		s.mu.Lock()
		defer s.mu.Unlock()
		p, err := identify(proc.pid)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	// One that dies by itself comes back.
	if err := pid().signal(9); err != nil {
		t.Fatal(err)
	}
	await(2)

	// One that is stopped does not, until it is started.
	stopped := pid()
	for _, verb := range []string{"kill", "stop"} {
		if err := s.control(ctx, verb, "worker"); err != nil {
			t.Fatal(err)
		}
	}
	if alive, err := stopped.alive(); alive || err != nil {
		t.Errorf("stopped, but alive: %v, %v", alive, err)
	}
	if err := s.control(ctx, "start", "worker"); err != nil {
		t.Fatal(err)
	}
	await(3)
	if err := s.control(ctx, "restart", "worker"); err != nil {
		t.Fatal(err)
	}
	await(4)

	for _, request := range [][2]string{{"stop", "nothing"}, {"paint", "worker"}} {
		if err := s.control(ctx, request[0], request[1]); err == nil {
			t.Errorf("%q: no error", request)
		}
	}
}
