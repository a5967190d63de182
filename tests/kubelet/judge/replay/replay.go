// Package replay is the JSON of a sequence of admissions: a case in, an answer out, one a line.
//
// It knows the wire only; what a case means is the business of package kubelet. The machine and the kubelet's
// configuration stay raw here, because their types belong to one version of Kubernetes.
package replay

import (
	"encoding/json"

	v1 "k8s.io/api/core/v1"
)

// The operations of a step.
const (
	Admit   = "admit"
	Remove  = "remove"
	Started = "started"
)

// Case is one line of input: a node and what happens to it.
type Case struct {
	ID      string              `json:"id"`
	Version string              `json:"version"`
	Machine json.RawMessage     `json:"machine"`
	Kubelet json.RawMessage     `json:"kubelet"`
	Devices map[string][]Device `json:"devices"`
	Steps   []Step              `json:"steps"`
}

// Device is one device of a plugin; no zone at all is a device without topology.
type Device struct {
	ID      string  `json:"id"`
	NUMA    []int64 `json:"numa"`
	Healthy *bool   `json:"healthy"`
}

// Step is one event on the node: a pod to admit, or the uid of one that is gone or has started.
type Step struct {
	Op  string  `json:"op"`
	Pod *v1.Pod `json:"pod"`
	UID string  `json:"uid"`
}

// Answer is one line of output: an error, or a verdict for each admission (nil beside an error).
type Answer struct {
	ID       string    `json:"id"`
	Error    string    `json:"error,omitempty"`
	Verdicts []Verdict `json:"verdicts,omitzero"`
}

// Verdict is what the kubelet says to one admission. Empty members are left out.
type Verdict struct {
	Admit     bool                           `json:"admit"`
	Reason    string                         `json:"reason,omitempty"`
	Message   string                         `json:"message,omitempty"`
	PodCPUs   string                         `json:"podCpus,omitempty"`
	PodMemory []Block                        `json:"podMemory,omitempty"`
	CPUs      map[string]string              `json:"cpus,omitempty"`
	Memory    map[string][]Block             `json:"memory,omitempty"`
	Devices   map[string]map[string][]string `json:"devices,omitempty"`
	State     *State                         `json:"state,omitempty"`
}

// Block is an amount (bytes) of one memory type on a group of zones.
type Block struct {
	Type string `json:"type"`
	Size uint64 `json:"size"`
	NUMA []int  `json:"numa"`
}

// State is what the CPU and memory managers hold after a step, leftovers of a refused pod included.
type State struct {
	DefaultCPUSet string                       `json:"defaultCpuSet"`
	CPUs          map[string]map[string]string `json:"cpus"`
	PodCPUs       map[string]string            `json:"podCpus"`
	Memory        map[string]Zone              `json:"memory"`
}

// Zone is the memory manager's table of one zone.
type Zone struct {
	Assignments int              `json:"assignments"`
	Cells       []int            `json:"cells"`
	Types       map[string]Table `json:"types"`
}

// Table is the amounts (bytes) of one memory type in a zone; unsigned, so that an underflow shows as the kubelet has it.
type Table struct {
	Allocatable uint64 `json:"allocatable"`
	Reserved    uint64 `json:"reserved"`
	Free        uint64 `json:"free"`
}
