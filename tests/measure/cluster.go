package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A bench is what all measurements share: the programs and the samples.
type bench struct {
	options
	samples
	ctx     context.Context
	scratch string
	// Paths of programs.
	oursPath, kubectlPath, clusterPath, clientGoPath string
	// The directory of the container images, for real nodes.
	images string
	// A cluster could not be taken down.
	notDown bool
}

// A failure ends the measuring: measure recovers it. Most lines of a measurement
// are commands that have to succeed, and they stay readable this way.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
}

// measure runs every measurement that was asked for.
func measure(ctx context.Context, o options) (_ samples, err error) {
	defer func() {
		switch failed := recover().(type) {
		case nil:
		case failure:
			err = failed
		default:
			panic(failed)
		}
	}()
	scratch := must(os.MkdirTemp("", "kubectl-stateful-bench."))
	b := &bench{options: o, samples: samples{}, ctx: ctx, scratch: scratch}
	defer func() {
		// A cluster that could not be taken down may have mounts in there.
		if b.notDown {
			say("tests/bench: %s is left as it is", scratch)
		} else {
			_ = os.RemoveAll(scratch)
		}
	}()
	b.build()
	if o.runs > 0 || o.rolls > 0 {
		b.withCluster(o.tier, func(c *cluster) {
			if o.runs > 0 {
				c.measureStartup()
			}
			if o.rolls > 0 {
				c.measureRollouts()
			}
		})
	}
	if o.moves > 0 {
		b.withCluster("node", (*cluster).measureMoves)
	}
	if o.names > 0 {
		b.withCluster("node", (*cluster).measureNames)
	}
	for _, count := range o.orphans {
		b.withCluster("control-plane", func(c *cluster) { c.measureOrphans(count) })
	}
	for _, count := range o.sets {
		b.withCluster("control-plane", func(c *cluster) { c.measureSets(count) })
	}
	return b.samples, nil
}

// --- what is measured ---------------------------------------------------------

func (b *bench) build() {
	say("building")
	b.asUser("cargo", "build", "--release", "--quiet")
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = "target"
	}
	b.oursPath = must(filepath.Abs(filepath.Join(target, "release", "kubectl-stateful")))
	b.clusterPath = filepath.Join(lastLine(b.asUser("tests/cluster/prepare")), "cluster")
	if b.tier == "node" || b.moves > 0 || b.names > 0 {
		b.images = lastLine(b.asUser("tests/apps/prepare"))
	}
	if len(b.orphans) > 0 || len(b.sets) > 0 {
		b.clientGoPath = filepath.Join(b.scratch, "client-go")
		b.asUser("go", "build", "-C", "tests/measure/client-go", "-o", b.clientGoPath, ".")
	}
	b.buildKubectl()
}

