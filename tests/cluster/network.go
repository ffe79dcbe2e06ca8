package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

const (
	// maxNetworks is how many node tier clusters one host can have.
	maxNetworks = 256
	// clusterLink is the cluster's end of its link to the host.
	clusterLink = "eth0"
)

// hostNetwork is the link between the host and a cluster's network namespace:
// two addresses and a pair of interfaces, told apart by a number.
type hostNetwork int

func (n hostNetwork) subnet() *net.IPNet {
	return &net.IPNet{IP: net.IPv4(10, 213, byte(n), 0).To4(), Mask: net.CIDRMask(30, 32)}
}

func (n hostNetwork) hostAddress() string    { return fmt.Sprintf("10.213.%d.1", n) }
func (n hostNetwork) clusterAddress() string { return fmt.Sprintf("10.213.%d.2", n) }

// hostLink is the name of the host's end.
func (n hostNetwork) hostLink() string { return fmt.Sprintf("stateful%d", n) }

// freeNetworks gives the networks that overlap none of those in use.
func freeNetworks(used []*net.IPNet) []hostNetwork {
	var free []hostNetwork
	for n := range hostNetwork(maxNetworks) {
		if !overlapsAny(n.subnet(), used) {
			free = append(free, n)
		}
	}
	return free
}

func overlapsAny(subnet *net.IPNet, used []*net.IPNet) bool {
	for _, other := range used {
		if other.Contains(subnet.IP) || subnet.Contains(other.IP) {
			return true
		}
	}
	return false
}

// connectHost links the host to the network namespace of a process. The kernel
// removes the link when the namespace goes. The link's alias says whose it is.
func connectHost(pid int, owner string) (hostNetwork, error) {
	used, err := usedNetworks()
	if err != nil {
		return 0, err
	}
	for _, n := range freeNetworks(used) {
		link := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: n.hostLink()},
			PeerName:      clusterLink,
			PeerNamespace: netlink.NsPid(pid),
		}
		err := netlink.LinkAdd(link)
		if errors.Is(err, syscall.EEXIST) {
			// The name is the lock: another cluster took this network just now.
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("make %s: %w", n.hostLink(), err)
		}
		if err := netlink.LinkSetAlias(link, owner); err != nil {
			return 0, err
		}
		return n, configureLink(n.hostLink(), n.hostAddress())
	}
	return 0, errors.New("no free network between host and cluster")
}

// disconnectHost removes the link to a cluster that has ended. The kernel
// would do so, too, but only when the last connection has timed out.
func disconnectHost(name, owner string) error {
	link, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	if link.Attrs().Alias != owner {
		return nil // another cluster has got the name since
	}
	err = netlink.LinkDel(link)
	if errors.Is(err, syscall.ENODEV) {
		return nil // the kernel was faster
	}
	return err
}

// configureCluster sets up the network inside of the namespace. There is no
// default route: nothing in a test cluster talks to the outside.
func configureCluster(address string) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	for setting, value := range map[string]string{
		"ip_forward": "1",
		// When the cluster is killed, its connections lose both ends at once.
		// As long as the kernel tries to close them properly, by default for
		// minutes, the namespace and the host's link to it stay.
		"tcp_orphan_retries": "1",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+setting, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return configureLink(clusterLink, address)
}

func configureLink(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address + "/30")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("%s: address %s: %w", name, addr, err)
	}
	return netlink.LinkSetUp(link)
}

// usedNetworks gives the networks that the host has an address in or a route to.
func usedNetworks() ([]*net.IPNet, error) {
	var used []*net.IPNet
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		used = append(used, address.IPNet)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if size, _ := route.Dst.Mask.Size(); size > 0 { // the default route is in nobody's way
			used = append(used, route.Dst)
		}
	}
	return used, nil
}
