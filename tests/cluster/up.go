package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// up starts a cluster and stays until it is told to end, and the cluster with it.
func up(args []string) error {
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	dir := flags.String("dir", "", "`directory` for everything the cluster writes")
	tier := flags.String("tier", tierControlPlane, `"control-plane": fake nodes; "node": a real one, needs root`)
	images := flags.String("images", "", "OCI layout `directory` with the images the node may pull")
	domain := flags.String("cluster-domain", "cluster.local", "DNS `domain` of the cluster")
	nodes := flags.Int("fake-nodes", 0, "`number` of nodes played by kwok (default 2 on the control-plane tier, 1 on the node tier)")
	detach := flags.Bool("detach", false, "return when the cluster is ready; cluster down ends it")
	ignoreStdin := flags.Bool("ignore-stdin", false, "do not end when standard input does")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() > 0 {
		flags.Usage()
		os.Exit(2)
	}

	c := &cluster{Tier: *tier, ClusterDomain: *domain, FakeNodes: *nodes}
	switch {
	case c.Tier == tierControlPlane && c.FakeNodes == 0:
		c.FakeNodes = 2
	case c.Tier == tierNode && c.FakeNodes == 0:
		c.FakeNodes = 1
	case c.Tier != tierControlPlane && c.Tier != tierNode:
		return fmt.Errorf("unknown tier %q", c.Tier)
	}
	if c.FakeNodes < 0 || c.FakeNodes > maxFakeNodes {
		return fmt.Errorf("--fake-nodes can be at most %d", maxFakeNodes)
	}
	var err error
	if c.Dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	if *images != "" {
		layout, err := filepath.Abs(*images)
		if err != nil {
			return err
		}
		c.Images = append(c.Images, layout)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	if *detach {
		return upDetached(c.Dir, args)
	}

	if err := errors.Join(forgetProxies(), spareCollections()); err != nil {
		return err
	}
	// The kernel ends the node tier when this thread ends (see launcher).
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if !*ignoreStdin {
		ctx = untilEOF(ctx, os.Stdin)
	}
	unlock, err := lockDir(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.clean(); err != nil {
		return err
	}
	if c.Supervisor, err = identify(os.Getpid()); err != nil {
		return err
	}
	if c.Tier == tierNode {
		return c.runNode(ctx)
	}
	return c.runControlPlane(ctx)
}

// runControlPlane runs a cluster whose nodes are fake until the context is done.
func (c *cluster) runControlPlane(ctx context.Context) (err error) {
	clock := newStopwatch()
	base, guard, err := reservePorts()
	if err != nil {
		return err
	}
	defer guard.Close()
	c.Address, c.BasePort = "127.0.0.1", base
	if err := c.save(); err != nil {
		return err
	}
	s := newSupervisor(c.path("log"))
	defer func() { err = errors.Join(err, s.killAll()) }()

	client, wait, err := c.startControlPlane(ctx, s, clock)
	if err != nil {
		return err
	}
	if err := c.startKwok(ctx, s, client); err != nil {
		return err
	}
	if err := c.startDNS(s); err != nil {
		return err
	}
	if err := wait(); err != nil {
		return err
	}
	for _, name := range append(c.fakeNodes(), "coredns") {
		if err := s.ready(ctx, name); err != nil {
			return err
		}
	}
	if err := s.until(ctx, client.nodesReady(c.fakeNodes()...)); err != nil {
		return err
	}
	clock.lap("nodes")
	if err := c.linkKubectl(); err != nil {
		return err
	}
	if err := s.serveCtl(ctx, c.Dir); err != nil {
		return err
	}
	s.running()
	if err := c.announce(os.Stdout); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// forgetProxies keeps a proxy for the internet out of the parts' environment.
// They talk to each other only, at addresses that no proxy can reach.
func forgetProxies() error {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasSuffix(strings.ToLower(name), "_proxy") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// spareCollections lets the parts collect garbage less often than Go would by
// itself: a small machine that runs them all has more memory to spare than
// processor time. The limit holds each part to its share; whoever starts us
// may say otherwise.
func spareCollections() error {
	for name, value := range map[string]string{"GOGC": "400", "GOMEMLIMIT": "1GiB"} {
		if _, said := os.LookupEnv(name); said {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// linkKubectl makes DIR/bin/kubectl, so that tests have a kubectl of the
// cluster's version.
func (c *cluster) linkKubectl() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Symlink(self, c.path("bin", "kubectl"))
}

// announce tells whoever started the cluster that it is ready, on one line.
func (c *cluster) announce(w io.Writer) error {
	return json.NewEncoder(w).Encode(c.announcement())
}

// upDetached starts "cluster up" in the background and returns when the
// cluster is ready.
func upDetached(dir string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logName := filepath.Join(dir, "supervisor.log")
	log, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer log.Close()
	// The last of several flags counts.
	cmd := exec.Command(self, slices.Concat([]string{"up"}, args, []string{"--detach=false", "--ignore-stdin"})...)
	cmd.Stderr = log
	// Neither a signal from the terminal nor its end reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	messages, err := os.ReadFile(logName)
	if err != nil {
		return err
	}
	if _, err := os.Stderr.Write(messages); err != nil {
		return err
	}
	if readErr != nil {
		return fmt.Errorf("the cluster does not start: %w", errors.Join(readErr, cmd.Wait()))
	}
	if _, err := os.Stdout.WriteString(line); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// untilEOF gives a context that is done when the file ends. A test holds the
// other end of the pipe: if it dies, however it does, the cluster goes too.
func untilEOF(ctx context.Context, file *os.File) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		if _, err := io.Copy(io.Discard, file); err != nil {
			fmt.Fprintln(os.Stderr, "cluster: standard input:", err)
		}
	}()
	return ctx
}

// lockDir makes sure that a directory has one cluster at a time. The lock is
// gone when this process is, so it also tells whether the cluster still runs.
func lockDir(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("a cluster runs in %s already", dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { file.Close() }, nil
}