// The kubectl inside the cluster program carries all of Kubernetes and starts
// too slowly for a fair comparison.
func (b *bench) buildKubectl() {
	said := b.asUser(b.clusterPath, "kubectl", "version", "--client")
	_, version, found := strings.Cut(said, "Client Version: ")
	if !found {
		check(fmt.Errorf("no version in the output of kubectl version: %s", said))
	}
	version, _, _ = strings.Cut(version, "\n")
	b.kubectlPath = filepath.Join(b.scratch, "kubectl")
	b.asUser("env", "CGO_ENABLED=0", "go", "build", "-C", "tests/cluster",
		"-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion="+version,
		"-o", b.kubectlPath, "k8s.io/kubernetes/cmd/kubectl")
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// --- clusters -----------------------------------------------------------------

// A cluster that is up.
type cluster struct {
	*bench
	dir, kubeconfig, server, home string
}

// withCluster starts a cluster and takes it down again, so that nothing else
// runs during the next measurement.
func (b *bench) withCluster(tier string, measure func(*cluster)) {
	dir := must(os.MkdirTemp(b.scratch, "cluster."))
	defer func() {
		down := exec.Command(b.clusterPath, "down", "--dir", dir) // an interrupt does not end it
		down.Stderr = os.Stderr
		if err := down.Run(); err != nil {
			say("tests/bench: a cluster could not be taken down: %v", err)
			b.notDown = true
		}
	}()
	say("starting a cluster, tier %s", tier)
	args := []string{"up", "--dir", dir, "--tier", tier, "--detach"}
	if tier == "node" {
		args = append(args, "--images", b.images)
	}
	var ready struct{ Kubeconfig, Server string }
	check(json.Unmarshal([]byte(b.asUser(b.clusterPath, args...)), &ready))
	c := &cluster{b, dir, ready.Kubeconfig, ready.Server, filepath.Join(dir, "home")}
	check(os.Mkdir(c.home, 0o700))
	measure(c)
}

// enter creates a namespace; from then on commands run in it.
func (c *cluster) enter(namespace string) {
	c.kubectl("create namespace " + namespace)
	c.kubectl("config set-context --current --namespace " + namespace)
}

// --- commands -----------------------------------------------------------------

// command returns a command that ends in an orderly way at an interrupt.
func (b *bench) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// asUser runs a command in the environment of the user, for its caches, and
// returns its standard output.
func (b *bench) asUser(program string, args ...string) string {
	cmd := b.command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	check(describe(cmd, err, ""))
	return string(out)
}

// command returns a command that sees the cluster and nothing of the user:
// neither settings nor a filled cache.
func (c *cluster) command(program string, args ...string) *exec.Cmd {
	cmd := c.bench.command(program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "HOME="+c.home, "LC_ALL=C")
	return cmd
}

// try runs a command, its standard output to /dev/null unless it goes elsewhere,
// and returns its standard error. That goes to a file: a pipe would make the
// measured program wait for us.
func (c *cluster) try(cmd *exec.Cmd) (string, error) {
	path := filepath.Join(c.scratch, "stderr")
	file := must(os.Create(path))
	defer file.Close()
	cmd.Stderr = file
	err := cmd.Run()
	said := string(must(os.ReadFile(path)))
	return said, describe(cmd, err, said)
}

func (c *cluster) run(cmd *exec.Cmd) string { return must(c.try(cmd)) }

// kubectl runs kubectl with the words of a line, then the arguments.
func (c *cluster) kubectl(line string, args ...string) {
	c.run(c.command(c.kubectlPath, append(strings.Fields(line), args...)...))
}

// ours runs kubectl-stateful with the words of a line, then the arguments, and
// returns what it wrote to standard error.
func (c *cluster) ours(line string, args ...string) string {
	return c.run(c.command(c.oursPath, append(strings.Fields(line), args...)...))
}

// output returns the standard output of a command.
func (c *cluster) output(program, line string, args ...string) string {
	var out strings.Builder
	cmd := c.command(program, append(strings.Fields(line), args...)...)
	cmd.Stdout = &out
	c.run(cmd)
	return out.String()
}

// send passes objects to kubectl create or apply.
func (c *cluster) send(verb, objects string) {
	cmd := c.command(c.kubectlPath, verb, "-f", "-")
	cmd.Stdin = strings.NewReader(objects)
	c.run(cmd)
}

// follow starts kubectl and returns the lines that it prints and what ends it.
func (c *cluster) follow(line string, args ...string) (*bufio.Scanner, func()) {
	cmd := c.command(c.kubectlPath, append(strings.Fields(line), args...)...)
	stdout := must(cmd.StdoutPipe())
	check(cmd.Start())
	return bufio.NewScanner(stdout), func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it fails, because it was told to end
	}
}

func describe(cmd *exec.Cmd, err error, said string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said)
}

// timed returns the milliseconds that an act takes.
func timed(act func()) float64 {
	start := time.Now()
	act()
	return float64(time.Since(start)) / float64(time.Millisecond)
}

// until waits for a condition.
func (b *bench) until(what string, patience, interval time.Duration, holds func() bool) {
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(interval) {
		check(b.ctx.Err())
		if time.Now().After(deadline) {
			check(errors.New("waited " + patience.String() + " in vain: " + what))
		}
	}
}

// inTurns runs all ways so often, each time in another order.
func inTurns(turns int, ways ...func()) {
	for turn := range turns {
		for place := range ways {
			ways[(turn+place)%len(ways)]()
		}
	}
}
