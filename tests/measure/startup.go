package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// measureStartup compares status and the commands that need no server with
// those of kubectl.
func (c *cluster) measureStartup() {
	c.kubectl("apply -f tests/apps/nginx.yaml")
	c.kubectl("rollout status statefulset/web --timeout=120s")
	commands := []struct {
		series  string
		program string
		args    []string
	}{
		{"help", c.oursPath, []string{"--help"}},
		{"version", c.oursPath, []string{"version"}},
		{"status", c.oursPath, []string{"status", "web"}},
		{"kubectl version", c.kubectlPath, []string{"version", "--client"}},
		{"kubectl get", c.kubectlPath, []string{"get", "sts", "web", "-o", "yaml"}},
	}
	for _, one := range commands {
		c.run(c.command(one.program, one.args...))
	}
	say("%d turns of %d commands, twice", c.runs, len(commands))
	for range c.runs {
		for _, one := range commands {
			c.add(one.series+": wall", timed(func() { c.run(c.command(one.program, one.args...)) }))
		}
	}
	for range c.runs {
		for _, one := range commands {
			memory, err := c.peakMemory(one.program, one.args...)
			check(err)
			c.add(one.series+": memory", memory)
		}
	}
	for _, one := range commands {
		said := c.run(c.command(one.program, append(slices.Clone(one.args), "-v=6")...))
		c.add(one.series+": requests", float64(len(c.requests(said))))
	}
}

// peakMemory runs a command under GNU time and returns its maximum resident set
// in MiB. The figure of our own wait4 would be wrong: Linux counts the memory of
// the forking process as that of its child, and this program is larger than some
// that it measures.
func (c *cluster) peakMemory(program string, args ...string) (float64, error) {
	path := filepath.Join(c.scratch, "memory")
	_, err := c.try(c.command("/usr/bin/time", append([]string{"--format=%M", "--output=" + path, program}, args...)...))
	// GNU time mentions an exit code above 0 in a line of its own, first.
	kibibytes := must(strconv.ParseFloat(lastLine(string(must(os.ReadFile(path)))), 64))
	return kibibytes / 1024, err
}

// requests returns the requests in the output of -v=6: the lines that name the
// server. A test of tier 2 makes sure that ours prints them the same way.
func (c *cluster) requests(said string) []string {
	return slices.DeleteFunc(strings.Split(said, "\n"), func(line string) bool {
		return !strings.Contains(line, c.server+"/")
	})
}
