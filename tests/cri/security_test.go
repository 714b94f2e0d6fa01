// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func security(f func(*rt.LinuxContainerSecurityContext)) func(*rt.ContainerConfig) {
	return func(c *rt.ContainerConfig) { f(c.Linux.SecurityContext) }
}

const (
	capNetRaw   = 1 << 13
	capSysAdmin = 1 << 21
	capChown    = 1 << 0
	// What containerd gives by default.
	capsDefault = "00000000a80425fb"
)

func field(t *testing.T, status, name string) string {
	t.Helper()
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	t.Errorf("%s is not in %q", name, status)
	return ""
}

func hex(t *testing.T, text string) (v uint64) {
	t.Helper()
	for _, c := range text {
		v = v<<4 | uint64(strings.IndexRune("0123456789abcdef", c))
	}
	return v
}

// TestSecurity: a pod's security context takes effect in the guest.
func TestSecurity(t *testing.T) {
	p := newPod(t)
	const show = "cat /proc/self/status"
	t.Run("defaults", func(t *testing.T) {
		st := p.output(t, show)
		same(t, "capabilities", field(t, st, "CapEff"), capsDefault)
		same(t, "seccomp", field(t, st, "Seccomp"), "2")
		same(t, "no_new_privs", field(t, st, "NoNewPrivs"), "0")
		same(t, "uid", field(t, st, "Uid"), "0\t0\t0\t0")
	})
	t.Run("user and groups", func(t *testing.T) {
		out := p.output(t, "id -u; id -g; id -G", security(func(s *rt.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsGroup, s.SupplementalGroups = &rt.Int64Value{Value: 1234}, &rt.Int64Value{Value: 2345}, []int64{3456, 4567}
		}))
		same(t, "ids", out, "1234\n2345\n2345 3456 4567")
	})
	t.Run("capabilities", func(t *testing.T) {
		st := p.output(t, show, security(func(s *rt.LinuxContainerSecurityContext) {
			s.Capabilities = &rt.Capability{AddCapabilities: []string{"SYS_ADMIN"}, DropCapabilities: []string{"NET_RAW"}}
		}))
		same(t, "capabilities", hex(t, field(t, st, "CapEff")), (hex(t, capsDefault)|capSysAdmin)&^capNetRaw)
		st = p.output(t, show, security(func(s *rt.LinuxContainerSecurityContext) {
			s.Capabilities = &rt.Capability{AddCapabilities: []string{"CHOWN"}, DropCapabilities: []string{"ALL"}}
		}))
		same(t, "capabilities", hex(t, field(t, st, "CapEff")), uint64(capChown))
		same(t, "bounding set", hex(t, field(t, st, "CapBnd")), uint64(capChown))
	})
	t.Run("no_new_privs", func(t *testing.T) {
		st := p.output(t, show, security(func(s *rt.LinuxContainerSecurityContext) { s.NoNewPrivs = true }))
		same(t, "no_new_privs", field(t, st, "NoNewPrivs"), "1")
	})
	t.Run("read-only root", func(t *testing.T) {
		out := p.output(t, "touch /x 2>&1 || echo ro; touch /dev/shm/x && echo shm", security(func(s *rt.LinuxContainerSecurityContext) { s.ReadonlyRootfs = true }))
		contains(t, "write", out, "Read-only file system\nro\nshm")
	})
	t.Run("masked and read-only paths", func(t *testing.T) {
		const look = "wc -c </proc/timer_list; echo 1 2>/dev/null >/proc/sys/kernel/sysrq && echo written || echo refused"
		same(t, "default", p.output(t, look), "0\nrefused")
		out := p.output(t, look, security(func(s *rt.LinuxContainerSecurityContext) {
			s.MaskedPaths, s.ReadonlyPaths = nil, nil
			s.Capabilities = &rt.Capability{AddCapabilities: []string{"ALL"}}
		}))
		if strings.HasPrefix(out, "0\n") {
			t.Errorf("procMount Unmasked: /proc/timer_list is masked: %q", out)
		}
	})
	t.Run("seccomp", func(t *testing.T) {
		profile := filepath.Join(work, "kubelet", "profile.json")
		ok(t, os.WriteFile(profile, []byte(`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
			"syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}`), 0o644))
		out := p.output(t, "mkdir /made 2>&1; grep Seccomp: /proc/self/status", security(func(s *rt.LinuxContainerSecurityContext) {
			s.Seccomp = &rt.SecurityProfile{ProfileType: rt.SecurityProfile_Localhost, LocalhostRef: profile}
		}))
		contains(t, "local profile", out, "not supported")
		same(t, "mode", field(t, out, "Seccomp"), "2")
		out = p.output(t, show, security(func(s *rt.LinuxContainerSecurityContext) {
			s.Seccomp = &rt.SecurityProfile{ProfileType: rt.SecurityProfile_Unconfined}
		}))
		same(t, "unconfined", field(t, out, "Seccomp"), "0")
		// RuntimeDefault: no new user namespaces without SYS_ADMIN.
		out = p.output(t, "unshare -U true 2>&1 && echo made || echo refused")
		contains(t, "runtime's default", out, "refused")
	})
}

