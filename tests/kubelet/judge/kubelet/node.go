// Package kubelet runs the kubelet's own resource managers on an imagined machine, without a kubelet.
//
// The topology, CPU, memory and device managers are the real ones, made by their real constructors and joined as the
// container manager joins them. Ours is what a kubelet has around them: the list of active pods, the start of the
// managers (start.go), the device plugins (devices.go), and the bookkeeping of cmd/kubelet/app (config.go). What differs
// between versions of Kubernetes is in kubeNNN.go.
package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	cpustate "k8s.io/kubernetes/pkg/kubelet/cm/cpumanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	memorystate "k8s.io/kubernetes/pkg/kubelet/cm/memorymanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"

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

	mutex sync.Mutex // the CPU manager reads the pods in a loop of its own when it keeps files
	pods  map[string]*v1.Pod
}

// NewNode makes and starts the managers; its error is the one that would keep the kubelet from starting. The managers
// may write into the directory; with files they keep their state there.
func NewNode(c *replay.Case, directory string, files bool) (*Node, error) {
	machine, err := readMachine(c.Machine)
	if err != nil {
		return nil, err
	}
	settings, err := loadSettings(c.Kubelet, machine)
	if err != nil {
		return nil, err
	}
	n := &Node{pods: map[string]*v1.Pod{}}
	if err := n.build(machine, settings, directory); err != nil {
		return nil, err
	}
	if err := n.start(files); err != nil {
		return nil, err
	}
	if err := validateReservation(capacity(machine), settings.reservation); err != nil {
		return nil, err
	}
	return n, n.registerDevices(c.Devices)
}

// readMachine reads cAdvisor's JSON; a zone with no distance in its list is one whose distances cAdvisor could not read.
func readMachine(raw json.RawMessage) (*MachineInfo, error) {
	machine := &MachineInfo{}
	if err := json.Unmarshal(raw, machine); err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	for i := range machine.Topology {
		if len(machine.Topology[i].Distances) == 0 {
			machine.Topology[i].Distances = nil
		}
	}
	return machine, nil
}

// build follows container_manager_linux.go:NewContainerManager.
func (n *Node) build(machine *MachineInfo, c *settings, directory string) (err error) {
	if n.topology, err = newTopologyManager(machine, c); err != nil {
		return err
	}
	if n.devices, err = newDeviceManager(directory+"/kubelet.sock", machine, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.devices)
	if n.cpu, err = newCPUManager(machine, c, directory, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.cpu)
	if n.memory, err = newMemoryManager(machine, c, directory, n.topology); err != nil {
		return err
	}
	addHintProvider(n.topology, n.memory)
	return nil
}

func (n *Node) activePods() []*v1.Pod {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return slices.Collect(maps.Values(n.pods))
}

func (n *Node) activate(uid string, pod *v1.Pod) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.pods[uid] = pod
}

// Admit asks the topology manager. The pod is active during its admission, and afterwards if it was admitted: what a
// refused pod left is then cleared by the managers' own removeStaleState at the next admission.
func (n *Node) Admit(pod *v1.Pod) replay.Verdict {
	uid := string(pod.UID)
	n.activate(uid, pod)
	result := admit(n.topology, pod)
	if !result.Admit {
		n.Remove(uid)
		return replay.Verdict{Reason: result.Reason, Message: result.Message}
	}
	return n.verdict(uid, pod)
}

// Remove takes a pod from the active ones; the managers free what it had at the next admission.
func (n *Node) Remove(uid string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	delete(n.pods, uid)
}

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
