// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"strings"
	"testing"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func resources(f func(*rt.LinuxContainerResources)) func(*rt.ContainerConfig) {
	return func(c *rt.ContainerConfig) { f(c.Linux.Resources) }
}

// TestResources: limits, changes of them, and what happens beyond.
func TestResources(t *testing.T) {
	total := &rt.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 150000, CpuShares: 512, MemoryLimitInBytes: 384 << 20}
	p := newPod(t, func(c *rt.PodSandboxConfig) {
		c.Linux.Resources = total
		c.Linux.Overhead = &rt.LinuxContainerResources{MemoryLimitInBytes: 192 << 20}
	})
	c := p.run(t, "sleep 3600", resources(func(r *rt.LinuxContainerResources) {
		r.CpuPeriod, r.CpuQuota, r.CpuShares, r.MemoryLimitInBytes = 100000, 50000, 256, 128<<20
	}))
	got := c.status(t).GetResources().GetLinux()
	if got != nil {
		same(t, "memory in the status", got.MemoryLimitInBytes, 128<<20)
		same(t, "quota in the status", got.CpuQuota, 50000)
	}
	if handler == "hull" {
		same(t, "memory", c.sh(t, "cat /sys/fs/cgroup/memory.max"), "134217728")
		same(t, "cpu", c.sh(t, "cat /sys/fs/cgroup/cpu.max"), "50000 100000")
	}
	if handler == "hull" {
		// The pod's totals, which are 1.5 CPUs.
		same(t, "CPUs", c.sh(t, "nproc"), "2")
	}
	_, err := runtime.UpdateContainerResources(ctx(t), &rt.UpdateContainerResourcesRequest{ContainerId: c.id, Linux: &rt.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 80000, MemoryLimitInBytes: 192 << 20}})
	ok(t, err)
	if handler == "hull" {
		same(t, "memory", c.sh(t, "cat /sys/fs/cgroup/memory.max"), "201326592")
		same(t, "cpu", c.sh(t, "cat /sys/fs/cgroup/cpu.max"), "80000 100000")
	}
	t.Run("out of memory", func(t *testing.T) {
		c := p.run(t, "tail /dev/zero", resources(func(r *rt.LinuxContainerResources) { r.MemoryLimitInBytes = 32 << 20 }))
		st := c.wait(t)
		same(t, "exit code", st.ExitCode, 137)
		same(t, "reason", st.Reason, "OOMKilled")
		// As with runc: of any of its processes.
		c = p.run(t, "tail /dev/zero; exit 3", resources(func(r *rt.LinuxContainerResources) { r.MemoryLimitInBytes = 32 << 20 }))
		st = c.wait(t)
		same(t, "exit code of one whose child was killed", st.ExitCode, 3)
		same(t, "its reason", st.Reason, "OOMKilled")
		same(t, "the container beside", p.output(t, "echo lives"), "lives")
	})
}

// TestAnnotations: those of the pod that the configuration of containerd lets through.
func TestAnnotations(t *testing.T) {
	p := newPod(t, func(c *rt.PodSandboxConfig) {
		c.Annotations["io.katacontainers.config.hypervisor.default_vcpus"] = "2"
		c.Annotations["io.katacontainers.config.hypervisor.default_memory"] = "700"
	})
	out := p.output(t, "nproc; awk '/MemTotal/ { print ($2 > 600000 && $2 < 720000) ? \"fits\" : $2 }' /proc/meminfo")
	if handler == "hull" {
		same(t, "CPUs and memory", out, "2\nfits")
	}
}

// TestStats: of a container and of its pod.
func TestStats(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "x=$(head -c 30000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 3600; : $x")
	c.logged(t, "done")
	stats := must[*rt.ContainerStatsResponse](t)(runtime.ContainerStats(ctx(t), &rt.ContainerStatsRequest{ContainerId: c.id})).Stats
	same(t, "name", stats.Attributes.Metadata.Name, c.config.Metadata.Name)
	if cpu := stats.GetCpu().GetUsageCoreNanoSeconds().GetValue(); cpu < 1e7 || cpu > 60e9 {
		t.Errorf("CPU time: %d ns", cpu)
	}
	if memory := stats.GetMemory().GetWorkingSetBytes().GetValue(); memory < 25<<20 || memory > 120<<20 {
		t.Errorf("memory: %d", memory)
	}
	eventually(t, "size of the writable layer", func() bool {
		stats := must[*rt.ContainerStatsResponse](t)(runtime.ContainerStats(ctx(t), &rt.ContainerStatsRequest{ContainerId: c.id})).Stats
		return stats.GetWritableLayer().GetFsId().GetMountpoint() != ""
	})
	list := must[*rt.ListContainerStatsResponse](t)(runtime.ListContainerStats(ctx(t), &rt.ListContainerStatsRequest{
		Filter: &rt.ContainerStatsFilter{PodSandboxId: p.id}})).Stats
	same(t, "containers in the list", len(list), 1)
	t.Run("pod", func(t *testing.T) {
		answer, err := runtime.ListPodSandboxStats(ctx(t), &rt.ListPodSandboxStatsRequest{Filter: &rt.PodSandboxStatsFilter{Id: p.id}})
		if err != nil && handler != "hull" {
			t.Skip(err)
		}
		ok(t, err)
		if len(answer.Stats) == 0 && handler != "hull" {
			t.Skip("runc's pods have no statistics here")
		}
		same(t, "pods in the list", len(answer.Stats), 1)
		linux := answer.Stats[0].Linux
		t.Log(strings.ReplaceAll(linux.String(), "  ", " "))
		if memory := linux.GetMemory().GetWorkingSetBytes().GetValue(); memory < 25<<20 {
			t.Errorf("memory of the pod: %d", memory)
		}
		if cpu := linux.GetCpu().GetUsageCoreNanoSeconds().GetValue(); cpu < 1e7 {
			t.Errorf("CPU time of the pod: %d ns", cpu)
		}
	})
}
