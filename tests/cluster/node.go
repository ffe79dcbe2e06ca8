package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

const (
	nodeName = "node-a"

	// initPart is the name of the program that runs as first process of the
	// node tier's namespaces.
	initPart = "cluster-init"

	// hostPatience is how long the kernel may take to end a namespace.
	hostPatience = 10 * time.Second
)

// runNode runs a cluster with a real node until the context is done. The
// cluster is in namespaces of its own; this process stays outside, so that
// there is somebody to clean up what no namespace takes along: the cgroups.
func (c *cluster) runNode(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the node tier needs root")
	}
	if err := sweepCgroups(); err != nil {
		return err
	}
	if err := c.addBuiltinImages(); err != nil {
		return err
	}
	c.BasePort = nodeTierBasePort
	c.Cgroup = cgroupName(c.Supervisor)
	if err := c.save(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.cleanHost()) }()
	if err := makeCgroup(c.Cgroup); err != nil {
		return err
	}

	init, instructions, answer, err := startInit()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- init.Wait() }()
	defer func() {
		// Takes everything in the namespaces along.
		if killErr := init.Process.Kill(); killErr != nil && !errors.Is(killErr, os.ErrProcessDone) {
			err = errors.Join(err, killErr)
			return
		}
		<-ended
	}()

	network, err := connectHost(init.Process.Pid, c.Cgroup)
	if err != nil {
		return err
	}
	c.Address, c.Interface = network.clusterAddress(), network.hostLink()
	if c.Init, err = identify(init.Process.Pid); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	if err := json.NewEncoder(instructions).Encode(c); err != nil {
		return err
	}
	if err := instructions.Close(); err != nil {
		return err
	}

	ready := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(answer).ReadString('\n')
		ready <- err
	}()
	select {
	case err := <-ready:
		if err != nil {
			return errors.New("the cluster did not start")
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.reachable(ctx); err != nil {
		return err
	}
	if err := c.announce(os.Stdout); err != nil {
		return err
	}
	select {
	case err := <-ended:
		ended <- nil // for the deferred function
		return fmt.Errorf("the cluster's first process ended: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// startInit starts this program again as the first process of new namespaces.
// It gets its instructions through the first pipe and answers through the
// second when the cluster is ready.
func startInit() (init *exec.Cmd, instructions, answer *os.File, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	instructionsIn, instructions, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	defer instructionsIn.Close()
	answer, answerOut, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	defer answerOut.Close()
	init = exec.Command(self)
	init.Args = []string{initPart}
	init.Stderr = os.Stderr
	init.ExtraFiles = []*os.File{instructionsIn, answerOut}
	init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: nodeNamespaces,
		// Whatever becomes of this process, the cluster does not outlive it.
		Pdeathsig: syscall.SIGKILL,
		// A Ctrl-C in the terminal is for this process alone.
		Setpgid: true,
	}
	return init, instructions, answer, init.Start()
}

// addBuiltinImages adds the layout with the images of pause and CoreDNS: the
// one beside the binaries, or one made now.
func (c *cluster) addBuiltinImages() error {
	layout, err := sibling(builtinImages)
	if err != nil {
		layout = c.path("images")
		if err := images([]string{"--out", layout}); err != nil {
			return err
		}
	}
	c.Images = append([]string{layout}, c.Images...)
	return nil
}

// reachable makes sure that the API can be reached from the host.
func (c *cluster) reachable(ctx context.Context) error {
	admin, err := loadKubeconfig(c.kubeconfig())
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(admin)
	if err != nil {
		return err
	}
	return httpHealth(client, c.server()+"/readyz")(ctx)
}

// cleanHost removes what is left of the cluster on the host when its first
// process is dead, and with it all others are or are about to be.
func (c *cluster) cleanHost() error {
	if err := waitGone(c.Init, hostPatience); err != nil {
		return err
	}
	var err error
	if c.Interface != "" {
		err = disconnectHost(c.Interface, c.Cgroup)
	}
	return errors.Join(err, removeCgroup(c.Cgroup))
}

// runInit is the first process of the namespaces. It starts the cluster and
// then stays to look after the processes; it ends only by being killed.
func runInit() error {
	instructions, answer := os.NewFile(3, "instructions"), os.NewFile(4, "answer")
	var c cluster
	// Blocks until the host's side is done with the network.
	if err := json.NewDecoder(instructions).Decode(&c); err != nil {
		return err
	}
	if err := instructions.Close(); err != nil {
		return err
	}
	if err := c.enterNamespaces(); err != nil {
		return err
	}
	if err := c.startNode(context.Background()); err != nil {
		return err
	}
	if err := c.announce(answer); err != nil {
		return err
	}
	if err := answer.Close(); err != nil {
		return err
	}
	select {}
}

// startNode starts all parts of a cluster with a real node and returns when
// the node and DNS are ready.
func (c *cluster) startNode(ctx context.Context) error {
	clock := newStopwatch()
	// Debian keeps iptables in a directory that users do not have in PATH.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin"); err != nil {
		return err
	}
	s := newSupervisor(c.path("log"))
	if err := c.serveImages(); err != nil {
		return err
	}
	containerd, err := c.containerd()
	if err != nil {
		return err
	}
	if err := s.start(containerd); err != nil {
		return err
	}
	client, wait, err := c.startControlPlane(ctx, s, clock)
	if err != nil {
		return err
	}
	kubelet, err := c.kubelet()
	if err != nil {
		return err
	}
	proxy, err := c.kubeProxy()
	if err != nil {
		return err
	}
	for _, p := range []part{kubelet, proxy} {
		if err := s.start(p); err != nil {
			return err
		}
	}
	if err := client.create(ctx, c.dnsObjects()); err != nil {
		return err
	}
	if err := c.startKwok(ctx, s, client); err != nil {
		return err
	}
	if err := wait(); err != nil {
		return err
	}
	nodes := append(c.fakeNodes(), nodeName)
	if err := s.until(ctx, client.nodesReady(nodes...)); err != nil {
		return err
	}
	clock.lap("nodes")
	for _, p := range []part{kubelet, proxy} {
		if err := s.ready(ctx, p.name); err != nil {
			return err
		}
	}
	if err := s.until(ctx, client.deploymentReady("kube-system", "coredns")); err != nil {
		return err
	}
	clock.lap("coredns")
	if err := c.linkKubectl(); err != nil {
		return err
	}
	if err := s.serveCtl(ctx, c.Dir); err != nil {
		return err
	}
	s.running()
	return nil
}

// serveImages starts the registry that containerd pulls every image from.
func (c *cluster) serveImages() error {
	listener, err := net.Listen("tcp", c.local(portRegistry))
	if err != nil {
		return err
	}
	go func() {
		fmt.Fprintln(os.Stderr, "cluster: registry:", http.Serve(listener, newLayouts(c.Images)))
	}()
	return nil
}
