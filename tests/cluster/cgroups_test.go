package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCgroupNameSaysWhose(t *testing.T) {
	owner := processID{PID: 123, Start: 4567}
	got, ours := cgroupOwner(cgroupName(owner))
	if !ours || got != owner {
		t.Errorf("owner is %v, %v", got, ours)
	}
	for _, name := range []string{"system.slice", "kubepods", cgroupPrefix, cgroupPrefix + "123", cgroupPrefix + "1-2-3", cgroupPrefix + "x-1"} {
		if _, ours := cgroupOwner(name); ours {
			t.Errorf("%s is taken for ours", name)
		}
	}
}

func TestCgroupMount(t *testing.T) {
	for line, want := range map[string]string{
		"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate": "/sys/fs/cgroup",
		"33 32 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu":                      "/sys/fs/cgroup/cpu",
		"32 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755":                       "",
		"40 23 0:30 / /mnt rw - ext4 /dev/cgroup rw":                                     "",
		"garbage": "",
	} {
		if got, _ := cgroupMount(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestRemoveTree(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.MkdirAll(filepath.Join(root, "kubepods", "burstable", "pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err != nil {
		t.Error(err)
	}
	if err := removeTree(root); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}
