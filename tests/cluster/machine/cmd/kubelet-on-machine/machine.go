package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
)

// imaginedMachine answers the kubelet's question "what machine is this" from a file.
type imaginedMachine struct {
	cadvisortest.Fake
	info *machineInfo
}

// readMachine reads a MachineInfo and completes what follows from its zones: memory, hugepages, identity.
func readMachine(path, name string) (*machineInfo, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var info machineInfo
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
func hugePages(zones []zoneInfo) []hugePagesInfo {
	var pools []hugePagesInfo
	place := map[uint64]int{}
	for _, zone := range zones {
		for _, pool := range zone.HugePages {
			i, known := place[pool.PageSize]
			if !known {
				i = len(pools)
				place[pool.PageSize] = i
				pools = append(pools, hugePagesInfo{PageSize: pool.PageSize})
			}
			pools[i].NumPages += pool.NumPages
		}
	}
	return pools
}

// printMachine shows what cAdvisor itself makes of the sysfs tree that this process sees.
func printMachine(to io.Writer) error {
	zones, cores, err := zonesOfSysfs()
	if err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(machineInfo{NumCores: cores, Topology: zones})
}
