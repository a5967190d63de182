// Command container-runtime is a CRI runtime whose containers are entries in a table.
//
// It is the fake runtime of k8s.io/cri-client with an end for containers: an ordinary init container exits 0 shortly
// after it started, and any container may be told by an annotation of its pod how long it runs. It is a process of its own,
// as a real runtime is, so containers outlive a restart of the kubelet.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/fake"
	"k8s.io/klog/v2"
)

func main() {
	endpoint := flag.String("endpoint", "", "where to listen, such as unix:///run/cri.sock")
	kubeconfig := flag.String("kubeconfig", "", "credentials that may read pods")
	initRuns := flag.Duration("init-runs", 100*time.Millisecond, "how long an ordinary init container runs")
	klog.InitFlags(nil)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *endpoint, *kubeconfig, *initRuns); err != nil {
		fmt.Fprintf(os.Stderr, "container-runtime: %v\n", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, endpoint, kubeconfig string, initRuns time.Duration) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	socket := strings.TrimPrefix(endpoint, "unix://")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	table := fake.NewFakeRemoteRuntime()
	table.RuntimeService.FakeStatus = ready()
	// An image without size is none to the kubelet, nor is a disk without a mount point.
	table.ImageService.SetFakeImageSize(1 << 20)
	table.ImageService.SetFakeFilesystemUsage(disk())
	table.ImageService.SetFakeContainerFilesystemUsage(disk())
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, &runtime{
		RemoteRuntime: table, lifetimes: &lifetimes{table: table.RuntimeService, pods: client.CoreV1(), initRuns: initRuns},
	})
	cri.RegisterImageServiceServer(server, table)
	go forgetCalls(ctx, table)
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	return server.Serve(listener)
}

func ready() *cri.RuntimeStatus {
	return &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: cri.RuntimeReady, Status: true},
		{Type: cri.NetworkReady, Status: true},
	}}
}

func disk() []*cri.FilesystemUsage {
	return []*cri.FilesystemUsage{{
		Timestamp:  time.Now().UnixNano(),
		FsId:       &cri.FilesystemIdentifier{Mountpoint: "/"},
		UsedBytes:  &cri.UInt64Value{Value: 1 << 20},
		InodesUsed: &cri.UInt64Value{Value: 1},
	}}
}

// forgetCalls empties the list of calls that the fake services keep for assertions and would let grow for ever.
func forgetCalls(ctx context.Context, table *fake.RemoteRuntime) {
	ticks := time.NewTicker(time.Minute)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			table.RuntimeService.Lock()
			table.RuntimeService.Called = nil
			table.RuntimeService.Unlock()
			table.ImageService.Lock()
			table.ImageService.Called = nil
			table.ImageService.Unlock()
		}
	}
}

// runtime is the table of containers, and whoever ends them.
type runtime struct {
	*fake.RemoteRuntime
	lifetimes *lifetimes
}

// StartContainer starts the container and, beside it, the wait for its end.
func (r *runtime) StartContainer(ctx context.Context, request *cri.StartContainerRequest) (*cri.StartContainerResponse, error) {
	response, err := r.RemoteRuntime.StartContainer(ctx, request)
	if err == nil {
		go r.lifetimes.watch(request.ContainerId)
	}
	return response, err
}
