package kubelet

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet/checkpointmanager"
	"k8s.io/kubernetes/pkg/kubelet/checkpointmanager/errors"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	cpustate "k8s.io/kubernetes/pkg/kubelet/cm/cpumanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	memorystate "k8s.io/kubernetes/pkg/kubelet/cm/memorymanager/state"
	"k8s.io/kubernetes/pkg/kubelet/config"
)

// start follows container_manager_linux.go:Start.
func (n *Node) start(files bool) error {
	startCPU, startMemory := n.startCPU, n.startMemory
	if files {
		startCPU, startMemory = n.startCPUWithFile, n.startMemoryWithFile
	}
	if err := startCPU(); err != nil {
		return fmt.Errorf("start cpu manager error: %w", err)
	}
	if err := startMemory(); err != nil {
		return fmt.Errorf("start memory manager error: %w", err)
	}
	n.startDevices()
	return nil
}

// startCPUWithFile is the manager's own Start. Its state writes a file at every change, and a loop that never ends
// looks for stale state.
func (n *Node) startCPUWithFile() error {
	if err := startCPUManager(n.cpu, n.activePods); err != nil {
		return err
	}
	n.cpuState = get[cpustate.State](n.cpu, "state")
	return nil
}

// startCPU stands for Start, with the state in memory and without the loop.
func (n *Node) startCPU() error {
	n.cpuState = newCPUState()
	set(n.cpu, "state", n.cpuState)
	set(n.cpu, "activePods", cpumanager.ActivePodsFunc(n.activePods))
	set(n.cpu, "sourcesReady", config.SourcesReady(ready{}))
	set(n.cpu, "containerMap", containermap.NewContainerMap())
	return startCPUPolicy(get[cpumanager.Policy](n.cpu, "policy"), n.cpuState)
}

func (n *Node) startMemoryWithFile() error {
	err := n.memory.Start(silentContext, n.activePods, ready{}, noStatus{}, nil, containermap.NewContainerMap())
	if err != nil {
		return err
	}
	n.memoryState = get[memorystate.State](n.memory, "state")
	return nil
}

func (n *Node) startMemory() error {
	n.memoryState = memorystate.NewMemoryState(silent)
	set(n.memory, "state", n.memoryState)
	set(n.memory, "activePods", memorymanager.ActivePodsFunc(n.activePods))
	set(n.memory, "sourcesReady", config.SourcesReady(ready{}))
	set(n.memory, "containerMap", containermap.NewContainerMap())
	return startMemoryPolicy(get[memorymanager.Policy](n.memory, "policy"), n.memoryState)
}

// startDevices stands for Start, without the registration socket; the checkpoint is only read by a kubelet that starts.
func (n *Node) startDevices() {
	set(n.devices, "activePods", devicemanager.ActivePodsFunc(n.activePods))
	set(n.devices, "sourcesReady", config.SourcesReady(ready{}))
	set(n.devices, "containerMap", containermap.NewContainerMap())
	set(n.devices, "checkpointManager", checkpointmanager.CheckpointManager(noCheckpoint{}))
}

// ready says that the kubelet has heard from the API server, which it must before it clears stale state.
type ready struct{}

func (ready) AddSource(string) {}
func (ready) AllReady() bool   { return true }

// noStatus knows no container in a runtime, so that the CPU manager has none to reconcile.
type noStatus struct{}

func (noStatus) GetPodStatus(types.UID) (v1.PodStatus, bool) { return v1.PodStatus{}, false }

// noCheckpoint keeps the device manager from writing a file at every allocation.
type noCheckpoint struct{}

func (noCheckpoint) CreateCheckpoint(string, checkpointmanager.Checkpoint) error { return nil }
func (noCheckpoint) GetCheckpoint(string, checkpointmanager.Checkpoint) error {
	return errors.ErrCheckpointNotFound
}
func (noCheckpoint) RemoveCheckpoint(string) error      { return nil }
func (noCheckpoint) ListCheckpoints() ([]string, error) { return nil, nil }
