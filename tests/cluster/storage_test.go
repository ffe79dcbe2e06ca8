package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func provision(t *testing.T, d directories, node string) *corev1.PersistentVolume {
	t.Helper()
	policy := corev1.PersistentVolumeReclaimDelete
	volume, _, err := d.Provision(context.Background(), controller.ProvisionOptions{
		PVName:           "pvc-1",
		StorageClass:     &storagev1.StorageClass{ReclaimPolicy: &policy},
		PVC:              &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data-db-0"}},
		SelectedNodeName: node,
	})
	if err != nil {
		t.Fatal(err)
	}
	return volume
}

func TestVolumeComesAndGoes(t *testing.T) {
	d := directories{t.TempDir()}
	volume := provision(t, d, "")
	path := volume.Spec.HostPath.Path
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o777 {
		t.Errorf("mode is %v", info.Mode())
	}
	if volume.Spec.NodeAffinity != nil {
		t.Error("bound to a node although none was selected")
	}
	if err := os.WriteFile(filepath.Join(path, "row"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(context.Background(), volume); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestVolumeStaysOnSelectedNode(t *testing.T) {
	volume := provision(t, directories{t.TempDir()}, "kwok-1")
	terms := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
	if got := terms[0].MatchExpressions[0].Values[0]; got != "kwok-1" {
		t.Errorf("bound to %q", got)
	}
}

func TestDeleteStaysBelowRoot(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "volumes"), filepath.Join(dir, "outside")
	for _, d := range []string{root, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{outside, root, root + "/../outside", "/", root + "/a/b"} {
		volume := &corev1.PersistentVolume{}
		volume.Spec.HostPath = &corev1.HostPathVolumeSource{Path: path}
		if err := (directories{root}).Delete(context.Background(), volume); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}
