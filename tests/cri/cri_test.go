// SPDX-License-Identifier: Apache-2.0

// Package cri drives containerd's CRI as a kubelet does. Every top-level test stands alone: cri.test -test.run '^TestExec$'.
// From the environment: CRI_SOCKET, CRI_HANDLER (hull, runc), CRI_WORK (a directory for logs and volumes). It runs in the mount and
// network namespaces of that containerd.
package cri

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var (
	handler      = os.Getenv("CRI_HANDLER")
	work         = os.Getenv("CRI_WORK")
	cgroupParent = "/" + filepath.Base(work)
	runtime      rt.RuntimeServiceClient
)

const (
	image   = "hull.test/box:1"
	pauseMs = 50 * time.Millisecond
)

func TestMain(m *testing.M) {
	conn, err := grpc.NewClient("unix://"+os.Getenv("CRI_SOCKET"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	runtime = rt.NewRuntimeServiceClient(conn)
	os.Exit(m.Run())
}

// ctx is the deadline of one call: generous, because CI machines emulate the guest.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	t.Cleanup(cancel)
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v instead of %v", what, got, want)
	}
}

func contains(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: %q is not in %q", what, want, got)
	}
}

// eventually polls: for what is promised to happen, but not by when.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !cond(); time.Sleep(pauseMs) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// A pod under test, removed with the test.
type pod struct {
	id     string
	config *rt.PodSandboxConfig
}

func podConfig(t *testing.T) *rt.PodSandboxConfig {
	name := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "-"), "_", "-"))
	uid := fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
	logs := filepath.Join(work, "logs", uid)
	ok(t, os.MkdirAll(logs, 0o755))
	return &rt.PodSandboxConfig{
		Metadata:     &rt.PodSandboxMetadata{Name: name, Uid: uid, Namespace: "default"},
		Hostname:     "host-" + name,
		LogDirectory: logs,
		Labels:       map[string]string{"test": "hull"},
		Annotations:  map[string]string{},
		Linux: &rt.LinuxPodSandboxConfig{
			CgroupParent: cgroupParent,
			SecurityContext: &rt.LinuxSandboxSecurityContext{
				NamespaceOptions: &rt.NamespaceOption{Pid: rt.NamespaceMode_CONTAINER},
				Seccomp:          &rt.SecurityProfile{ProfileType: rt.SecurityProfile_RuntimeDefault},
			},
		},
	}
}

// tryPod asks for a sandbox that need not come to be.
func tryPod(t *testing.T, change ...func(*rt.PodSandboxConfig)) (*pod, error) {
	t.Helper()
	p := &pod{config: podConfig(t)}
	for _, c := range change {
		c(p.config)
	}
	answer, err := runtime.RunPodSandbox(ctx(t), &rt.RunPodSandboxRequest{Config: p.config, RuntimeHandler: handler})
	if err != nil {
		return nil, err
	}
	p.id = answer.PodSandboxId
	t.Cleanup(func() { removePod(t, p.id) })
	return p, nil
}

func newPod(t *testing.T, change ...func(*rt.PodSandboxConfig)) *pod {
	t.Helper()
	return must[*pod](t)(tryPod(t, change...))
}

func removePod(t *testing.T, id string) {
	t.Helper()
	if _, err := runtime.StopPodSandbox(ctx(t), &rt.StopPodSandboxRequest{PodSandboxId: id}); err != nil && status.Code(err) != codes.NotFound {
		t.Errorf("stop: %v", err)
	}
	if _, err := runtime.RemovePodSandbox(ctx(t), &rt.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		t.Errorf("remove: %v", err)
	}
}

func (p *pod) status(t *testing.T) *rt.PodSandboxStatus {
	t.Helper()
	return must[*rt.PodSandboxStatusResponse](t)(runtime.PodSandboxStatus(ctx(t), &rt.PodSandboxStatusRequest{PodSandboxId: p.id})).Status
}

// A container under test; it goes with its pod.
type container struct {
	id     string
	config *rt.ContainerConfig
	pod    *pod
}

var serial int

// tryContainer creates a container that runs a shell script.
func (p *pod) tryContainer(t *testing.T, script string, change ...func(*rt.ContainerConfig)) (*container, error) {
	t.Helper()
	serial++
	name := fmt.Sprintf("c%d", serial)
	c := &container{pod: p, config: &rt.ContainerConfig{
		Metadata:    &rt.ContainerMetadata{Name: name},
		Image:       &rt.ImageSpec{Image: image},
		Command:     []string{"sh", "-c", script},
		LogPath:     name + ".log",
		Labels:      map[string]string{"io.kubernetes.container.name": name},
		Annotations: map[string]string{},
		Linux: &rt.LinuxContainerConfig{
			Resources: &rt.LinuxContainerResources{CpuShares: 102, OomScoreAdj: 999},
			SecurityContext: &rt.LinuxContainerSecurityContext{
				NamespaceOptions: &rt.NamespaceOption{Pid: rt.NamespaceMode_CONTAINER},
				Seccomp:          &rt.SecurityProfile{ProfileType: rt.SecurityProfile_RuntimeDefault},
				MaskedPaths:      []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
				ReadonlyPaths:    []string{"/proc/sys", "/proc/irq", "/proc/bus"},
			},
		},
	}}
	for _, f := range change {
		f(c.config)
	}
	answer, err := runtime.CreateContainer(ctx(t), &rt.CreateContainerRequest{PodSandboxId: p.id, Config: c.config, SandboxConfig: p.config})
	if err != nil {
		return nil, err
	}
	c.id = answer.ContainerId
	return c, nil
}

