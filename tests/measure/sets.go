package main

import (
	"fmt"
	"strconv"
	"strings"
)

// How many pods client-go gives each set.
const podsOfASet = 10

func setsSeries(command string, count int) string {
	return fmt.Sprintf("%s, %d sets", command, count)
}

// measureSets compares status -A with kubectl at so many sets.
func (c *cluster) measureSets(count int) {
	// What would change or delete the objects.
	for _, part := range []string{"kube-scheduler", "kwok", "kube-controller-manager", "provisioner"} {
		c.asUser(c.clusterPath, "ctl", "--dir", c.dir, "stop", part)
	}
	say("creating %d sets and %d pods", count, count*podsOfASet)
	c.run(c.command(c.clientGoPath, "seed-sets", strconv.Itoa(count)))
	said := c.output(c.oursPath, "status", "-A")
	if !strings.Contains(said, fmt.Sprintf("%d StatefulSets in all namespaces: ", count)) {
		check(fmt.Errorf("status -A does not know of %d sets", count))
	}
	commands := []struct {
		series  string
		program string
		args    []string
		turns   int
	}{
		{"status", c.oursPath, []string{"status", "-A"}, 7},
		{"kubectl get sts", c.kubectlPath, []string{"get", "sts", "-A"}, 3},
		{"kubectl get pods", c.kubectlPath, []string{"get", "pods", "-A"}, 3},
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
				series := setsSeries(one.series, count)
				c.add(series+": wall", wall)
				c.add(series+": memory", memory)
			}
		}
	}
}
