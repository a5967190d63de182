// Command device-plugin offers imagined devices to a kubelet by the device plugin protocol v1beta1.
//
// The devices are lines of a file, "id zone[,zone...] [unhealthy]", with "-" for a device without topology. SIGHUP makes it
// read the file again and tell the kubelet. When the kubelet starts anew, the plugin registers again.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/klog/v2"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

func main() {
	resource := flag.String("resource", "", "name of the resource, such as example.com/nic")
	devices := flag.String("devices", "", "file with the devices")
	folder := flag.String("plugin-dir", "", "the kubelet's folder device-plugins")
	klog.InitFlags(nil)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *resource, *devices, *folder); err != nil {
		fmt.Fprintf(os.Stderr, "device-plugin: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, resource, devices, folder string) error {
	inventory := &inventory{file: devices}
	if err := inventory.read(); err != nil {
		return err
	}
	go rereadOnHangup(ctx, inventory)
	for ctx.Err() == nil {
		if err := serveOneKubelet(ctx, resource, folder, inventory); err != nil {
			klog.ErrorS(err, "Not registered")
			time.Sleep(200 * time.Millisecond)
		}
	}
	return nil
}

func rereadOnHangup(ctx context.Context, inventory *inventory) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := inventory.read(); err != nil {
				klog.ErrorS(err, "The devices stay as they were")
			}
		}
	}
}

// serveOneKubelet listens, registers, and returns when the kubelet has removed the plugin's socket, which it does when it starts.
func serveOneKubelet(ctx context.Context, resource, folder string, inventory *inventory) error {
	endpoint := strings.ReplaceAll(resource, "/", "-") + ".sock"
	socket := filepath.Join(folder, endpoint)
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, &plugin{inventory: inventory})
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	if err := register(ctx, resource, endpoint, filepath.Join(folder, "kubelet.sock")); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(socket); os.IsNotExist(err) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func register(ctx context.Context, resource, endpoint, kubelet string) error {
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: endpoint, ResourceName: resource,
	})
	return err
}
