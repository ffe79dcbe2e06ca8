// The fastest known way to find unused claims with client-go, for comparison:
// claims and pods as Protocol Buffers, in pages, both lists at the same time, then
// a join. It knows nothing of StatefulSets, their templates and volumes.
//
//	client-go seed COUNT   creates COUNT claims and COUNT pods, a tenth of the claims unused
//	client-go seed-sets COUNT   creates COUNT sets of ten pods, nearly all of them Ready
//	client-go join         prints how many claims no pod uses
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const page = 500

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client-go:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	switch {
	case len(args) == 2 && args[0] == "seed":
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return seed(config, count)
	case len(args) == 2 && args[0] == "seed-sets":
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return seedSets(config, count)
	case len(args) == 1 && args[0] == "join":
		return join(config)
	}
	return fmt.Errorf("usage: client-go seed COUNT | seed-sets COUNT | join")
}

type key struct{ namespace, name string }

// join keeps only what it needs of each page.
func join(config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	claims, used := map[key]string{}, map[key]struct{}{}
	errs := make([]error, 2)
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		options := metav1.ListOptions{Limit: page}
		for {
			list, err := client.CoreV1().PersistentVolumeClaims("").List(ctx, options)
			if err != nil {
				errs[0] = err
				return
			}
			for i := range list.Items {
				claim := &list.Items[i]
				name := key{strings.Clone(claim.Namespace), strings.Clone(claim.Name)}
				claims[name] = string(claim.Status.Phase)
			}
			if options.Continue = list.Continue; options.Continue == "" {
				return
			}
		}
	}()
	go func() {
		defer both.Done()
		options := metav1.ListOptions{Limit: page}
		for {
			list, err := client.CoreV1().Pods("").List(ctx, options)
			if err != nil {
				errs[1] = err
				return
			}
			for i := range list.Items {
				pod := &list.Items[i]
				if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
					continue
				}
				for _, volume := range pod.Spec.Volumes {
					if source := volume.PersistentVolumeClaim; source != nil {
						used[key{strings.Clone(pod.Namespace), strings.Clone(source.ClaimName)}] = struct{}{}
					}
				}
			}
			if options.Continue = list.Continue; options.Continue == "" {
				return
			}
		}
	}()
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	unused := 0
	for name := range claims {
		if _, ok := used[name]; !ok {
			unused++
		}
	}
	fmt.Printf("%d of %d claims are unused\n", unused, len(claims))
	return nil
}

const perNamespace = 500

// seed creates objects of about 3.8 KB, like those of real clusters.
func seed(config *rest.Config, count int) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for first := 0; first < count; first += perNamespace {
		if err := createNamespace(ctx, client, namespaceOf(first)); err != nil {
			return err
		}
	}
	return atOnce(count, func(number int) error { return create(ctx, client, number) })
}

func createNamespace(ctx context.Context, client *kubernetes.Clientset, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := client.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{})
	return err
}

// atOnce creates so many objects, several at once.
func atOnce(count int, create func(number int) error) error {
	const workers = 16
	failures := make(chan error, workers)
	for worker := range workers {
		go func() {
			for number := worker; number < count; number += workers {
				if err := create(number); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	for range workers {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

func namespaceOf(number int) string { return fmt.Sprintf("bench-%d", number/perNamespace) }

func filler(bytes int) map[string]string {
	return map[string]string{"example.com/notes": strings.Repeat("what a real object carries along ", bytes/33)}
}

func create(ctx context.Context, client *kubernetes.Clientset, number int) error {
	namespace, name := namespaceOf(number), fmt.Sprintf("data-db-%d", number%perNamespace)
	class := "none"
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "db"}, Annotations: filler(3000)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			VolumeName:       "pvc-" + namespace + "-" + name,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	if _, err := client.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		return err
	}
	named := name
	if number%10 == 0 {
		named = name + "-other"
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("db-%d", number%perNamespace), Labels: map[string]string{"app": "db"}, Annotations: filler(1700),
		},
		Spec: corev1.PodSpec{
			SchedulerName: "nobody",
			Containers:    []corev1.Container{{Name: "db", Image: "db:1"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: named},
			}}},
		},
	}
	_, err := client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
	return err
}
