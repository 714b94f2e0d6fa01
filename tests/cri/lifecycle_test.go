// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestPodLifecycle: what a sandbox says of itself while it runs, stopped and removed, also when asked twice and with a container in it.
func TestPodLifecycle(t *testing.T) {
	p := newPod(t)
	st := p.status(t)
	same(t, "state", st.State, rt.PodSandboxState_SANDBOX_READY)
	same(t, "handler", st.RuntimeHandler, handler)
	same(t, "label", st.Labels["test"], "hull")
	if !strings.HasPrefix(st.Network.GetIp(), "10.97.") {
		t.Errorf("address: %q", st.Network.GetIp())
	}
	c := p.run(t, "trap '' TERM; sleep 3600 & wait; sleep 3600")
	other := newPod(t)
	for range 2 {
		_, err := runtime.StopPodSandbox(ctx(t), &rt.StopPodSandboxRequest{PodSandboxId: p.id})
		ok(t, err)
	}
	same(t, "state after stop", p.status(t).State, rt.PodSandboxState_SANDBOX_NOTREADY)
	got := c.status(t)
	same(t, "container after stop of its pod", got.State, rt.ContainerState_CONTAINER_EXITED)
	same(t, "its exit code", got.ExitCode, 137)
	_, err := p.tryContainer(t, "true")
	if err == nil {
		t.Error("a container was created in a stopped pod")
	}
	for range 2 {
		_, err := runtime.RemovePodSandbox(ctx(t), &rt.RemovePodSandboxRequest{PodSandboxId: p.id})
		ok(t, err)
	}
	same(t, "the other pod", other.status(t).State, rt.PodSandboxState_SANDBOX_READY)
	list := must[*rt.ListPodSandboxResponse](t)(runtime.ListPodSandbox(ctx(t), &rt.ListPodSandboxRequest{}))
	same(t, "pods", len(list.Items), 1)
	if _, err := runtime.RemovePodSandbox(ctx(t), &rt.RemovePodSandboxRequest{PodSandboxId: other.id}); err != nil {
		t.Errorf("remove a running pod: %v", err)
	}
}

// TestContainerLifecycle: states, times, exit codes and reasons.
func TestContainerLifecycle(t *testing.T) {
	p := newPod(t)
	c := p.create(t, "echo up; sleep 0.3; exit 7", func(c *rt.ContainerConfig) {
		c.Metadata.Attempt = 3
		c.Envs = []*rt.KeyValue{{Key: "A", Value: []byte("b c")}}
	})
	st := c.status(t)
	same(t, "state", st.State, rt.ContainerState_CONTAINER_CREATED)
	same(t, "attempt", st.Metadata.Attempt, 3)
	c.start(t)
	st = c.wait(t)
	same(t, "exit code", st.ExitCode, 7)
	same(t, "reason", st.Reason, "Error")
	if st.CreatedAt > st.StartedAt || st.FinishedAt-st.StartedAt < int64(200*time.Millisecond) || st.FinishedAt > time.Now().UnixNano() {
		t.Errorf("times: created %d, started %d, finished %d, now %d", st.CreatedAt, st.StartedAt, st.FinishedAt, time.Now().UnixNano())
	}
	st = p.run(t, "true").wait(t)
	same(t, "exit code", st.ExitCode, 0)
	same(t, "reason", st.Reason, "Completed")

	t.Run("cannot start", func(t *testing.T) {
		c := p.create(t, "", func(c *rt.ContainerConfig) { c.Command = []string{"/nosuch"} })
		_, err := runtime.StartContainer(ctx(t), &rt.StartContainerRequest{ContainerId: c.id})
		if err == nil {
			t.Fatal("it started")
		}
		contains(t, "error", err.Error(), `"/nosuch": stat /nosuch: no such file or directory`)
		st := c.status(t)
		same(t, "state", st.State, rt.ContainerState_CONTAINER_EXITED)
		same(t, "reason", st.Reason, "StartError")
		same(t, "exit code", st.ExitCode, 128)
		contains(t, "message", st.Message, "no such file or directory")
		c.remove(t)
	})
	t.Run("command, environment and directory", func(t *testing.T) {
		out := p.output(t, "", func(c *rt.ContainerConfig) {
			c.Command = []string{"sh", "-c"}
			c.Args = []string{`echo "$0 $A $FROM_IMAGE $(pwd) $HOSTNAME"`, "zero"}
			c.Envs = []*rt.KeyValue{{Key: "A", Value: []byte("b c")}}
			c.WorkingDir = "/new/dir"
		})
		contains(t, "output", out, "zero b c yes /new/dir "+p.config.Hostname)
	})
	t.Run("remove a running container", func(t *testing.T) {
		c := p.run(t, "sleep 3600")
		c.remove(t)
		c.remove(t)
		if _, err := runtime.ContainerStatus(ctx(t), &rt.ContainerStatusRequest{ContainerId: c.id}); err == nil {
			t.Error("it is still there")
		}
	})
}

