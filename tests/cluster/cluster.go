package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

const (
	tierControlPlane = "control-plane"
	tierNode         = "node"

	serviceNetwork = "10.96.0.0/16"
	// Services of a second family can be made where nobody has to reach them.
	secondServiceNetwork = "fd00:96::/108"
	kubernetesIP         = "10.96.0.1" // the first address, always that of the API
	dnsIP                = "10.96.0.10"

	// fakePodNetwork is where the fake node with a number takes the addresses
	// of its pods from, and fakeNodeIP its own address. Nothing is there.
	fakePodNetwork = "10.64.%d.1/24"
	fakeNodeIP     = "10.63.0.%d"
)

// cluster describes one cluster. It is kept in DIR/cluster.json, for the
// commands that come after up.
type cluster struct {
	Dir           string `json:"dir"`
	Tier          string `json:"tier"`
	ClusterDomain string `json:"clusterDomain"`
	// Images are the OCI layouts that the node's containerd pulls from.
	Images []string `json:"images,omitempty"`
	// FakeNodes is the number of nodes that kwok plays.
	FakeNodes int `json:"fakeNodes"`
	// Address is where kube-apiserver is reached from the host.
	Address string `json:"address"`
	// BasePort is the first of the block of ports that the parts listen on.
	BasePort int `json:"basePort"`

	// Supervisor is the process to end when the cluster is to go, Init the
	// first process of the node tier's namespaces.
	Supervisor processID `json:"supervisor"`
	Init       processID `json:"init,omitzero"`
	// Cgroup and Interface are what the node tier has outside of its namespaces.
	Cgroup    string `json:"cgroup,omitempty"`
	Interface string `json:"interface,omitempty"`
}

// announcement is what up prints when the cluster is ready.
type announcement struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	Dir        string `json:"dir"`
	Tier       string `json:"tier"`
	Kubectl    string `json:"kubectl"`
	AdminToken string `json:"adminToken"`
	Volumes    string `json:"volumes"`
	Logs       string `json:"logs"`
	// DNS is the address of CoreDNS on the control-plane tier, where no
	// Service leads to it.
	DNS string `json:"dns,omitempty"`
}

func (c *cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.Dir}, elements...)...)
}

func (c *cluster) server() string {
	return "https://" + net.JoinHostPort(c.Address, strconv.Itoa(c.port(portAPIServer)))
}

func (c *cluster) kubeconfig() string { return c.path("kubeconfig") }

// identity is the kubeconfig of one of the cluster's own parts.
func (c *cluster) identity(name string) string { return c.path("identities", name+".kubeconfig") }

func (c *cluster) pki(name string) string { return c.path("pki", name) }

func (c *cluster) announcement() announcement {
	a := announcement{
		Kubeconfig: c.kubeconfig(),
		Server:     c.server(),
		Dir:        c.Dir,
		Tier:       c.Tier,
		Kubectl:    c.path("bin", "kubectl"),
		AdminToken: c.path("admin.token"),
		Volumes:    c.path("volumes"),
		Logs:       c.path("log"),
	}
	if c.Tier == tierControlPlane {
		a.DNS = net.JoinHostPort(c.Address, strconv.Itoa(c.port(portDNS)))
	}
	return a
}

func (c *cluster) save() error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	// Renamed into place, so that a reader never sees half of it.
	tmp := c.path(".cluster.json")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, c.path("cluster.json"))
}

// load reads the description of the cluster in a directory. The error is
// fs.ErrNotExist if there never was one.
func load(dir string) (*cluster, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err != nil {
		return nil, err
	}
	var c cluster
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "cluster.json"), err)
	}
	return &c, nil
}

// clean removes what an earlier cluster left in the directory and makes the
// directories of a new one.
func (c *cluster) clean() error {
	earlier, err := load(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		// Nothing is deleted that no cluster of ours has made.
		return c.makeDirs()
	}
	if err != nil {
		return err
	}
	if earlier.Tier == tierNode {
		// Its supervisor may have been killed before it could do this.
		if err := earlier.cleanHost(); err != nil {
			return err
		}
	}
	for _, name := range []string{
		"admin.token", "bin", "config", "containerd", "ctl.sock", "etcd", "identities", "images",
		"kubeconfig", "kubelet", "log", "pki", "pod-logs", "volumes", "cluster.json",
	} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return err
		}
	}
	return c.makeDirs()
}

func (c *cluster) makeDirs() error {
	for _, name := range []string{"bin", "config", "identities", "log", "pki", "volumes"} {
		if err := os.MkdirAll(c.path(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}
