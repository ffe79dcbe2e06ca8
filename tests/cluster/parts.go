package main

import (
	"context"
	"os"

	"github.com/coredns/coredns/coremain"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // as in the parts' own binaries
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as in the parts' own binaries
	_ "k8s.io/component-base/metrics/prometheus/version"  // as in the parts' own binaries
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	// The plugins that a cluster's CoreDNS uses. Importing them one by one
	// instead of CoreDNS's list of all keeps out the clients of every cloud.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/template"
)

// parts are the programs in this binary. Each does what the main function of
// the upstream program does. kwok is not among them: its v0.7.0 does not
// compile against the libraries of Kubernetes 1.34, so it is a binary of its
// own (see kwok/go.mod).
var parts = map[string]func(){
	"etcd":    func() { etcdmain.Main(os.Args) },
	"coredns": coremain.Run,
	"kubectl": runKubectl,
	"kube-apiserver": func() {
		runCobra(apiserver.NewAPIServerCommand())
	},
	"kube-controller-manager": func() {
		runCobra(controllermanager.NewControllerManagerCommand())
	},
	"kube-scheduler": func() { runCobra(scheduler.NewSchedulerCommand()) },
	"kube-proxy":     func() { runCobra(kubeproxy.NewProxyCommand()) },
	"kubelet": func() {
		runCobra(kubelet.NewKubeletCommand(context.Background()))
	},
	"provisioner": runProvisioner,
}

func runCobra(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

func runKubectl() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