// TestPrivileged: everything inside the VM, nothing of the host.
func TestPrivileged(t *testing.T) {
	p := newPod(t, func(c *rt.PodSandboxConfig) { c.Linux.SecurityContext.Privileged = true })
	c := p.run(t, "sleep 3600", security(func(s *rt.LinuxContainerSecurityContext) {
		s.Privileged = true
		s.MaskedPaths, s.ReadonlyPaths, s.Seccomp = nil, nil, nil
	}))
	st := c.sh(t, "cat /proc/self/status")
	if caps := hex(t, field(t, st, "CapEff")); caps&capSysAdmin == 0 {
		t.Errorf("capabilities: %x", caps)
	}
	same(t, "seccomp", field(t, st, "Seccomp"), "0")
	same(t, "mount", c.sh(t, "mkdir /m && mount -t tmpfs none /m && echo yes"), "yes")
	if handler == "hull" {
		// Its /proc/sys and /sys are writable and the guest's own.
		same(t, "sysctl", c.sh(t, "echo 12345 >/proc/sys/kernel/pid_max && cat /proc/sys/kernel/pid_max"), "12345")
		same(t, "sysfs", c.sh(t, "awk '$2 == \"/sys\" { print substr($4, 1, 2) }' /proc/mounts"), "rw")
		host := string(must[[]byte](t)(os.ReadFile("/proc/sys/kernel/pid_max")))
		if host == "12345\n" {
			t.Error("the host's sysctl was written")
		}
		if devices := c.sh(t, "ls /dev"); strings.Contains(devices, "loop0") || strings.Contains(devices, "kmsg") {
			t.Errorf("devices of the host: %s", devices)
		}
	}
}

// TestSysctls: of the pod's namespaces, seen by its containers.
func TestSysctls(t *testing.T) {
	p := newPod(t, func(c *rt.PodSandboxConfig) {
		c.Linux.Sysctls = map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "2000 3000", "kernel.msgmax": "9000"}
	})
	same(t, "values", p.output(t, "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/msgmax"), "1\n2000\t3000\n9000")
}

// TestNamespaces: what the containers of a pod share and what they do not.
func TestNamespaces(t *testing.T) {
	t.Run("separate", func(t *testing.T) {
		p := newPod(t)
		a := p.run(t, "echo a >/file; nc -l -p 9000 -e cat & sleep 3601")
		b := p.run(t, "sleep 3602")
		if ps := b.sh(t, "ps"); strings.Contains(ps, "3601") {
			t.Errorf("one sees the other's processes: %s", ps)
		}
		same(t, "files", b.sh(t, "ls /file 2>/dev/null || echo none"), "none")
		contains(t, "pid 1", b.sh(t, "tr '\\0' ' ' </proc/1/cmdline"), "sleep 3602")
		a.sh(t, "echo shared >/dev/shm/both")
		same(t, "/dev/shm", b.sh(t, "cat /dev/shm/both"), "shared")
		same(t, "file system of /dev/shm", b.sh(t, "awk '$2 == \"/dev/shm\" { print $3 }' /proc/mounts"), "tmpfs")
		same(t, "hostname", b.sh(t, "hostname"), p.config.Hostname)
		same(t, "localhost", b.sh(t, "echo ping | nc -w 5 127.0.0.1 9000"), "ping")
		same(t, "IPC", a.sh(t, "readlink /proc/self/ns/ipc"), b.sh(t, "readlink /proc/self/ns/ipc"))
		same(t, "network", a.sh(t, "readlink /proc/self/ns/net"), b.sh(t, "readlink /proc/self/ns/net"))
		a.stop(t, 0)
		same(t, "the other one", b.sh(t, "echo lives"), "lives")
	})
	t.Run("shared processes", func(t *testing.T) {
		p := newPod(t, func(c *rt.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions.Pid = rt.NamespaceMode_POD })
		mode := security(func(s *rt.LinuxContainerSecurityContext) { s.NamespaceOptions.Pid = rt.NamespaceMode_POD })
		p.run(t, "sleep 3603", mode)
		b := p.run(t, "sleep 3604", mode)
		ps := b.sh(t, "ps")
		contains(t, "processes", ps, "sleep 3603")
		contains(t, "pid 1", b.sh(t, "tr '\\0' ' ' </proc/1/cmdline"), "pause")
	})
}

// TestHostNamespaces: a VM cannot be in the host's namespaces, and what the runtime says reaches the caller, who shows it in the pod's events.
func TestHostNamespaces(t *testing.T) {
	for name, options := range map[string]*rt.NamespaceOption{
		"network": {Network: rt.NamespaceMode_NODE, Pid: rt.NamespaceMode_CONTAINER},
		"pid":     {Pid: rt.NamespaceMode_NODE},
		"ipc":     {Ipc: rt.NamespaceMode_NODE, Pid: rt.NamespaceMode_CONTAINER},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := tryPod(t, func(c *rt.PodSandboxConfig) {
				c.Linux.SecurityContext.NamespaceOptions = options
				if name == "network" {
					c.Hostname = ""
				}
			})
			if handler != "hull" {
				ok(t, err)
				return
			}
			if err == nil {
				_, err = p.tryContainer(t, "true", security(func(s *rt.LinuxContainerSecurityContext) { s.NamespaceOptions = options }))
			}
			if err == nil {
				t.Fatal("it was made")
			}
			t.Log(err)
			contains(t, "reason", err.Error(), name)
			contains(t, "reason", err.Error(), "host")
		})
	}
}
