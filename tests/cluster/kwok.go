package main

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	// kwokPart is the name of the program and, for "cluster ctl", of all
	// fake nodes together.
	kwokPart = "kwok"

	// nodeLeaseSeconds makes kubelets and kwok renew a node's lease every
	// second: both do it four times in the lease's life. It has to be well
	// below the controller manager's --node-monitor-grace-period.
	nodeLeaseSeconds = 4
)

// podStages say how kwok moves pods through their lives.
//
//go:embed manifests/stages.yaml
var podStages string

// fakeNode is the name of the fake node with this number, and of the part that
// plays it.
func fakeNode(i int) string { return fmt.Sprintf("%s-%d", kwokPart, i) }

func isFakeNode(name string) bool { return strings.HasPrefix(name, kwokPart+"-") }

// fakeNodes gives the names of all of them.
func (c *cluster) fakeNodes() []string {
	var names []string
	for i := range c.FakeNodes {
		names = append(names, fakeNode(i))
	}
	return names
}

// startKwok makes the fake nodes and starts a kwok for each: so a test can
// lose one node by stopping its kwok, like a machine that loses its kubelet.
func (c *cluster) startKwok(ctx context.Context, s *supervisor, client *api) error {
	config := c.path("config", "kwok.yaml")
	if err := os.WriteFile(config, []byte(podStages), 0o644); err != nil {
		return err
	}
	program, err := sibling("kwok")
	if err != nil {
		return err
	}
	for i := range c.FakeNodes {
		if err := client.create(ctx, c.fakeNodeManifest(fakeNode(i))); err != nil {
			return err
		}
		health := c.local(portKwok + i)
		err := s.start(part{
			name:    fakeNode(i),
			program: program,
			args: []string{
				"--kubeconfig=" + c.identity(kwokPart),
				"--config=" + config,
				"--manage-single-node=" + fakeNode(i),
				"--node-lease-duration-seconds=" + fmt.Sprint(nodeLeaseSeconds),
				"--cidr=" + fmt.Sprintf(fakePodNetwork, i),
				"--node-ip=" + fmt.Sprintf(fakeNodeIP, i+1),
				"--node-port=0",
				"--server-address=" + health,
			},
			healthy: httpHealth(http.DefaultClient, "http://"+health+"/healthz"),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) fakeNodeManifest(name string) string {
	manifest := `
apiVersion: v1
kind: Node
metadata:
  name: ` + name + `
  annotations:
    kwok.x-k8s.io/node: fake
  labels:
    kubernetes.io/hostname: ` + name + `
    kubernetes.io/os: linux
    type: kwok
`
	if c.Tier == tierNode {
		// Pods belong on the real node. This one is only there to be left
		// when the real one is lost: with no node left, the node lifecycle
		// controller evicts nothing, as it takes the fault to be its own.
		manifest += `
spec:
  taints:
  - {key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}
`
	}
	return manifest
}

// sibling is a program that was built along with this one.
func sibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (tests/cluster/prepare builds it)", err)
	}
	return path, nil
}
