package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	_ "unsafe" // for go:linkname

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	"k8s.io/kubernetes/pkg/features"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	_ "k8s.io/kubernetes/pkg/kubelet/cm" // holds hardEvictionReservation
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/util/codec"
	"k8s.io/kubernetes/pkg/kubelet/stats/pidlimit"
	"k8s.io/utils/cpuset"
)

// settings is a kubelet's configuration with what cmd/kubelet/app/server.go:run makes of it for the managers.
type settings struct {
	kubeletconfig.KubeletConfiguration
	reservedCPUs    cpuset.CPUSet
	reservation     v1.ResourceList
	topologyOptions map[string]string
}

var codecs = func() *serializer.CodecFactory {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		panic(err)
	}
	return codecs
}()

// loadSettings follows the kubelet's start-up: decode with defaults, set the gates, validate, reserve.
// The errors are the kubelet's own.
func loadSettings(raw json.RawMessage, machine *MachineInfo) (*settings, error) {
	useGates(pristineGates)
	config, err := decodeConfig(raw)
	if err != nil {
		return nil, err
	}
	// These two ask for the cgroup version of the machine the judge runs on.
	config.FailCgroupV1, config.SingleProcessOOMKill = false, nil
	if err := setFeatureGates(config.FeatureGates); err != nil {
		return nil, fmt.Errorf("failed to set feature gates from initial flags-based config: %w", err)
	}
	if err := validation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate); err != nil {
		return nil, fmt.Errorf("failed to validate kubelet configuration, error: %w", err)
	}
	return makeSettings(config, machine)
}

func decodeConfig(raw json.RawMessage) (*kubeletconfig.KubeletConfiguration, error) {
	fields := map[string]json.RawMessage{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, fmt.Errorf("kubelet: %w", err)
		}
	}
	fields["apiVersion"] = json.RawMessage(`"kubelet.config.k8s.io/v1beta1"`)
	fields["kind"] = json.RawMessage(`"KubeletConfiguration"`)
	document, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	config, err := codec.DecodeKubeletConfiguration(silentContext, codecs, document)
	if err != nil {
		return nil, err
	}
	defaultEvictions(config)
	return config, nil
}

// defaultEvictions is the end of cmd/kubelet/app/server.go:loadConfigFile; it must not write into the kubelet's map.
func defaultEvictions(config *kubeletconfig.KubeletConfiguration) {
	switch {
	case config.EvictionHard == nil:
		config.EvictionHard = eviction.DefaultEvictionHard
	case config.MergeDefaultEvictionSettings:
		merged := maps.Clone(eviction.DefaultEvictionHard)
		maps.Copy(merged, config.EvictionHard)
		config.EvictionHard = merged
	}
}

// Feature gates are process-wide variables. Each distinct set of overrides gets a gate of its own, copied from the
// pristine one, and is put in the variables' place: no case sees the gates of another.
var (
	pristineGates = utilfeature.DefaultMutableFeatureGate.DeepCopy()
	knownGates    = map[string]featuregate.MutableVersionedFeatureGate{}
)

const maxKnownGates = 4096

func setFeatureGates(overrides map[string]bool) error {
	key := gatesKey(overrides)
	gate, known := knownGates[key]
	if !known {
		gate = pristineGates.DeepCopy()
		if err := gate.SetFromMap(overrides); err != nil {
			return err
		}
		if len(knownGates) == maxKnownGates {
			clear(knownGates)
		}
		knownGates[key] = gate
	}
	useGates(gate)
	return nil
}

func useGates(gate featuregate.MutableVersionedFeatureGate) {
	utilfeature.DefaultMutableFeatureGate, utilfeature.DefaultFeatureGate = gate, gate
}

func gatesKey(overrides map[string]bool) string {
	entries := make([]string, 0, len(overrides))
	for name, on := range overrides {
		entries = append(entries, fmt.Sprintf("%s=%t", name, on))
	}
	slices.Sort(entries)
	return strings.Join(entries, ",")
}

