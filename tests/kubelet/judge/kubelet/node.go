// Package kubelet runs the kubelet's own resource managers on an imagined machine, without a kubelet.
//
// The topology, CPU, memory and device managers are the real ones, made by their real constructors and joined as the
// container manager joins them. Ours is what a kubelet has around them: the list of active pods, the start of the two
// managers that would write a checkpoint on disk (here their state is in memory, see start), the device plugins, and
// the bookkeeping of cmd/kubelet/app (config.go). What differs between versions of Kubernetes is in kubeNNN.go.
package kubelet

import (
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	cpustate "k8s.io/kubernetes/pkg/kubelet/cm/cpumanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	memorystate "k8s.io/kubernetes/pkg/kubelet/cm/memorymanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/config"

	"numa-extender/judge/replay"
)

// Node is one machine with its managers and the pods that are active on it.
type Node struct {
	topology topologymanager.Manager
	devices  *devicemanager.ManagerImpl
	cpu      cpumanager.Manager
	memory   memorymanager.Manager

	cpuState    cpustate.State
	memoryState memorystate.State

	pods map[string]*v1.Pod
}

// NewNode makes and starts the managers; its error is the one that would keep the kubelet from starting.
func NewNode(c *replay.Case, scratch string) (*Node, error) {
	machine := &MachineInfo{}
	if err := json.Unmarshal(c.Machine, machine); err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	settings, err := loadSettings(c.Kubelet, machine)
	if err != nil {
		return nil, err
	}
	n := &Node{pods: map[string]*v1.Pod{}}
	if err := n.build(machine, settings, scratch); err != nil {
		return nil, err
	}
	if err := n.start(); err != nil {
		return nil, err
	}
	if err := validateReservation(capacity(machine), settings.reservation); err != nil {
		return nil, err
	}
	return n, n.registerDevices(c.Devices)
}

// build follows container_manager_linux.go:NewContainerManager.
func (n *Node) build(machine *MachineInfo, c *settings, scratch string) (err error) {
	if n.topology, err = newTopologyManager(machine, c); err != nil {
		return err
	}
	if n.devices, err = newDeviceManager(scratch+"/kubelet.sock", machine, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.devices)
	if n.cpu, err = newCPUManager(machine, c, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.cpu)
	if n.memory, err = newMemoryManager(machine, c, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.memory)
	return nil
}

// start stands for the managers' Start, which fills the same fields, but with a state that writes a file at every
// change, a reconcile loop that never ends (CPU) and a registration socket (devices).
func (n *Node) start() error {
	n.cpuState = newCPUState()
	set(n.cpu, "state", n.cpuState)
	set(n.cpu, "activePods", cpumanager.ActivePodsFunc(n.activePods))
	set(n.cpu, "sourcesReady", config.SourcesReady(ready{}))
	set(n.cpu, "containerMap", containermap.NewContainerMap())
	if err := startCPUPolicy(get[cpumanager.Policy](n.cpu, "policy"), n.cpuState); err != nil {
		return fmt.Errorf("start cpu manager error: %w", err)
	}
	n.memoryState = memorystate.NewMemoryState(silent)
	set(n.memory, "state", n.memoryState)
	set(n.memory, "activePods", memorymanager.ActivePodsFunc(n.activePods))
	set(n.memory, "sourcesReady", config.SourcesReady(ready{}))
	set(n.memory, "containerMap", containermap.NewContainerMap())
	if err := startMemoryPolicy(get[memorymanager.Policy](n.memory, "policy"), n.memoryState); err != nil {
		return fmt.Errorf("start memory manager error: %w", err)
	}
	set(n.devices, "activePods", devicemanager.ActivePodsFunc(n.activePods))
	set(n.devices, "sourcesReady", config.SourcesReady(ready{}))
	set(n.devices, "containerMap", containermap.NewContainerMap())
	return nil
}

// ready says that the kubelet has heard from the API server, which it must before it clears stale state.
type ready struct{}

func (ready) AddSource(string) {}
func (ready) AllReady() bool   { return true }

func (n *Node) activePods() []*v1.Pod {
	pods := make([]*v1.Pod, 0, len(n.pods))
	for _, pod := range n.pods {
		pods = append(pods, pod)
	}
	return pods
}

// Admit asks the topology manager. The pod is active during its admission, and afterwards if it was admitted: what a
// refused pod left is then cleared by the managers' own removeStaleState at the next admission.
func (n *Node) Admit(pod *v1.Pod) replay.Verdict {
	uid := string(pod.UID)
	n.pods[uid] = pod
	result := admit(n.topology, pod)
	if !result.Admit {
		delete(n.pods, uid)
		return replay.Verdict{Reason: result.Reason, Message: result.Message}
	}
	return n.verdict(uid, pod)
}

// Remove takes a pod from the active ones; the managers free what it had at the next admission.
func (n *Node) Remove(uid string) { delete(n.pods, uid) }

// Started runs the hook before each container's start, in the kubelet's order: init containers, then the others.
func (n *Node) Started(uid string) {
	pod, active := n.pods[uid]
	if !active {
		return
	}
	for i := range pod.Spec.InitContainers {
		n.preStart(pod, &pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		n.preStart(pod, &pod.Spec.Containers[i])
	}
}

func (n *Node) preStart(pod *v1.Pod, container *v1.Container) {
	n.preStartContainer(pod, container, string(pod.UID)+"/"+container.Name)
}
