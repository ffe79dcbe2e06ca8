package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestProcessID(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := self.alive(); !alive || err != nil {
		t.Errorf("this process: %v, %v", alive, err)
	}
	earlier := processID{self.PID, self.Start - 1}
	if alive, err := earlier.alive(); alive || err != nil {
		t.Errorf("an earlier process of the same number: %v, %v", alive, err)
	}
	if alive, err := (processID{}).alive(); alive || err != nil {
		t.Errorf("no process: %v, %v", alive, err)
	}
}

func TestKilledProcessIsGoneBeforeItIsReaped(t *testing.T) {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := p.alive(); !alive || err != nil {
		t.Errorf("running: %v, %v", alive, err)
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := waitGone(p, 10*time.Second); err != nil {
		t.Error(err)
	}
}
