// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestExecSync: probes and hooks of kubelet.
func TestExecSync(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "sleep 3600", func(c *rt.ContainerConfig) { c.Envs = []*rt.KeyValue{{Key: "A", Value: []byte("b")}} })
	r := c.execSync(t, 10, "sh", "-c", "echo out $A; echo err >&2; exit 42")
	same(t, "exit code", r.ExitCode, 42)
	same(t, "stdout", string(r.Stdout), "out b\n")
	same(t, "stderr", string(r.Stderr), "err\n")
	for _, n := range []int{65536, 1 << 20} {
		r = c.execSync(t, 0, "sh", "-c", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' y", n))
		same(t, "bytes", strings.Count(string(r.Stdout), "y"), n)
	}
	t.Run("timeout", func(t *testing.T) {
		began := time.Now()
		_, err := runtime.ExecSync(ctx(t), &rt.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"sleep", "77"}, Timeout: 1})
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, "error", err.Error(), "timeout 1s exceeded")
		if time.Since(began) > 50*time.Second {
			t.Error("it was waited for")
		}
		eventually(t, "end of the process", func() bool { return !strings.Contains(c.sh(t, "ps"), "sleep 77") })
	})
	t.Run("no such program", func(t *testing.T) {
		_, err := runtime.ExecSync(ctx(t), &rt.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"nosuch"}, Timeout: 20})
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, "error", err.Error(), `exec: "nosuch": executable file not found in $PATH`)
	})
	t.Run("many", func(t *testing.T) {
		for i := range 10 {
			same(t, "output", c.sh(t, fmt.Sprintf("echo %d", i)), fmt.Sprint(i))
		}
	})
	t.Run("stopped container", func(t *testing.T) {
		c.stop(t, 0)
		if _, err := runtime.ExecSync(ctx(t), &rt.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"true"}}); err == nil {
			t.Error("no error")
		}
	})
}

// stream speaks to the streaming server as kubelet's callers do, over either protocol.
func stream(t *testing.T, address string, websocket bool, o remotecommand.StreamOptions) error {
	t.Helper()
	u := must[*url.URL](t)(url.Parse(address))
	var e remotecommand.Executor
	var err error
	if websocket {
		e, err = remotecommand.NewWebSocketExecutor(&rest.Config{}, "GET", u.String())
	} else {
		e, err = remotecommand.NewSPDYExecutor(&rest.Config{}, "POST", u)
	}
	ok(t, err)
	c, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	return e.StreamWithContext(c, o)
}

func (c *container) execURL(t *testing.T, tty bool, cmd ...string) string {
	t.Helper()
	return must[*rt.ExecResponse](t)(runtime.Exec(ctx(t), &rt.ExecRequest{
		ContainerId: c.id, Cmd: cmd, Tty: tty, Stdin: true, Stdout: true, Stderr: !tty})).Url
}

type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	if v, more := <-s; more {
		return &v
	}
	return nil
}

// TestExec: kubectl exec: stdin to its end, stdout and stderr apart, exit codes, a terminal with its size and changes of it.
func TestExec(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "sleep 3600")
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var out, errs bytes.Buffer
	err := stream(t, c.execURL(t, false, "sh", "-c", "tee /dev/fd/2; exit 9"), false,
		remotecommand.StreamOptions{Stdin: bytes.NewReader(data), Stdout: &out, Stderr: &errs})
	var code exec.CodeExitError
	if !errors.As(err, &code) || code.Code != 9 {
		t.Errorf("exit code: %v", err)
	}
	if !bytes.Equal(out.Bytes(), data) || !bytes.Equal(errs.Bytes(), data) {
		t.Errorf("a MiB through cat came back as %d and %d bytes", out.Len(), errs.Len())
	}
	t.Run("terminal", func(t *testing.T) {
		in, typed := io.Pipe()
		seen, w := io.Pipe()
		size := make(sizes, 2)
		size <- remotecommand.TerminalSize{Width: 99, Height: 31}
		done := make(chan error, 1)
		go func() {
			done <- stream(t, c.execURL(t, true, "sh"), false, remotecommand.StreamOptions{Stdin: in, Stdout: w, Tty: true, TerminalSizeQueue: size})
			w.Close()
		}()
		text := make(chan string, 100)
		go func() {
			buf := make([]byte, 4096)
			var all string
			for {
				n, err := seen.Read(buf)
				all += string(buf[:n])
				text <- all
				if err != nil {
					close(text)
					return
				}
			}
		}()
		until := func(want string) (last string) {
			t.Helper()
			for last = range text {
				if strings.Contains(last, want) {
					return last
				}
			}
			t.Fatalf("%q did not come: %q", want, last)
			return
		}
		// A resize may come after the shell's start.
		io.WriteString(typed, "while [ \"$(stty size)\" != '31 99' ]; do sleep 0.1; done; tty; echo si''zed\r")
		contains(t, "terminal", until("sized"), "/dev/pts/")
		size <- remotecommand.TerminalSize{Width: 120, Height: 50}
		io.WriteString(typed, "while [ \"$(stty size)\" != '50 120' ]; do sleep 0.1; done; echo re''sized; exit 6\r")
		until("resized")
		err := <-done
		if !errors.As(err, &code) || code.Code != 6 {
			t.Errorf("exit code: %v", err)
		}
		close(size)
	})
	t.Run("half a second of output before the reader", func(t *testing.T) {
		var out bytes.Buffer
		ok(t, stream(t, c.execURL(t, false, "sh", "-c", "cat; for i in 1 2 3; do echo $i; sleep 0.1; done"), false,
			remotecommand.StreamOptions{Stdin: strings.NewReader("in\n"), Stdout: &out, Stderr: io.Discard}))
		same(t, "output", out.String(), "in\n1\n2\n3\n")
	})
}

