package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nodeNamespaces are what the node tier has to itself. All of it goes when the
// first process of the PID namespace ends, however that happens: the kernel
// kills every other process in it, and with the last process the mounts,
// interfaces, addresses and packet filter rules go, too.
const nodeNamespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// hiddenDirs are where kubelet, containerd, CNI plugins and iptables keep
// their state. The cluster gets empty ones, so that it neither sees nor
// touches the host's, and they can all use their default paths.
var hiddenDirs = []string{"/run", "/var/lib", "/var/log"}

// kernelSettings are those that the kubelet makes sure of
// (setupKernelTunables in pkg/kubelet/cm). They belong to the whole machine.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// enterNamespaces prepares the new namespaces from within, as their first process.
func (c *cluster) enterNamespaces() error {
	keep, err := c.keptDirs()
	if err != nil {
		return err
	}
	// First nothing may reach the host's mounts. Then the mounts become
	// shared among the namespaces below this one, as on any machine: volumes
	// with mountPropagation need it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	const quiet = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("proc", "/proc", "proc", quiet|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Directories below a hidden one are held by descriptors meanwhile.
	held, err := hold(keep)
	if err != nil {
		return err
	}
	for _, dir := range hiddenDirs {
		if err := unix.Mount("tmpfs", dir, "tmpfs", quiet, "mode=0755"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	for path, file := range held {
		if err := bind(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), path); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	// What may become large or is worth a look afterwards is on disk.
	for target, name := range map[string]string{
		"/var/lib/containerd": "containerd",
		"/var/lib/kubelet":    "kubelet",
		"/var/log/pods":       "pod-logs",
		// Examples with hostPath volumes write here.
		"/mnt": "mnt",
	} {
		if err := os.MkdirAll(c.path(name), 0o755); err != nil {
			return err
		}
		if err := bind(c.path(name), target); err != nil {
			return err
		}
	}
	if err := pretendSettings(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	return configureCluster(c.Address)
}

// keptDirs are the directories that must stay visible, those of them that are
// below a hidden one.
func (c *cluster) keptDirs() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var keep []string
	for _, dir := range append([]string{c.Dir, filepath.Dir(self)}, c.Images...) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, err
		}
		for _, hidden := range hiddenDirs {
			if strings.HasPrefix(real, hidden+"/") {
				keep = append(keep, real)
			}
		}
	}
	return keep, nil
}

func hold(dirs []string) (map[string]*os.File, error) {
	held := map[string]*os.File{}
	for _, dir := range dirs {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		held[dir] = os.NewFile(uintptr(fd), dir)
	}
	return held, nil
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}

// pretendSettings puts a file with the value that the kubelet wants in place of
// each kernel setting that has another one. So the kubelet is content, and the
// machine stays as it is.
func pretendSettings() error {
	for name, want := range kernelSettings {
		file := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not in this kernel; the kubelet will say so if it minds
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(value)) == want {
			continue
		}
		pretended := filepath.Join("/run/kernel-settings", name)
		if err := os.MkdirAll(filepath.Dir(pretended), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(pretended, []byte(want+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(pretended, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover %s: %w", file, err)
		}
	}
	return nil
}
