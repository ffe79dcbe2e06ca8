package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what the storage classes in storageManifest name.
const provisionerName = "stateful.test/directory"

//go:embed manifests/storage.yaml
var storageManifest string

func (c *cluster) provisioner() part {
	return part{
		name: "provisioner",
		args: []string{
			"--kubeconfig=" + c.identity("provisioner"),
			"--root=" + c.path("volumes"),
			"--listen=" + c.local(portProvisioner),
		},
		healthy: httpHealth(http.DefaultClient, "http://"+c.local(portProvisioner)+"/healthz"),
	}
}

// directories provisions volumes as directories below root. They are reached
// as hostPath volumes, like those of rancher/local-path-provisioner, which is
// no library; this one is built on the controller that it is built on, too.
type directories struct{ root string }

// Provision makes the directory of a new volume.
func (d directories) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claims with a selector are not supported")
	}
	path := filepath.Join(d.root, strings.Join([]string{o.PVName, o.PVC.Namespace, o.PVC.Name}, "_"))
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Containers run as anybody, and the mask has taken bits from the mode.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	mustExist := corev1.HostPathDirectory
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			VolumeMode:                    o.PVC.Spec.VolumeMode,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &mustExist},
			},
		},
	}
	// With WaitForFirstConsumer the volume belongs to the node of the pod, as
	// that of a local disk does.
	if o.SelectedNodeName != "" {
		volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key:      corev1.LabelHostname,
					Operator: corev1.NodeSelectorOpIn,
					Values:   []string{o.SelectedNodeName},
				}},
			}},
		}}
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the directory of a volume with everything in it.
func (d directories) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	source := volume.Spec.HostPath
	if source == nil {
		return errors.New("not a hostPath volume")
	}
	// Whoever can make volumes must not be able to have just any directory removed.
	if filepath.Dir(filepath.Clean(source.Path)) != d.root {
		return fmt.Errorf("%s is not directly below %s", source.Path, d.root)
	}
	return os.RemoveAll(source.Path)
}

// runProvisioner is the main function of the part "provisioner".
func runProvisioner() {
	flags := flag.NewFlagSet("provisioner", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` with the access to the cluster")
	root := flags.String("root", "", "`directory` to make the volumes in")
	listen := flags.String("listen", "", "`address` of the health endpoint")
	if err := flags.Parse(os.Args[1:]); err != nil {
		exit(err)
	}
	config, err := loadKubeconfig(*kubeconfig)
	if err != nil {
		exit(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		exit(err)
	}
	ctx := context.Background()
	provisioner := controller.NewProvisionController(ctx, client, provisionerName, directories{*root},
		controller.LeaderElection(false), // there is only one
		// The default waits 15 seconds before it tries again.
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](200*time.Millisecond, 5*time.Second)),
	)
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !provisioner.HasRun() {
			http.Error(w, "not started", http.StatusServiceUnavailable)
		}
	})
	go provisioner.Run(ctx)
	exit(http.ListenAndServe(*listen, nil))
}