// TestAttach: what a container reads and writes while somebody is attached, with stdin once only.
func TestAttach(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "while read line; do echo got $line; done; echo eof; exit 4", func(c *rt.ContainerConfig) { c.Stdin, c.StdinOnce = true, true })
	address := must[*rt.AttachResponse](t)(runtime.Attach(ctx(t), &rt.AttachRequest{ContainerId: c.id, Stdin: true, Stdout: true, Stderr: true})).Url
	var out, errs bytes.Buffer
	ok(t, stream(t, address, false, remotecommand.StreamOptions{Stdin: strings.NewReader("one\ntwo\n"), Stdout: &out, Stderr: &errs}))
	same(t, "exit code", c.wait(t).ExitCode, 4)
	same(t, "attached", out.String(), "got one\ngot two\neof\n")
	same(t, "log", c.output(t), "got one\ngot two\neof")

	c = p.run(t, "stty size; echo reading; read line; echo got $line", func(c *rt.ContainerConfig) { c.Stdin, c.StdinOnce, c.Tty = true, true, true })
	c.logged(t, "reading")
	address = must[*rt.AttachResponse](t)(runtime.Attach(ctx(t), &rt.AttachRequest{ContainerId: c.id, Stdin: true, Stdout: true, Tty: true})).Url
	out.Reset()
	in, typed := io.Pipe()
	go io.WriteString(typed, "typed\r")
	ok(t, stream(t, address, false, remotecommand.StreamOptions{Stdin: in, Stdout: &out, Tty: true}))
	contains(t, "attached to a terminal", out.String(), "got typed")
}

// TestPortForward: kubectl port-forward reaches a server on the pod's localhost, many times and both ways, and nothing where there is none.
func TestPortForward(t *testing.T) {
	p := newPod(t)
	c := p.run(t, "mkdir /www; head -c 300000 /dev/zero >/www/big; echo hello >/www/index.html; httpd -p 127.0.0.1:8080 -h /www; echo up; sleep 3600")
	c.logged(t, "up")
	address := must[*rt.PortForwardResponse](t)(runtime.PortForward(ctx(t), &rt.PortForwardRequest{PodSandboxId: p.id, Port: []int32{8080}})).Url
	u := must[*url.URL](t)(url.Parse(address))
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	ok(t, err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u)
	stop, ready := make(chan struct{}), make(chan struct{})
	f := must[*portforward.PortForwarder](t)(portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:8080", "0:8081"}, stop, ready, io.Discard, io.Discard))
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ports := must[[]portforward.ForwardedPort](t)(f.GetPorts())
	client := http.Client{Timeout: 30 * time.Second}
	for path, want := range map[string]int{"index.html": 6, "big": 300000} {
		r := must[*http.Response](t)(client.Get(fmt.Sprintf("http://127.0.0.1:%d/%s", ports[0].Local, path)))
		body := must[[]byte](t)(io.ReadAll(r.Body))
		r.Body.Close()
		same(t, path, len(body), want)
	}
	conn := must[net.Conn](t)(net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1].Local)))
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("nobody listens, but %d bytes came", n)
	}
	close(stop)
	<-done
}
