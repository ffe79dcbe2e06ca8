package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	podsOfASet       = 10
	setsPerNamespace = 20
)

// seedSets creates sets of ten pods, all Ready but the last pod of every
// hundredth set.
func seedSets(config *rest.Config, count int) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for first := 0; first < count; first += setsPerNamespace {
		if err := createNamespace(ctx, client, namespaceOfSet(first)); err != nil {
			return err
		}
	}
	return atOnce(count, func(number int) error { return createSet(ctx, client, number) })
}

func namespaceOfSet(number int) string { return fmt.Sprintf("sets-%d", number/setsPerNamespace) }

func createSet(ctx context.Context, client *kubernetes.Clientset, number int) error {
	namespace, name := namespaceOfSet(number), fmt.Sprintf("db-%d", number%setsPerNamespace)
	labels := map[string]string{"app": name}
	revision := name + "-7d9f8c6b5d"
	replicas := int32(podsOfASet)
	spec := corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "db", Image: "db:1"}}}
	set, err := client.AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: filler(1700)},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	set.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: set.Generation, Replicas: replicas, ReadyReplicas: replicas,
		CurrentRevision: revision, UpdateRevision: revision,
	}
	if _, err := client.AppsV1().StatefulSets(namespace).UpdateStatus(ctx, set, metav1.UpdateOptions{}); err != nil {
		return err
	}
	yes := true
	owner := metav1.OwnerReference{
		APIVersion: "apps/v1", Kind: "StatefulSet", Name: name, UID: set.UID, Controller: &yes,
	}
	for ordinal := range podsOfASet {
		podName := fmt.Sprintf("%s-%d", name, ordinal)
		pod, err := client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: podName, Annotations: filler(1700), OwnerReferences: []metav1.OwnerReference{owner},
				Labels: map[string]string{
					"app": name, "controller-revision-hash": revision, "statefulset.kubernetes.io/pod-name": podName,
				},
			},
			Spec: spec,
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		ready := corev1.ConditionTrue
		if number%100 == 0 && ordinal == podsOfASet-1 {
			ready = corev1.ConditionFalse
		}
		now := metav1.Now()
		pod.Status = corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: now}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "db", Image: "db:1", Ready: ready == corev1.ConditionTrue,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			}},
		}
		if _, err := client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
