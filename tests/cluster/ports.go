package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// The parts' ports, counted from the cluster's base port. The supervisor
// itself listens on the base port to reserve the whole block.
const (
	portGuard = iota
	portEtcd
	portEtcdPeer
	portAPIServer
	portControllerManager
	portScheduler
	portProvisioner
	portDNS
	portDNSHealth
	portDNSReady
	portKubelet
	portKubeletHealth
	portKubeProxyHealth
	portKubeProxyMetrics
	portRegistry
	portKwok // and one more for each fake node

	portBlock = 64
)

const (
	maxFakeNodes = portBlock - portKwok

	// nodeTierBasePort makes the API's port 6443 on the node tier, which has
	// all ports to itself.
	nodeTierBasePort = 6443 - portAPIServer

	firstPort = 15000
)

func (c *cluster) port(offset int) int { return c.BasePort + offset }

// local is the address of a part on the loopback interface.
func (c *cluster) local(offset int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port(offset)))
}

// reservePorts finds a free block of ports on 127.0.0.1 and holds it for as
// long as the listener is open.
//
// The block lies below the range that the kernel takes the ports of outgoing
// connections from. Together with the guard this means that no port of it can
// be taken between now and the start of the part that is meant to have it,
// neither by another cluster nor by chance.
func reservePorts() (base int, guard net.Listener, err error) {
	end, err := firstEphemeralPort()
	if err != nil {
		return 0, nil, err
	}
	blocks := (end - firstPort) / portBlock
	if blocks < 1 {
		// An unusual range: then a collision by chance is possible, but rare.
		blocks = (1<<16 - firstPort) / portBlock
	}
	for _, block := range rand.Perm(blocks) {
		base := firstPort + block*portBlock
		guard, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+portGuard)))
		if err != nil {
			continue // another cluster's
		}
		if portsFree(base+1, base+portBlock) {
			return base, guard, nil
		}
		if err := guard.Close(); err != nil {
			return 0, nil, err
		}
	}
	return 0, nil, errors.New("no free block of ports on 127.0.0.1")
}

func portsFree(from, to int) bool {
	for port := from; port < to; port++ {
		// All addresses, as somebody may listen on all of them.
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}

func firstEphemeralPort() (int, error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) != 2 {
		return 0, fmt.Errorf("%s: %q", file, data)
	}
	return strconv.Atoi(fields[0])
}
