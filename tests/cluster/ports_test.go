package main

import "testing"

func TestReservePortsSideBySide(t *testing.T) {
	taken := map[int]bool{}
	for range 5 {
		base, guard, err := reservePorts()
		if err != nil {
			t.Fatal(err)
		}
		defer guard.Close()
		for port := base; port < base+portBlock; port++ {
			if taken[port] {
				t.Fatalf("port %d is in two blocks", port)
			}
			taken[port] = true
		}
	}
}

func TestFakeNodesHavePorts(t *testing.T) {
	if portKwok+maxFakeNodes > portBlock {
		t.Error("the last fake node's port is in the next block")
	}
	if nodeTierBasePort+portAPIServer != 6443 {
		t.Error("the node tier's API is not at the usual port")
	}
}
