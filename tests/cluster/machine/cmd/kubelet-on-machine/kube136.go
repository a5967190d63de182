//go:build kube136

package main

import (
	cadvisor "github.com/google/cadvisor/info/v1"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/google/cadvisor/utils/sysinfo"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
)

type (
	machineInfo   = cadvisor.MachineInfo
	zoneInfo      = cadvisor.Node
	hugePagesInfo = cadvisor.HugePagesInfo
)

func (m *imaginedMachine) MachineInfo() (*machineInfo, error) {
	return m.info, nil
}

// zonesOfSysfs is what cAdvisor itself finds below /sys: zones and the number of CPUs.
func zonesOfSysfs() ([]zoneInfo, int, error) {
	return sysinfo.GetNodesInfo(sysfs.NewRealSysFs())
}

func newNodeStartupLatencyTracker() kubeletutil.NodeStartupLatencyTracker {
	return kubeletutil.NewNodeStartupLatencyTracker()
}
