package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"

	"k8s.io/client-go/rest"
)

// groupMasters may do everything: the API server does not even ask RBAC.
const groupMasters = "system:masters"

// writeIdentities makes the certificate authorities, every part's
// certificates and kubeconfig, and the administrator's.
func (c *cluster) writeIdentities() error {
	ca, err := newAuthority("kubernetes")
	if err != nil {
		return err
	}
	if err := ca.save(c.path("pki"), "ca"); err != nil {
		return err
	}
	// A second authority, because whoever holds a certificate of the first
	// could otherwise pretend to be the proxy that vouches for users.
	frontProxyCA, err := newAuthority("kubernetes-front-proxy")
	if err != nil {
		return err
	}
	if err := frontProxyCA.save(c.path("pki"), "front-proxy-ca"); err != nil {
		return err
	}
	if err := saveServiceAccountKey(c.path("pki")); err != nil {
		return err
	}

	issues := []struct {
		name  string
		issue func() (keyPair, error)
	}{
		{"apiserver", func() (keyPair, error) {
			return ca.server("kube-apiserver", c.Address, "127.0.0.1", kubernetesIP, "localhost", "kubernetes",
				"kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+c.ClusterDomain)
		}},
		// For the health endpoints; a part without a certificate makes a slow RSA one.
		{"local", func() (keyPair, error) { return ca.server("local", "127.0.0.1") }},
		{"kubelet", func() (keyPair, error) { return ca.server("system:node:"+nodeName, c.Address, nodeName) }},
		{"apiserver-kubelet-client", func() (keyPair, error) {
			return ca.client("kube-apiserver-kubelet-client", groupMasters)
		}},
		{"front-proxy-client", func() (keyPair, error) { return frontProxyCA.client("front-proxy-client") }},
	}
	for _, i := range issues {
		pair, err := i.issue()
		if err != nil {
			return err
		}
		if err := pair.save(c.path("pki"), i.name); err != nil {
			return err
		}
	}

	identities := []struct {
		file, user string
		groups     []string
	}{
		{c.kubeconfig(), "admin", []string{groupMasters}},
		{c.identity("kube-controller-manager"), "system:kube-controller-manager", nil},
		{c.identity("kube-scheduler"), "system:kube-scheduler", nil},
		{c.identity("kube-proxy"), "system:kube-proxy", nil},
		{c.identity("kubelet"), "system:node:" + nodeName, []string{"system:nodes"}},
		{c.identity("provisioner"), "provisioner", []string{groupMasters}},
		{c.identity("coredns"), "coredns", []string{groupMasters}},
		{c.identity(kwokPart), kwokPart, []string{groupMasters}},
	}
	for _, i := range identities {
		pair, err := ca.client(i.user, i.groups...)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(i.file, c.server(), ca.pem(), i.user, pair); err != nil {
			return err
		}
	}
	return c.writeAdminToken()
}

// writeAdminToken makes a bearer token for the administrator, for clients that
// cannot use a certificate, such as one behind a proxy that ends TLS.
func (c *cluster) writeAdminToken() error {
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	token := hex.EncodeToString(secret)
	if err := os.WriteFile(c.path("admin.token"), []byte(token), 0o600); err != nil {
		return err
	}
	line := fmt.Sprintf("%s,admin,admin,%q\n", token, groupMasters)
	return os.WriteFile(c.pki("tokens.csv"), []byte(line), 0o600)
}

func (c *cluster) etcd() part {
	client, peer := "http://"+c.local(portEtcd), "http://"+c.local(portEtcdPeer)
	return part{
		name: "etcd",
		args: []string{
			"--data-dir=" + c.path("etcd"),
			"--unsafe-no-fsync", // the data need not survive the machine
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
		},
		healthy: httpHealth(http.DefaultClient, client+"/health"),
	}
}

func (c *cluster) apiserver(admin *rest.Config) (part, error) {
	client, err := rest.HTTPClientFor(admin)
	if err != nil {
		return part{}, err
	}
	args := []string{
		"--etcd-servers=http://" + c.local(portEtcd),
		"--secure-port=" + fmt.Sprint(c.port(portAPIServer)),
		"--advertise-address=" + c.Address,
		"--service-cluster-ip-range=" + c.serviceNetworks(),
		"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		"--token-auth-file=" + c.pki("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc." + c.ClusterDomain,
		"--service-account-key-file=" + c.pki("sa.pub"),
		"--service-account-signing-key-file=" + c.pki("sa.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.pki("front-proxy-client.key"),
		"--kubelet-certificate-authority=" + c.pki("ca.crt"),
		"--kubelet-client-certificate=" + c.pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.pki("apiserver-kubelet-client.key"),
		// The name of a node means nothing outside of the cluster; without
		// this exec, logs and port-forward look it up in DNS.
		"--kubelet-preferred-address-types=InternalIP",
		// The pods of a lost node are evicted after these instead of after 5 minutes.
		"--default-not-ready-toleration-seconds=3",
		"--default-unreachable-toleration-seconds=3",
		"--profiling=false",
	}
	if c.Tier == tierControlPlane {
		args = append(args,
			"--bind-address=127.0.0.1",
			// Endpoints cannot have a loopback address, and no pod could use it.
			"--endpoint-reconciler-type=none",
		)
	}
	return part{
		name:    "kube-apiserver",
		args:    args,
		healthy: httpHealth(client, c.server()+"/readyz"),
	}, nil
}

func (c *cluster) serviceNetworks() string {
	if c.Tier == tierControlPlane {
		return serviceNetwork + "," + secondServiceNetwork
	}
	return serviceNetwork
}

func (c *cluster) controllerManager(health *http.Client) part {
	return part{
		name: "kube-controller-manager",
		args: append(c.componentArgs("kube-controller-manager", portControllerManager),
			"--service-account-private-key-file="+c.pki("sa.key"),
			"--root-ca-file="+c.pki("ca.crt"),
			"--use-service-account-credentials=true",
			// The default is below /usr, where nothing of ours belongs.
			"--flex-volume-plugin-dir="+c.path("config", "flex-volumes"),
			// A lost node is noticed after these instead of after 40 seconds.
			// The nodes renew their leases every second (nodeLeaseSeconds).
			"--node-monitor-period=1s",
			"--node-monitor-grace-period=8s",
			// The limits are for production; here they delay the start.
			"--kube-api-qps=500", "--kube-api-burst=1000",
		),
		healthy: httpHealth(health, "https://"+c.local(portControllerManager)+"/healthz"),
	}
}

func (c *cluster) scheduler(health *http.Client) part {
	return part{
		name: "kube-scheduler",
		// Now and then a pod that waited for its claim misses that the claim is
		// bound, and is looked at again only after five minutes: the binder's
		// cache was behind the event that woke the scheduler. Seen under
		// load, in a cluster that had just begun.
		args: append(c.componentArgs("kube-scheduler", portScheduler),
			"--pod-max-in-unschedulable-pods-duration=5s"),
		healthy: httpHealth(health, "https://"+c.local(portScheduler)+"/healthz"),
	}
}

// componentArgs are the arguments that controller manager and scheduler share.
func (c *cluster) componentArgs(name string, port int) []string {
	kubeconfig := c.identity(name)
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + fmt.Sprint(c.port(port)),
		"--tls-cert-file=" + c.pki("local.crt"), "--tls-private-key-file=" + c.pki("local.key"),
		"--leader-elect=false", // there is only one
		"--profiling=false",
	}
}

// startControlPlane starts etcd, API server, controller manager, scheduler and
// provisioner, and makes the storage classes. It returns a client as soon as
// the API serves; the rest is then ready or becoming so: wait says when.
func (c *cluster) startControlPlane(ctx context.Context, s *supervisor, clock *stopwatch) (client *api, wait func() error, err error) {
	if err := c.writeIdentities(); err != nil {
		return nil, nil, err
	}
	admin, err := loadKubeconfig(c.kubeconfig())
	if err != nil {
		return nil, nil, err
	}
	client, err = newAPI(admin)
	if err != nil {
		return nil, nil, err
	}
	// For health endpoints only: trusts the cluster's authority, as nobody in particular.
	health, err := rest.HTTPClientFor(rest.AnonymousClientConfig(admin))
	if err != nil {
		return nil, nil, err
	}
	clock.lap("certificates")

	if err := s.start(c.etcd()); err != nil {
		return nil, nil, err
	}
	if err := s.ready(ctx, "etcd"); err != nil {
		return nil, nil, err
	}
	clock.lap("etcd")
	apiserver, err := c.apiserver(admin)
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(apiserver); err != nil {
		return nil, nil, err
	}
	if err := s.ready(ctx, "kube-apiserver"); err != nil {
		return nil, nil, err
	}
	clock.lap("kube-apiserver")

	others := []part{c.controllerManager(health), c.scheduler(health), c.provisioner()}
	for _, p := range others {
		if err := s.start(p); err != nil {
			return nil, nil, err
		}
	}
	if err := client.create(ctx, storageManifest); err != nil {
		return nil, nil, err
	}
	return client, func() error {
		for _, p := range others {
			if err := s.ready(ctx, p.name); err != nil {
				return err
			}
			clock.lap(p.name)
		}
		// Made by the controller manager; no pod can be created before.
		return s.until(ctx, client.defaultServiceAccount)
	}, nil
}

// httpHealth asks a health endpoint.
func httpHealth(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	}
}
