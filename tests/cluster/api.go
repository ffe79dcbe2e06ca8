package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// api is what the supervisor itself wants from the cluster it starts.
type api struct {
	typed   kubernetes.Interface
	dynamic dynamic.Interface
}

func newAPI(config *rest.Config) (*api, error) {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &api{typed, dyn}, nil
}

// create makes the objects of a YAML text.
func (a *api) create(ctx context.Context, manifest string) error {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if object.Object == nil {
			continue // nothing but a comment
		}
		// Guessing the resource from the kind is right for every kind used
		// here and saves asking the API for its resources.
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		var client dynamic.ResourceInterface = a.dynamic.Resource(resource)
		if namespace := object.GetNamespace(); namespace != "" {
			client = a.dynamic.Resource(resource).Namespace(namespace)
		}
		_, err = client.Create(ctx, &object, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// defaultServiceAccount returns nil when pods can be made in the default namespace.
func (a *api) defaultServiceAccount(ctx context.Context) error {
	_, err := a.typed.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// nodesReady gives a check that these nodes are ready for pods.
func (a *api) nodesReady(names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			node, err := a.typed.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !nodeReady(node) {
				return fmt.Errorf("node %s is not ready", name)
			}
		}
		return nil
	}
}

func nodeReady(node *corev1.Node) bool {
	// A new node keeps its taint for a moment after it became ready.
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// deploymentReady gives a check that a deployment has all its replicas.
func (a *api) deploymentReady(namespace, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		d, err := a.typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if want := *d.Spec.Replicas; d.Status.AvailableReplicas < want {
			return fmt.Errorf("deployment %s: %d of %d replicas available", name, d.Status.AvailableReplicas, want)
		}
		return nil
	}
}
