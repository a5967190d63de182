//go:build kube135

package kubelet

import (
	_ "unsafe" // for go:linkname

	cadvisor "github.com/google/cadvisor/info/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"
	pluginapi "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	cpustate "k8s.io/kubernetes/pkg/kubelet/cm/cpumanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager/topology"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	plugin "k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/cm/memorymanager"
	memorystate "k8s.io/kubernetes/pkg/kubelet/cm/memorymanager/state"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
	"k8s.io/utils/cpuset"
)

// Version is the Kubernetes minor whose code this program holds.
const Version = "1.35"

// MachineInfo is cAdvisor's description of a machine.
type MachineInfo = cadvisor.MachineInfo

//go:linkname newManagerImpl k8s.io/kubernetes/pkg/kubelet/cm/devicemanager.newManagerImpl
func newManagerImpl(klog.Logger, string, []cadvisor.Node, topologymanager.Store) (*devicemanager.ManagerImpl, error)

func newTopologyManager(machine *MachineInfo, c *settings) (topologymanager.Manager, error) {
	return topologymanager.NewManager(machine.Topology, c.TopologyManagerPolicy, c.TopologyManagerScope, c.topologyOptions)
}

func newDeviceManager(socket string, machine *MachineInfo, store topologymanager.Store) (*devicemanager.ManagerImpl, error) {
	return newManagerImpl(silent, socket, machine.Topology, store)
}

func newCPUManager(
	machine *MachineInfo, c *settings, directory string, store topologymanager.Store,
) (cpumanager.Manager, error) {
	return cpumanager.NewManager(silent, c.CPUManagerPolicy, c.CPUManagerPolicyOptions, c.CPUManagerReconcilePeriod.Duration,
		machine, c.reservedCPUs, c.reservation, directory, store)
}

func newMemoryManager(
	machine *MachineInfo, c *settings, directory string, store topologymanager.Store,
) (memorymanager.Manager, error) {
	return memorymanager.NewManager(silent, c.MemoryManagerPolicy, machine, c.reservation, c.ReservedMemory, directory, store)
}

func startCPUManager(manager cpumanager.Manager, pods cpumanager.ActivePodsFunc) error {
	return manager.Start(silentContext, pods, ready{}, noStatus{}, nil, containermap.NewContainerMap())
}

func newCPUState() cpustate.State { return cpustate.NewMemoryState(silent) }

func startCPUPolicy(policy cpumanager.Policy, state cpustate.State) error {
	return policy.Start(silent, state)
}

func startMemoryPolicy(policy memorymanager.Policy, state memorystate.State) error {
	return policy.Start(silent, state)
}

func addHintProvider(topology topologymanager.Manager, provider topologymanager.HintProvider) {
	topology.AddHintProvider(silent, provider)
}

func admit(topology topologymanager.Manager, pod *v1.Pod) lifecycle.PodAdmitResult {
	return topology.Admit(&lifecycle.PodAdmitAttributes{Pod: pod})
}

// preStartContainer is internalContainerLifecycleImpl.PreStartContainer, whose type is not exported.
func (n *Node) preStartContainer(pod *v1.Pod, container *v1.Container, id string) {
	n.cpu.AddContainer(silent, pod, container, id)
	n.memory.AddContainer(silent, pod, container, id)
	n.topology.AddContainer(pod, container, id)
}

func connectPlugin(devices *devicemanager.ManagerImpl, resource string, p plugin.DevicePlugin) error {
	return devices.PluginConnected(silentContext, resource, p)
}

func reportDevices(devices *devicemanager.ManagerImpl, resource string, response *pluginapi.ListAndWatchResponse) {
	devices.PluginListAndWatchReceiver(silent, resource, response)
}

func discover(machine *MachineInfo) (*topology.CPUTopology, error) {
	return topology.Discover(silent, machine)
}

// roundReservedCPU does nothing: the parts of a thousandth count up to 1.36.
func roundReservedCPU(*resource.Quantity) {}

// There are no pod-level managers in 1.35.
func podCPUs(cpustate.Reader) map[string]cpuset.CPUSet { return nil }

func podMemory(memorystate.Reader, string) []memorystate.Block { return nil }