// makeSettings is the part of cmd/kubelet/app/server.go:run that prepares the container manager's configuration.
func makeSettings(config *kubeletconfig.KubeletConfiguration, machine *MachineInfo) (*settings, error) {
	reservedCPUs, err := reservedSystemCPUs(machine, config.ReservedSystemCPUs)
	if err != nil {
		return nil, err
	}
	if reservedCPUs.Size() > 0 {
		delete(config.KubeReserved, "cpu")
		if config.SystemReserved == nil {
			config.SystemReserved = map[string]string{}
		}
		config.SystemReserved["cpu"] = strconv.Itoa(reservedCPUs.Size())
	}
	kubeReserved, err := parseResourceList(config.KubeReserved)
	if err != nil {
		return nil, fmt.Errorf("--kube-reserved value failed to parse: %w", err)
	}
	systemReserved, err := parseResourceList(config.SystemReserved)
	if err != nil {
		return nil, fmt.Errorf("--system-reserved value failed to parse: %w", err)
	}
	thresholds, err := eviction.ParseThresholdConfig([]string{}, config.EvictionHard, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	options, err := topologyOptions(config)
	if err != nil {
		return nil, err
	}
	reservation := allocatableReservation(capacity(machine), systemReserved, kubeReserved, thresholds)
	return &settings{*config, reservedCPUs, reservation, options}, nil
}

func topologyOptions(config *kubeletconfig.KubeletConfiguration) (map[string]string, error) {
	if utilfeature.DefaultFeatureGate.Enabled(features.TopologyManagerPolicyOptions) {
		return config.TopologyManagerPolicyOptions, nil
	}
	if config.TopologyManagerPolicyOptions != nil {
		return nil, fmt.Errorf("topology manager policy options %v require feature gates %q enabled",
			config.TopologyManagerPolicyOptions, features.TopologyManagerPolicyOptions)
	}
	return nil, nil
}

// reservedSystemCPUs is cmd/kubelet/app/server.go:getReservedCPUs.
func reservedSystemCPUs(machine *MachineInfo, cpus string) (cpuset.CPUSet, error) {
	if cpus == "" {
		return cpuset.New(), nil
	}
	topology, err := discover(machine)
	if err != nil {
		return cpuset.New(), fmt.Errorf("unable to discover CPU topology info: %s", err)
	}
	reserved, err := cpuset.Parse(cpus)
	if err != nil {
		return cpuset.New(), fmt.Errorf("unable to parse reserved-cpus list: %s", err)
	}
	if online := topology.CPUDetails.CPUs(); !reserved.IsSubsetOf(online) {
		return cpuset.New(), fmt.Errorf("reserved-cpus: %s is not a subset of online-cpus: %s", cpus, online.String())
	}
	return reserved, nil
}

// parseResourceList is cmd/kubelet/app/server.go:parseResourceList.
func parseResourceList(amounts map[string]string) (v1.ResourceList, error) {
	list := v1.ResourceList{}
	for name, text := range amounts {
		switch v1.ResourceName(name) {
		case v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage, pidlimit.PIDs:
		default:
			return nil, fmt.Errorf("cannot reserve %q resource", name)
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, fmt.Errorf("failed to parse quantity %q for %q resource: %w", text, name, err)
		}
		if q.Sign() == -1 {
			return nil, fmt.Errorf("resource quantity for %q cannot be negative: %v", name, text)
		}
		if v1.ResourceName(name) == v1.ResourceCPU {
			roundReservedCPU(&q)
		}
		list[v1.ResourceName(name)] = q
	}
	return list, nil
}

// capacity is the part of cadvisor.CapacityFromMachineInfo that can be reserved. A machine that does not tell its
// memory capacity has the sum of its zones' memory.
func capacity(machine *MachineInfo) v1.ResourceList {
	memory := machine.MemoryCapacity
	if memory == 0 {
		for _, zone := range machine.Topology {
			memory += zone.Memory
		}
	}
	return v1.ResourceList{
		v1.ResourceCPU:    *resource.NewMilliQuantity(int64(machine.NumCores*1000), resource.DecimalSI),
		v1.ResourceMemory: *resource.NewQuantity(int64(memory), resource.BinarySI),
	}
}

//go:linkname hardEvictionReservation k8s.io/kubernetes/pkg/kubelet/cm.hardEvictionReservation
func hardEvictionReservation(thresholds []evictionapi.Threshold, capacity v1.ResourceList) v1.ResourceList

// allocatableReservation is containerManagerImpl.GetNodeAllocatableReservation, whose type is not exported.
func allocatableReservation(capacity, system, kube v1.ResourceList, thresholds []evictionapi.Threshold) v1.ResourceList {
	evictions := hardEvictionReservation(thresholds, capacity)
	result := v1.ResourceList{}
	for name := range capacity {
		value := resource.NewQuantity(0, resource.DecimalSI)
		value.Add(system[name])
		value.Add(kube[name])
		value.Add(evictions[name])
		if !value.IsZero() {
			result[name] = *value
		}
	}
	return result
}

// validateReservation is containerManagerImpl.validateNodeAllocatable.
func validateReservation(capacity, reservation v1.ResourceList) error {
	var complaints []string
	for name, reserved := range reservation {
		rest := capacity[name].DeepCopy()
		rest.Sub(reserved)
		if rest.Sign() < 0 {
			complaints = append(complaints, fmt.Sprintf(
				"Resource %q has a reservation of %v but capacity of %v. Expected capacity >= reservation.",
				name, reserved, capacity[name]))
		}
	}
	if len(complaints) == 0 {
		return nil
	}
	slices.Sort(complaints)
	return fmt.Errorf("invalid Node Allocatable configuration. %s", strings.Join(complaints, " "))
}
