package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// inOwnMounts marks the second life of this process, the one inside its own mount namespace.
const inOwnMounts = "KUBELET_ON_MACHINE_IN_OWN_MOUNTS"

// enterOwnMounts gives this process a mount namespace in which rootDir is /var/lib/kubelet (the device manager's socket
// has a fixed path there), cgroup v2 is at /sys/fs/cgroup (the kubelet's start-up check wants it) and, if given,
// sysfs/devices/system is at /sys/devices/system. A namespace belongs to a thread until exec makes it the process's:
// so it starts this program anew in its place, with the same process id.
func enterOwnMounts(rootDir, sysfs string) error {
	if os.Getenv(inOwnMounts) != "" {
		return nil
	}
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace of its own: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := bind(rootDir, "/var/lib/kubelet"); err != nil {
		return err
	}
	if err := syscall.Mount("none", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("cgroup2 on /sys/fs/cgroup: %w", err)
	}
	if sysfs != "" {
		if err := bind(filepath.Join(sysfs, "devices/system"), "/sys/devices/system"); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, append(os.Environ(), inOwnMounts+"=1"))
}

func bind(from, to string) error {
	for _, folder := range []string{from, to} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("%s seen as %s: %w", from, to, err)
	}
	return nil
}
