package kubelet

import (
	"cmp"
	"slices"
	"strconv"

	v1 "k8s.io/api/core/v1"
	memorystate "k8s.io/kubernetes/pkg/kubelet/cm/memorymanager/state"

	"numa-extender/judge/replay"
)

// verdict reads from the managers' state what an admitted pod got.
func (n *Node) verdict(uid string, pod *v1.Pod) replay.Verdict {
	result := replay.Verdict{Admit: true}
	result.PodCPUs = podCPUs(n.cpuState)[uid].String()
	result.PodMemory = blocks(podMemory(n.memoryState, uid))
	result.CPUs = map[string]string{}
	for name, cpus := range n.cpuState.GetCPUAssignments()[uid] {
		if !cpus.IsEmpty() {
			result.CPUs[name] = cpus.String()
		}
	}
	result.Memory = map[string][]replay.Block{}
	for name, list := range n.memoryState.GetMemoryAssignments()[uid] {
		if len(list) > 0 {
			result.Memory[name] = blocks(list)
		}
	}
	result.Devices = map[string]map[string][]string{}
	for _, containers := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if ids := n.deviceIDs(uid, containers[i].Name); len(ids) > 0 {
				result.Devices[containers[i].Name] = ids
			}
		}
	}
	return result
}

func (n *Node) deviceIDs(uid, container string) map[string][]string {
	result := map[string][]string{}
	for resource, instances := range n.devices.GetDevices(uid, container) {
		for id := range instances {
			result[resource] = append(result[resource], id)
		}
		slices.Sort(result[resource])
	}
	return result
}

func blocks(list []memorystate.Block) []replay.Block {
	result := make([]replay.Block, 0, len(list))
	for _, block := range list {
		result = append(result, replay.Block{Type: string(block.Type), Size: block.Size, NUMA: block.NUMAAffinity})
	}
	slices.SortFunc(result, func(a, b replay.Block) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), slices.Compare(a.NUMA, b.NUMA))
	})
	return result
}

// State is a copy of what the CPU and memory managers hold now.
func (n *Node) State() *replay.State {
	state := &replay.State{
		DefaultCPUSet: n.cpuState.GetDefaultCPUSet().String(),
		CPUs:          map[string]map[string]string{},
		PodCPUs:       map[string]string{},
		Memory:        map[string]replay.Zone{},
	}
	for uid, containers := range n.cpuState.GetCPUAssignments() {
		state.CPUs[uid] = map[string]string{}
		for name, cpus := range containers {
			state.CPUs[uid][name] = cpus.String()
		}
	}
	for uid, cpus := range podCPUs(n.cpuState) {
		state.PodCPUs[uid] = cpus.String()
	}
	for id, zone := range n.memoryState.GetMachineState() {
		state.Memory[strconv.Itoa(id)] = zoneTable(zone)
	}
	return state
}

func zoneTable(zone *memorystate.NUMANodeState) replay.Zone {
	result := replay.Zone{Assignments: zone.NumberOfAssignments, Cells: zone.Cells, Types: map[string]replay.Table{}}
	for kind, table := range zone.MemoryMap {
		result.Types[string(kind)] = replay.Table{Allocatable: table.Allocatable, Reserved: table.Reserved, Free: table.Free}
	}
	return result
}
