package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cgroupPrefix begins the name of the cgroup that all pods of a cluster are
// below. The name goes on with the supervisor's process number and start time,
// so that one whose supervisor is dead can be recognized.
const cgroupPrefix = "kubectl-stateful-test-"

// cgroupPatience is how long killed pods may take to leave their cgroups.
const cgroupPatience = 10 * time.Second

// kubeletControllers are those that the kubelet uses, as far as the kernel has them.
var kubeletControllers = []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}

func cgroupName(supervisor processID) string {
	return fmt.Sprintf("%s%d-%d", cgroupPrefix, supervisor.PID, supervisor.Start)
}

// cgroupOwner gets the supervisor from a cgroup's name.
func cgroupOwner(name string) (processID, bool) {
	rest, ours := strings.CutPrefix(name, cgroupPrefix)
	pidText, startText, found := strings.Cut(rest, "-")
	pid, err1 := strconv.Atoi(pidText)
	start, err2 := strconv.ParseUint(startText, 10, 64)
	if !ours || !found || err1 != nil || err2 != nil {
		return processID{}, false
	}
	return processID{pid, start}, true
}

// cgroupHierarchies gives the mount points of all cgroup hierarchies: one with
// cgroup v2, one per controller with v1.
func cgroupHierarchies() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var mounts []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if point, ok := cgroupMount(scanner.Text()); ok {
			mounts = append(mounts, point)
		}
	}
	return mounts, scanner.Err()
}

// cgroupMount gets the mount point from a line of mountinfo (see proc(5)) if
// it is of a cgroup hierarchy.
func cgroupMount(line string) (string, bool) {
	mount, filesystem, found := strings.Cut(line, " - ")
	if !found {
		return "", false
	}
	fields := strings.Fields(mount)
	kind, _, _ := strings.Cut(filesystem, " ")
	if len(fields) < 5 || kind != "cgroup" && kind != "cgroup2" {
		return "", false
	}
	return fields[4], true
}

// makeCgroup makes a cgroup in every hierarchy. The kubelet wants the root of
// its own cgroups to exist.
func makeCgroup(name string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, root := range hierarchies {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		// With v2 a cgroup has only the controllers that its parent hands
		// down. The hybrid layout has an additional v2 hierarchy that has
		// none: there is nothing to do.
		available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // v1
		}
		if err != nil {
			return err
		}
		for _, controller := range strings.Fields(string(available)) {
			if !slices.Contains(kubeletControllers, controller) {
				continue
			}
			for _, parent := range []string{root, dir} {
				file := filepath.Join(parent, "cgroup.subtree_control")
				if err := os.WriteFile(file, []byte("+"+controller), 0o644); err != nil {
					return fmt.Errorf("hand down cgroup controller %s: %w", controller, err)
				}
			}
		}
	}
	return nil
}

// removeCgroup removes a cgroup with all below it from every hierarchy. It
// waits a while for processes that are about to end.
func removeCgroup(name string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	return waitUntil(cgroupPatience, func() error {
		var errs []error
		for _, root := range hierarchies {
			errs = append(errs, removeTree(filepath.Join(root, name)))
		}
		return errors.Join(errs...)
	})
}

// removeTree removes directories only: the files of a cgroup cannot be
// removed, and go with it.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweepCgroups removes the cgroups of clusters whose supervisor was killed
// before it could do so itself.
func sweepCgroups() error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	stale := map[string]bool{}
	for _, root := range hierarchies {
		entries, err := os.ReadDir(root)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			owner, ours := cgroupOwner(entry.Name())
			if !ours {
				continue
			}
			alive, err := owner.alive()
			if err != nil {
				return err
			}
			if !alive {
				stale[entry.Name()] = true
			}
		}
	}
	for name := range stale {
		if err := removeCgroup(name); err != nil {
			return err
		}
	}
	return nil
}
