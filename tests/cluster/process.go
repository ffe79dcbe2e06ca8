package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// processID names a process for good: a number alone may be another process's
// by the time it is used.
type processID struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks since the machine did.
	Start uint64 `json:"start"`
}

func identify(pid int) (processID, error) {
	start, err := startTime(pid)
	return processID{pid, start}, err
}

// alive says whether the process still runs; one that only waits to be reaped
// does not.
func (p processID) alive() (bool, error) {
	if p.PID == 0 {
		return false, nil
	}
	start, err := startTime(p.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	return err == nil && start == p.Start, err
}

// signal sends a signal if the process still runs.
func (p processID) signal(sig syscall.Signal) error {
	alive, err := p.alive()
	if err != nil || !alive {
		return err
	}
	if err := syscall.Kill(p.PID, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// startTime is 0 for a process that waits to be reaped.
func startTime(pid int) (uint64, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may itself
	// contain spaces and parentheses.
	_, rest, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	const state, start = 3 - 3, 22 - 3 // see proc(5); counted from the third
	if !found || len(fields) <= start {
		return 0, fmt.Errorf("%s: %q", path, stat)
	}
	if fields[state][0] == 'Z' {
		return 0, nil
	}
	return strconv.ParseUint(string(fields[start]), 10, 64)
}
