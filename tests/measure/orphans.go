package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

func orphansSeries(command string, count int) string {
	return fmt.Sprintf("%s, %d", command, count)
}

// measureOrphans compares orphans -A with client-go and kubectl at so many
// claims and pods.
func (c *cluster) measureOrphans(count int) {
	// What would change or delete the objects.
	for _, part := range []string{"kube-scheduler", "kwok", "kube-controller-manager", "provisioner"} {
		c.asUser(c.clusterPath, "ctl", "--dir", c.dir, "stop", part)
	}
	say("creating %d claims and %d pods", count, count)
	c.run(c.command(c.clientGoPath, "seed", strconv.Itoa(count)))
	c.agree()
	commands := []struct {
		series  string
		program string
		args    []string
		turns   int
	}{
		{"orphans", c.oursPath, []string{"orphans", "-A", "-o", "json"}, 7},
		{"client-go", c.clientGoPath, []string{"join"}, 7},
		{"kubectl get pvc", c.kubectlPath, []string{"get", "pvc", "-A"}, 3},
	}
	for turn := range 1 + 7 {
		for _, one := range commands {
			if turn > one.turns {
				continue
			}
			var memory float64
			wall := timed(func() {
				var err error
				memory, err = c.peakMemory(one.program, one.args...)
				check(unlessIncomplete(err))
			})
			if turn > 0 { // the first one warms up
				series := orphansSeries(one.series, count)
				c.add(series+": wall", wall)
				c.add(series+": memory", memory)
			}
		}
	}
}

// agree compares how many claims ours and client-go find unused.
func (c *cluster) agree() {
	var found strings.Builder
	ours := c.command(c.oursPath, "orphans", "-A", "-o", "json")
	ours.Stdout = &found
	_, err := c.try(ours)
	check(unlessIncomplete(err))
	unused := strings.Count(found.String(), `"orphan": true`)
	joined := c.output(c.clientGoPath, "join")
	if !strings.HasPrefix(joined, fmt.Sprintf("%d of ", unused)) {
		check(fmt.Errorf("orphans finds %d unused claims, client-go %s", unused, joined))
	}
}

// unlessIncomplete ignores exit code 8: not everything could be read.
func unlessIncomplete(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 8 {
		return nil
	}
	return err
}
