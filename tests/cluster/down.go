package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

const (
	// downPatience is how long a supervisor gets to take its cluster down.
	downPatience = 30 * time.Second
	goneInterval = 20 * time.Millisecond
)

// down takes a detached cluster down and waits until it is gone. It is no
// error if it is gone already; what a killed supervisor could not clean up
// itself is cleaned up here.
func down(args []string) error {
	flags := flag.NewFlagSet("down", flag.ExitOnError)
	dir := flags.String("dir", "", "`directory` of the cluster")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("down: --dir is needed")
	}
	c, err := load(*dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Supervisor.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := waitGone(c.Supervisor, downPatience); err != nil {
		// Its children die with it.
		if err := c.Supervisor.signal(syscall.SIGKILL); err != nil {
			return err
		}
		if err := waitGone(c.Supervisor, downPatience); err != nil {
			return err
		}
	}
	if c.Tier == tierNode {
		return c.cleanHost()
	}
	return nil
}

func waitGone(p processID, patience time.Duration) error {
	return waitUntil(patience, func() error {
		alive, err := p.alive()
		if err != nil {
			return err
		}
		if alive {
			return fmt.Errorf("process %d still runs", p.PID)
		}
		return nil
	})
}

// waitUntil calls check until it returns nil or the patience is at its end.
func waitUntil(patience time.Duration, check func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(goneInterval)
	}
}
