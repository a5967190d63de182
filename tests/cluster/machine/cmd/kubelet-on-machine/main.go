// Command kubelet-on-machine runs the kubelet of Kubernetes on a machine that exists only in a file.
//
// The kubelet and its container manager (topology, CPU, memory and device managers, PodResources, device plugin
// registration, checkpoints, /configz) are the real ones. Imagined are the hardware, which is what the kubelet asks
// cAdvisor for, and whatever touches the host: mounts, OOM scores, probes. Containers are those of the runtime behind
// the configuration's containerRuntimeEndpoint.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	noop "go.opentelemetry.io/otel/trace/noop"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/record"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	probetest "k8s.io/kubernetes/pkg/kubelet/prober/testing"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
)

type settings struct {
	machine, config, kubeconfig, rootDir, nodeName, sysfs string
	printMachine                                          bool
}

func parse() settings {
	var s settings
	flag.StringVar(&s.machine, "machine", "", "file with the machine, as the JSON of a cAdvisor MachineInfo")
	flag.StringVar(&s.config, "config", "", "file with the KubeletConfiguration")
	flag.StringVar(&s.kubeconfig, "kubeconfig", "", "file with the credentials for the API server")
	flag.StringVar(&s.rootDir, "root-dir", "", "the kubelet's folder, also seen as /var/lib/kubelet by this process")
	flag.StringVar(&s.nodeName, "node-name", "", "name of the Node")
	flag.StringVar(&s.sysfs, "sysfs", "", "optional folder to be seen as /sys by this process (its devices/system part)")
	flag.BoolVar(&s.printMachine, "print-machine", false, "print the zones that cAdvisor finds in --sysfs, and end")
	klog.InitFlags(nil)
	flag.Parse()
	for name, value := range map[string]string{
		"machine": s.machine, "config": s.config, "kubeconfig": s.kubeconfig, "root-dir": s.rootDir, "node-name": s.nodeName,
	} {
		if value == "" && (!s.printMachine || name == "root-dir") {
			fail(fmt.Errorf("--%s is required", name))
		}
	}
	return s
}

func main() {
	s := parse()
	if err := enterOwnMounts(s.rootDir, s.sysfs); err != nil {
		fail(err)
	}
	if s.printMachine {
		if err := printMachine(os.Stdout); err != nil {
			fail(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fail(err)
	}
}

func run(ctx context.Context, s settings) error {
	machine, err := readMachine(s.machine, s.nodeName)
	if err != nil {
		return err
	}
	config, err := readConfiguration(ctx, s.config)
	if err != nil {
		return err
	}
	// The managers ask for gates while they are built, before app.Run would set them.
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates); err != nil {
		return err
	}
	flags := options.NewKubeletFlags()
	flags.RootDirectory = s.rootDir
	flags.CertDirectory = filepath.Join(s.rootDir, "pki")
	flags.HostnameOverride = s.nodeName
	flags.KubeConfig = s.kubeconfig
	deps, err := dependencies(ctx, flags, config, &imaginedMachine{info: machine})
	if err != nil {
		return err
	}
	server := &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}
	return app.Run(ctx, server, deps, utilfeature.DefaultFeatureGate)
}

// readConfiguration loads the file as the kubelet's own command does, with its defaults.
func readConfiguration(ctx context.Context, path string) (*kubeletconfig.KubeletConfiguration, error) {
	loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, path)
	if err != nil {
		return nil, err
	}
	config, err := loader.Load(ctx)
	if err != nil {
		return nil, err
	}
	if config.EvictionHard == nil {
		config.EvictionHard = eviction.DefaultEvictionHard
	}
	return config, nil
}

// dependencies leaves out ContainerManager, authentication, clients and runtime: what is nil, the kubelet builds for real.
func dependencies(
	ctx context.Context, flags *options.KubeletFlags, config *kubeletconfig.KubeletConfiguration, machine *imaginedMachine,
) (*kubelet.Dependencies, error) {
	tls, err := app.InitializeTLS(ctx, flags, config)
	if err != nil {
		return nil, err
	}
	var plugins []volume.VolumePlugin
	plugins = append(plugins, emptydir.ProbeVolumePlugins()...)
	plugins = append(plugins, configmap.ProbeVolumePlugins()...)
	plugins = append(plugins, secret.ProbeVolumePlugins()...)
	plugins = append(plugins, downwardapi.ProbeVolumePlugins()...)
	plugins = append(plugins, projected.ProbeVolumePlugins()...)
	return &kubelet.Dependencies{
		CAdvisorInterface:         machine,
		ProbeManager:              probetest.FakeManager{},
		OSInterface:               &containertest.FakeOS{},
		VolumePlugins:             plugins,
		TLSOptions:                tls,
		OOMAdjuster:               oom.NewFakeOOMAdjuster(),
		Mounter:                   &mount.FakeMounter{},
		Subpather:                 &subpath.FakeSubpath{},
		HostUtil:                  hostutil.NewFakeHostUtil(nil),
		PodStartupLatencyTracker:  kubeletutil.NewPodStartupLatencyTracker(),
		NodeStartupLatencyTracker: newNodeStartupLatencyTracker(),
		TracerProvider:            noop.NewTracerProvider(),
		Recorder:                  &record.FakeRecorder{},
	}, nil
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "kubelet-on-machine: %v\n", err)
	os.Exit(1)
}
