package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// inventory is the devices of a file, and whoever waits for their next reading.
type inventory struct {
	file    string
	mutex   sync.Mutex
	devices []*api.Device
	changed chan struct{}
}

func (i *inventory) read() error {
	text, err := os.ReadFile(i.file)
	if err != nil {
		return err
	}
	devices, err := parseDevices(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", i.file, err)
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.changed != nil {
		close(i.changed)
	}
	i.devices, i.changed = devices, make(chan struct{})
	return nil
}

// current returns the devices and a channel that closes when they are read again.
func (i *inventory) current() ([]*api.Device, <-chan struct{}) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.devices, i.changed
}

func parseDevices(text string) ([]*api.Device, error) {
	devices := []*api.Device{}
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 || len(words) > 3 || (len(words) == 3 && words[2] != "unhealthy") {
			return nil, fmt.Errorf("%q is not \"id zone[,zone...] [unhealthy]\"", line)
		}
		topology, err := parseZones(words[1])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		device := &api.Device{ID: words[0], Health: api.Healthy, Topology: topology}
		if len(words) == 3 {
			device.Health = api.Unhealthy
		}
		devices = append(devices, device)
	}
	return devices, nil
}

func parseZones(text string) (*api.TopologyInfo, error) {
	if text == "-" {
		return nil, nil
	}
	topology := &api.TopologyInfo{}
	for _, word := range strings.Split(text, ",") {
		zone, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, err
		}
		topology.Nodes = append(topology.Nodes, &api.NUMANode{ID: zone})
	}
	return topology, nil
}

// plugin answers the kubelet.
type plugin struct {
	api.UnimplementedDevicePluginServer
	inventory *inventory
}

func (*plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		devices, changed := p.inventory.current()
		if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-changed:
		}
	}
}

func (*plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{})
	}
	return response, nil
}