// TestStop: SIGTERM and the grace period, SIGKILL after it, the image's signal is not asked.
func TestStop(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done")
	c.logged(t, "up")
	c.stop(t, 30)
	same(t, "exit code", c.wait(t).ExitCode, 5)
	contains(t, "output", c.output(t), "bye")
	c.stop(t, 30)

	c = p.run(t, "trap '' TERM; echo up; while :; do sleep 0.1; done")
	c.logged(t, "up")
	began := time.Now()
	c.stop(t, 1)
	if took := time.Since(began); took < time.Second {
		t.Errorf("killed after %v, before its grace period", took)
	}
	same(t, "exit code", c.wait(t).ExitCode, 137)

	c = p.run(t, "trap '' TERM; echo up; while :; do sleep 0.1; done")
	c.logged(t, "up")
	c.stop(t, 0)
	same(t, "exit code", c.wait(t).ExitCode, 137)
}

// TestRestart: a container that ended is made again under the next attempt, as kubelet does, in a pod that goes on: init containers
// one after the other, then a crash loop beside a container that is not touched by it.
func TestRestart(t *testing.T) {
	p := newPod(t)
	dir := filepath.Join(work, "kubelet", p.config.Metadata.Uid)
	ok(t, os.MkdirAll(dir, 0o777))
	shared := func(c *rt.ContainerConfig) { c.Mounts = []*rt.Mount{{HostPath: dir, ContainerPath: "/shared"}} }
	for i := range 2 {
		st := p.run(t, fmt.Sprintf("echo init%d >>/shared/steps", i), shared).wait(t)
		same(t, "init container", st.ExitCode, 0)
	}
	side := p.run(t, "cat /shared/steps; sleep 3600", shared)
	side.logged(t, "init0\ninit1")
	var last *container
	for attempt := range uint32(12) {
		c := p.run(t, "echo attempt >>/shared/steps; exit 3", shared, func(c *rt.ContainerConfig) { c.Metadata.Name, c.Metadata.Attempt = "looping", attempt })
		same(t, "exit code", c.wait(t).ExitCode, 3)
		if last != nil {
			last.remove(t)
		}
		last = c
	}
	same(t, "attempts", side.sh(t, "grep -c attempt /shared/steps"), "12")
	same(t, "the container beside", side.status(t).State, rt.ContainerState_CONTAINER_RUNNING)
	list := must[*rt.ListContainersResponse](t)(runtime.ListContainers(ctx(t), &rt.ListContainersRequest{Filter: &rt.ContainerFilter{PodSandboxId: p.id}}))
	same(t, "containers", len(list.Containers), 4)
}

// TestLogs: both streams in order, partial lines, what was written without a newline, and a rotated file.
func TestLogs(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "echo out; echo err >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end")
	c.wait(t)
	eventually(t, "end of the log", func() bool { return strings.HasSuffix(c.output(t), "end") })
	lines := c.log(t)
	counts := map[string]int{}
	for _, l := range lines {
		counts[l.stream+l.tag] += len(l.text)
	}
	same(t, "stderr", counts["stderrF"], 3)
	same(t, "stdout", counts["stdoutF"]+counts["stdoutP"], 40006)
	if counts["stdoutP"] < 16384 {
		t.Errorf("no partial lines: %v", counts)
	}

	c = p.run(t, "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done")
	c.logged(t, "line 5")
	ok(t, os.Rename(c.logFile(), c.logFile()+".1"))
	_, err := runtime.ReopenContainerLog(ctx(t), &rt.ReopenContainerLogRequest{ContainerId: c.id})
	ok(t, err)
	eventually(t, "lines in the new log", func() bool { return len(c.log(t)) > 3 })
	c.stop(t, 0)
	now := c.output(t)
	old := must[[]byte](t)(os.ReadFile(c.logFile() + ".1"))
	for i := 1; i <= 8; i++ {
		line := fmt.Sprintf("line %d\n", i)
		if strings.Count(string(old)+now+"\n", line) != 1 {
			t.Errorf("%q is not in the logs exactly once", line)
		}
	}
}

// TestTerminationMessage: a file of kubelet's, mounted into the container, holds what the container wrote there.
func TestTerminationMessage(t *testing.T) {
	p := newPod(t)
	file := filepath.Join(work, "kubelet", p.config.Metadata.Uid+"-message")
	ok(t, os.WriteFile(file, nil, 0o666))
	c := p.run(t, "echo last words >/dev/termination-log; exit 1", func(c *rt.ContainerConfig) {
		c.Mounts = []*rt.Mount{{HostPath: file, ContainerPath: "/dev/termination-log"}}
	})
	same(t, "exit code", c.wait(t).ExitCode, 1)
	same(t, "message", string(must[[]byte](t)(os.ReadFile(file))), "last words\n")
}
