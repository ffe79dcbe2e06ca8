package main

import (
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"strings"
)

//go:embed manifests/coredns.yaml
var dnsManifest string

// startDNS runs CoreDNS as a process, for the control-plane tier, where no pod
// really runs.
func (c *cluster) startDNS(s *supervisor) error {
	file := c.path("config", "Corefile")
	config := fmt.Sprintf(`.:%d {
    bind 127.0.0.1
    errors
    health %s
    ready %s
    kubernetes %s in-addr.arpa ip6.arpa {
        kubeconfig %q
        pods insecure
        ttl 5
    }
    loadbalance
    reload
}
`, c.port(portDNS), c.local(portDNSHealth), c.local(portDNSReady), c.ClusterDomain, c.identity("coredns"))
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return err
	}
	return s.start(part{
		name:    "coredns",
		args:    []string{"-conf", file},
		healthy: httpHealth(http.DefaultClient, "http://"+c.local(portDNSReady)+"/ready"),
	})
}

// dnsObjects is the CoreDNS of the node tier: a Deployment behind the Service
// kube-dns, as everywhere.
func (c *cluster) dnsObjects() string {
	return strings.NewReplacer(
		"$DOMAIN", c.ClusterDomain,
		"$SERVICE_IP", dnsIP,
		"$IMAGE", clusterImage,
	).Replace(dnsManifest)
}
