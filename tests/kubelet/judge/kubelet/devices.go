package kubelet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	pluginapi "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"numa-extender/judge/replay"
)

// registerDevices plays one plugin a resource: it connects and reports its devices, without a socket between.
func (n *Node) registerDevices(devices map[string][]replay.Device) error {
	for resource, list := range devices {
		plugin := devicePlugin{resource: resource, located: map[string]bool{}}
		for _, device := range list {
			plugin.located[device.ID] = slices.ContainsFunc(device.NUMA, func(zone int64) bool { return zone >= 0 })
		}
		if err := connectPlugin(n.devices, resource, plugin); err != nil {
			return fmt.Errorf("devices: %s: %w", resource, err)
		}
		response := &pluginapi.ListAndWatchResponse{}
		for _, device := range list {
			response.Devices = append(response.Devices, pluginDevice(device))
		}
		reportDevices(n.devices, resource, response)
	}
	return nil
}

func pluginDevice(device replay.Device) *pluginapi.Device {
	result := &pluginapi.Device{ID: device.ID, Health: pluginapi.Healthy}
	if device.Healthy != nil && !*device.Healthy {
		result.Health = pluginapi.Unhealthy
	}
	if len(device.NUMA) > 0 {
		result.Topology = &pluginapi.TopologyInfo{}
		for _, zone := range device.NUMA {
			result.Topology.Nodes = append(result.Topology.Nodes, &pluginapi.NUMANode{ID: zone})
		}
	}
	return result
}

// devicePlugin is a plugin that allows every allocation and prefers devices with a zone, among them the lowest ids: the
// kubelet's own order where it has one, and the same choice every time where it has none, so that answers repeat.
type devicePlugin struct {
	pluginapi.DevicePluginClient
	resource string
	located  map[string]bool
}

func (p devicePlugin) API() pluginapi.DevicePluginClient { return p }
func (p devicePlugin) Resource() string                  { return p.resource }
func (p devicePlugin) SocketPath() string                { return "/" + p.resource }

func (devicePlugin) GetDevicePluginOptions(context.Context, *pluginapi.Empty, ...grpc.CallOption) (*pluginapi.DevicePluginOptions, error) {
	return &pluginapi.DevicePluginOptions{GetPreferredAllocationAvailable: true}, nil
}

func (p devicePlugin) GetPreferredAllocation(_ context.Context, request *pluginapi.PreferredAllocationRequest, _ ...grpc.CallOption) (*pluginapi.PreferredAllocationResponse, error) {
	response := &pluginapi.PreferredAllocationResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses,
			&pluginapi.ContainerPreferredAllocationResponse{DeviceIDs: p.preferred(container)})
	}
	return response, nil
}

func (p devicePlugin) preferred(request *pluginapi.ContainerPreferredAllocationRequest) []string {
	chosen := slices.Clone(request.MustIncludeDeviceIDs)
	available := slices.SortedFunc(slices.Values(request.AvailableDeviceIDs), func(one, other string) int {
		if p.located[one] != p.located[other] {
			if p.located[one] {
				return -1
			}
			return 1
		}
		return strings.Compare(one, other)
	})
	for _, id := range available {
		if len(chosen) >= int(request.AllocationSize) {
			break
		}
		if !slices.Contains(chosen, id) {
			chosen = append(chosen, id)
		}
	}
	return chosen
}

func (devicePlugin) Allocate(_ context.Context, request *pluginapi.AllocateRequest, _ ...grpc.CallOption) (*pluginapi.AllocateResponse, error) {
	response := &pluginapi.AllocateResponse{}
	for range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &pluginapi.ContainerAllocateResponse{})
	}
	return response, nil
}
