//go:build !kube136

package main

import (
	cadvisor "github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/google/cadvisor/lib/utils/sysinfo"
	"k8s.io/klog/v2"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
)

type (
	machineInfo   = cadvisor.MachineInfo
	zoneInfo      = cadvisor.Node
	hugePagesInfo = cadvisor.HugePagesInfo
)

func (m *imaginedMachine) MachineInfo(klog.Logger) (*machineInfo, error) {
	return m.info, nil
}

// zonesOfSysfs is what cAdvisor itself finds below /sys: zones and the number of CPUs.
func zonesOfSysfs() ([]zoneInfo, int, error) {
	return sysinfo.GetNodesInfo(sysfs.NewRealSysFs())
}

func newNodeStartupLatencyTracker() kubeletutil.NodeStartupLatencyTracker {
	return kubeletutil.NewNodeStartupLatencyTracker(klog.Background())
}