func (p *pod) create(t *testing.T, script string, change ...func(*rt.ContainerConfig)) *container {
	t.Helper()
	return must[*container](t)(p.tryContainer(t, script, change...))
}

// run creates and starts.
func (p *pod) run(t *testing.T, script string, change ...func(*rt.ContainerConfig)) *container {
	t.Helper()
	c := p.create(t, script, change...)
	c.start(t)
	return c
}

// output is what a script that ends well has logged.
func (p *pod) output(t *testing.T, script string, change ...func(*rt.ContainerConfig)) string {
	t.Helper()
	c := p.run(t, script, change...)
	st := c.wait(t)
	text := c.output(t)
	if st.ExitCode != 0 {
		t.Errorf("%q: exit code %d: %s", script, st.ExitCode, text)
	}
	return text
}

func (c *container) start(t *testing.T) {
	t.Helper()
	_, err := runtime.StartContainer(ctx(t), &rt.StartContainerRequest{ContainerId: c.id})
	ok(t, err)
}

func (c *container) stop(t *testing.T, grace int64) {
	t.Helper()
	_, err := runtime.StopContainer(ctx(t), &rt.StopContainerRequest{ContainerId: c.id, Timeout: grace})
	ok(t, err)
}

func (c *container) remove(t *testing.T) {
	t.Helper()
	_, err := runtime.RemoveContainer(ctx(t), &rt.RemoveContainerRequest{ContainerId: c.id})
	ok(t, err)
}

func (c *container) status(t *testing.T) *rt.ContainerStatus {
	t.Helper()
	return must[*rt.ContainerStatusResponse](t)(runtime.ContainerStatus(ctx(t), &rt.ContainerStatusRequest{ContainerId: c.id})).Status
}

func (c *container) wait(t *testing.T) (st *rt.ContainerStatus) {
	t.Helper()
	eventually(t, "exit", func() bool { st = c.status(t); return st.State == rt.ContainerState_CONTAINER_EXITED })
	return st
}

// sh runs a script by ExecSync and returns what it wrote; it must end with 0.
func (c *container) sh(t *testing.T, script string) string {
	t.Helper()
	r := c.execSync(t, 0, "sh", "-c", script)
	if r.ExitCode != 0 {
		t.Errorf("%q: exit code %d: %s%s", script, r.ExitCode, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}

func (c *container) execSync(t *testing.T, timeout int64, cmd ...string) *rt.ExecSyncResponse {
	t.Helper()
	return must[*rt.ExecSyncResponse](t)(runtime.ExecSync(ctx(t), &rt.ExecSyncRequest{ContainerId: c.id, Cmd: cmd, Timeout: timeout}))
}

// A line of a log file. Source: Kubernetes, CRI logging format: time stamp, stream, tag, text.
type logLine struct {
	stream, tag, text string
}

func (c *container) logFile() string {
	return filepath.Join(c.pod.config.LogDirectory, c.config.LogPath)
}

func (c *container) log(t *testing.T) (lines []logLine) {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(c.logFile()))
	for _, line := range strings.SplitAfter(string(data), "\n") {
		if line == "" {
			continue
		}
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if _, err := time.Parse(time.RFC3339Nano, part[0]); err != nil || len(part) != 4 {
			t.Fatalf("not a line of a log: %q", line)
		}
		lines = append(lines, logLine{part[1], part[2], part[3]})
	}
	return lines
}

// output is the text of the log.
func (c *container) output(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, l := range c.log(t) {
		text.WriteString(l.text)
		if l.tag == "F" {
			text.WriteByte('\n')
		}
	}
	return strings.TrimSpace(text.String())
}

func (c *container) logged(t *testing.T, text string) {
	t.Helper()
	eventually(t, "log line "+text, func() bool { return strings.Contains(c.output(t), text) })
}

// TestReady passes once containerd and its network are ready.
func TestReady(t *testing.T) {
	answer := must[*rt.StatusResponse](t)(runtime.Status(ctx(t), &rt.StatusRequest{}))
	for _, c := range answer.Status.Conditions {
		if !c.Status && (c.Type == rt.RuntimeReady || c.Type == rt.NetworkReady) {
			t.Errorf("%s: %s: %s", c.Type, c.Reason, c.Message)
		}
	}
}

// TestRemoveAll removes what other tests have left.
func TestRemoveAll(t *testing.T) {
	for _, p := range must[*rt.ListPodSandboxResponse](t)(runtime.ListPodSandbox(ctx(t), &rt.ListPodSandboxRequest{})).Items {
		removePod(t, p.Id)
	}
}
