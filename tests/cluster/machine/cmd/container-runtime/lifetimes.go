package main

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-api/pkg/apis/testing"
	"k8s.io/klog/v2"
)

const (
	// runsFor, followed by a container's name, is the annotation of a pod that says how long the container runs: "500ms".
	runsFor = "runs-for.lab/"
	// retry is the pause between two looks for a pod that the API server could not show.
	retry = 200 * time.Millisecond
)

// lifetimes ends the containers that do not run for ever. CRI does not tell an init container from another, so the pod is asked.
type lifetimes struct {
	table    *testing.FakeRuntimeService
	pods     typed.PodsGetter
	initRuns time.Duration
}

// watch waits for the end of one container, if it has one.
func (l *lifetimes) watch(id string) {
	for {
		labels, running := l.running(id)
		if !running {
			return
		}
		pod, err := l.pods.Pods(labels["io.kubernetes.pod.namespace"]).Get(
			context.Background(), labels["io.kubernetes.pod.name"], meta.GetOptions{})
		if err == nil {
			if span, ends := lifetime(pod, labels["io.kubernetes.container.name"], l.initRuns); ends {
				time.Sleep(span)
				l.exit(id)
			}
			return
		}
		klog.InfoS("The pod of a container cannot be read yet", "container", id, "err", err)
		time.Sleep(retry)
	}
}

// lifetime says how long a container of the pod runs and whether it ends by itself at all.
func lifetime(pod *core.Pod, container string, initRuns time.Duration) (time.Duration, bool) {
	if text, told := pod.Annotations[runsFor+container]; told {
		span, err := time.ParseDuration(text)
		if err != nil {
			klog.ErrorS(err, "Unreadable annotation", "annotation", runsFor+container, "pod", klog.KObj(pod))
		}
		return span, err == nil
	}
	for _, init := range pod.Spec.InitContainers {
		if init.Name == container {
			restartable := init.RestartPolicy != nil && *init.RestartPolicy == core.ContainerRestartPolicyAlways
			return initRuns, !restartable
		}
	}
	return 0, false
}

func (l *lifetimes) running(id string) (map[string]string, bool) {
	l.table.Lock()
	defer l.table.Unlock()
	container, known := l.table.Containers[id]
	if !known || container.State != cri.ContainerState_CONTAINER_RUNNING {
		return nil, false
	}
	return container.Labels, true
}

// exit lets a container that still runs end with code 0.
func (l *lifetimes) exit(id string) {
	l.table.Lock()
	defer l.table.Unlock()
	container, known := l.table.Containers[id]
	if !known || container.State != cri.ContainerState_CONTAINER_RUNNING {
		return
	}
	container.State = cri.ContainerState_CONTAINER_EXITED
	container.FinishedAt = time.Now().UnixNano()
	container.ExitCode = 0
	container.Reason = "Completed"
	container.Message = fmt.Sprintf("ran for %s", time.Duration(container.FinishedAt-container.StartedAt).Round(time.Millisecond))
}
