package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	cadvisor "github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/google/cadvisor/lib/utils/sysinfo"
	"k8s.io/klog/v2"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
)

// imaginedMachine answers the kubelet's question "what machine is this" from a file.
type imaginedMachine struct {
	cadvisortest.Fake
	info *cadvisor.MachineInfo
}

func (m *imaginedMachine) MachineInfo(klog.Logger) (*cadvisor.MachineInfo, error) {
	return m.info, nil
}

// readMachine reads a MachineInfo and completes what follows from its zones: memory, hugepages, identity.
func readMachine(path, name string) (*cadvisor.MachineInfo, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var info cadvisor.MachineInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if info.NumCores == 0 {
		return nil, fmt.Errorf("%s: num_cores is missing or 0", path)
	}
	if info.MemoryCapacity == 0 {
		for _, zone := range info.Topology {
			info.MemoryCapacity += zone.Memory
		}
	}
	if info.HugePages == nil {
		info.HugePages = hugePages(info.Topology)
	}
	for _, identity := range []*string{&info.MachineID, &info.SystemUUID, &info.BootID} {
		if *identity == "" {
			*identity = name
		}
	}
	return &info, nil
}

// hugePages sums the zones' pools by page size, in the order in which the sizes appear.
func hugePages(zones []cadvisor.Node) []cadvisor.HugePagesInfo {
	var pools []cadvisor.HugePagesInfo
	place := map[uint64]int{}
	for _, zone := range zones {
		for _, pool := range zone.HugePages {
			i, known := place[pool.PageSize]
			if !known {
				i = len(pools)
				place[pool.PageSize] = i
				pools = append(pools, cadvisor.HugePagesInfo{PageSize: pool.PageSize})
			}
			pools[i].NumPages += pool.NumPages
		}
	}
	return pools
}

// printMachine shows what cAdvisor itself makes of the sysfs tree that this process sees.
func printMachine(to io.Writer) error {
	zones, cores, err := sysinfo.GetNodesInfo(sysfs.NewRealSysFs())
	if err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(cadvisor.MachineInfo{NumCores: cores, Topology: zones})
}
