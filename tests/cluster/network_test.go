package main

import (
	"net"
	"testing"
)

func network(t *testing.T, cidr string) *net.IPNet {
	t.Helper()
	ip, n, err := net.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	n.IP = ip // an interface's address is not the first of its network
	return n
}

func TestFreeNetworks(t *testing.T) {
	for _, test := range []struct {
		used  []string
		first int // -1: none
	}{
		{nil, 0},
		{[]string{"192.168.1.7/24", "10.96.0.0/16"}, 0},
		{[]string{"10.213.0.1/30"}, 1},
		{[]string{"10.213.0.2/32", "10.213.1.0/24"}, 2},
		{[]string{"10.213.0.5/30"}, 0}, // beside it, not in it
		{[]string{"10.213.0.0/17"}, 128},
		{[]string{"10.0.0.9/8"}, -1},
	} {
		var used []*net.IPNet
		for _, cidr := range test.used {
			used = append(used, network(t, cidr))
		}
		free := freeNetworks(used)
		first := -1
		if len(free) > 0 {
			first = int(free[0])
		}
		if first != test.first {
			t.Errorf("with %q in use the first free network is %d, want %d", test.used, first, test.first)
		}
	}
}

func TestHostNetwork(t *testing.T) {
	for n := range hostNetwork(maxNetworks) {
		for _, address := range []string{n.hostAddress(), n.clusterAddress()} {
			if !n.subnet().Contains(net.ParseIP(address)) {
				t.Errorf("%s is not in %s", address, n.subnet())
			}
		}
		const longest = 15 // IFNAMSIZ of linux/if.h, less the final zero
		if len(n.hostLink()) > longest {
			t.Errorf("%s is too long for an interface", n.hostLink())
		}
	}
}
