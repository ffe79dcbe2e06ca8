package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
)

const (
	podNetwork = "10.244.0.0/24"

	// Inside of the namespaces all of these are the cluster's own.
	containerdSocket = "/run/containerd/containerd.sock"
	containerdState  = "/run/containerd"
	containerdRoot   = "/var/lib/containerd"
)

// cniPluginDirs are where distributions and upstream put the CNI plugins.
var cniPluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// containerd writes the configuration of containerd and of the pods' network.
func (c *cluster) containerd() (part, error) {
	plugins, err := findCNIPlugins()
	if err != nil {
		return part{}, err
	}
	snapshotter, err := snapshotterFor(c.Dir)
	if err != nil {
		return part{}, err
	}
	// Version 2 is understood by containerd 1.6, 1.7 and 2.
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q

[grpc]
  address = %[3]q

# The default is below /opt, where nothing of ours belongs.
[plugins."io.containerd.internal.v1.opt"]
  path = %[4]q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[5]q
  # Without CAP_SYS_RESOURCE no process can get a lower score than its parent
  # has, and runc would fail to start the pods of the better classes.
  restrict_oom_score_adj = true
  # Its profile would be loaded into the host's kernel, and stay there.
  disable_apparmor = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[6]q
    conf_dir = %[7]q

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %[8]q

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = %[9]q
`, containerdRoot, containerdState, containerdSocket, filepath.Join(containerdRoot, "opt"), pauseImage,
		plugins, c.path("config", "cni"), snapshotter, c.path("config", "registries"))
	// All images of whatever registry come from ours. As it is also given as
	// the registry's own server, nothing else is asked when it has none.
	registry := "http://" + c.local(portRegistry)
	registries := fmt.Sprintf(`server = %[1]q

[host.%[1]q]
  capabilities = ["pull", "resolve"]
`, registry)
	// ptp routes between pods, so that all traffic passes the packet filter.
	// With a bridge that takes the kernel module br_netfilter, or Services do
	// not work between pods of one node.
	network := fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, podNetwork)
	file := c.path("config", "containerd.toml")
	for name, content := range map[string]string{
		file: config,
		c.path("config", "registries", "_default", "hosts.toml"): registries,
		c.path("config", "cni", "10-pods.conflist"):              network,
	} {
		if err := writeFile(name, content); err != nil {
			return part{}, err
		}
	}
	return part{
		name:    "containerd",
		program: "containerd",
		args:    []string{"--config", file},
		healthy: func(ctx context.Context) error {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, "unix", containerdSocket)
			if err != nil {
				return err
			}
			return conn.Close()
		},
	}, nil
}

// kubelet writes the configuration of the kubelet.
func (c *cluster) kubelet() (part, error) {
	config := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
port: %[1]d
healthzBindAddress: 127.0.0.1
healthzPort: %[2]d
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[5]q}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://%[6]s
cgroupDriver: cgroupfs
cgroupRoot: /%[7]s
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
clusterDNS: [%[8]q]
clusterDomain: %[9]q
resolvConf: /dev/null # pods ask the cluster's DNS or nobody
nodeLeaseDurationSeconds: %[10]d
nodeStatusUpdateFrequency: 2s
serializeImagePulls: false
registryPullQPS: 0
# The default is below /usr, where nothing of ours belongs.
volumePluginDir: /var/lib/kubelet/volume-plugins
# A machine that is short of disk does not make tests fail.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%"}
`, c.port(portKubelet), c.port(portKubeletHealth), c.pki("kubelet.crt"), c.pki("kubelet.key"), c.pki("ca.crt"),
		containerdSocket, c.Cgroup, dnsIP, c.ClusterDomain, nodeLeaseSeconds)
	file := c.path("config", "kubelet.yaml")
	if err := writeFile(file, config); err != nil {
		return part{}, err
	}
	return part{
		name: "kubelet",
		args: []string{
			"--kubeconfig=" + c.identity("kubelet"),
			"--config=" + file,
			"--hostname-override=" + nodeName,
			"--node-ip=" + c.Address, // it must not be a loopback address
		},
		healthy: httpHealth(http.DefaultClient, "http://"+c.local(portKubeletHealth)+"/healthz"),
	}, nil
}

// kubeProxy writes the configuration of kube-proxy.
func (c *cluster) kubeProxy() (part, error) {
	config := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: %s
hostnameOverride: %s
clientConnection: {kubeconfig: %q}
healthzBindAddress: %q
metricsBindAddress: %q
iptables: {minSyncPeriod: 100ms}
# These would change settings of the whole machine.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, podNetwork, nodeName, c.identity("kube-proxy"), c.local(portKubeProxyHealth), c.local(portKubeProxyMetrics))
	file := c.path("config", "kube-proxy.yaml")
	if err := writeFile(file, config); err != nil {
		return part{}, err
	}
	return part{
		name:    "kube-proxy",
		args:    []string{"--config=" + file},
		healthy: httpHealth(http.DefaultClient, "http://"+c.local(portKubeProxyHealth)+"/healthz"),
	}, nil
}

func findCNIPlugins() (string, error) {
	for _, dir := range cniPluginDirs {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in any of %q", cniPluginDirs)
}

// snapshotterFor chooses how containerd keeps images in a directory: an
// overlay cannot be stacked on another, which is what a container's root is.
func snapshotterFor(dir string) (string, error) {
	const overlayfsMagic = 0x794c7630 // OVERLAYFS_SUPER_MAGIC of linux/magic.h
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return "", err
	}
	if stat.Type == overlayfsMagic {
		return "native", nil
	}
	return "overlayfs", nil
}

func writeFile(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(content), 0o644)
}
