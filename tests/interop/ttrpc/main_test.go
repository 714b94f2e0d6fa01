// SPDX-License-Identifier: Apache-2.0

// Package ttrpc calls Hull's C server (tests/interop/ttrpc_echo_server.c) with containerd's ttrpc client.
// HULL_ECHO_SERVER names the server's binary.
package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "test.Interop"

// connect starts a server and returns a client of it.
func connect(t *testing.T) *ttrpc.Client {
	t.Helper()
	binary := os.Getenv("HULL_ECHO_SERVER")
	if binary == "" {
		t.Skip("HULL_ECHO_SERVER is not set")
	}
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() {
		client.Close()
		cmd.Process.Kill()
		cmd.Wait()
		listener.Close()
	})
	return client
}

func call(client *ttrpc.Client, method, text string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answer := &wrapperspb.StringValue{}
	err := client.Call(ctx, service, method, wrapperspb.String(text), answer)
	return answer.Value, err
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("got %v, want code %v", err, code)
	}
}

func TestUnary(t *testing.T) {
	client := connect(t)
	for _, text := range []string{"", "hello", strings.Repeat("x", 4<<20-100)} {
		answer, err := call(client, "Echo", text, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if answer != text {
			t.Fatalf("%d bytes came back, not %d", len(answer), len(text))
		}
	}
}

func TestErrors(t *testing.T) {
	client := connect(t)
	_, err := call(client, "Deny", "web", 10*time.Second)
	wantCode(t, err, codes.NotFound)
	if want := "no web here ?"; !strings.Contains(err.Error(), want) {
		t.Fatalf("got %q, want %q", err, want)
	}
	_, err = call(client, "Nothing", "", 10*time.Second)
	wantCode(t, err, codes.Unimplemented)
	_, err = call(client, "TooLong", "", 10*time.Second)
	wantCode(t, err, codes.ResourceExhausted)
	// The connection has survived all that.
	if _, err = call(client, "Echo", "x", 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestDeadline(t *testing.T) {
	client := connect(t)
	_, err := call(client, "Hang", "", 50*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) && status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("got %v", err)
	}
	if _, err = call(client, "Echo", "x", 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrent(t *testing.T) {
	client := connect(t)
	var group sync.WaitGroup
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				text := fmt.Sprintf("%d/%d", i, j)
				if answer, err := call(client, "Echo", text, 10*time.Second); err != nil || answer != text {
					t.Errorf("%s: %q %v", text, answer, err)
				}
			}
		}()
	}
	group.Wait()
}

func open(t *testing.T, client *ttrpc.Client, method, text string, desc ttrpc.StreamDesc) ttrpc.ClientStream {
	t.Helper()
	stream, err := client.NewStream(context.Background(), &desc, service, method, wrapperspb.String(text))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func receive(t *testing.T, stream ttrpc.ClientStream) string {
	t.Helper()
	message := &wrapperspb.StringValue{}
	if err := stream.RecvMsg(message); err != nil {
		t.Fatal(err)
	}
	return message.Value
}

func TestBidirectional(t *testing.T) {
	client := connect(t)
	stream := open(t, client, "Chat", "", ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true})
	for i := 0; i < 100; i++ {
		text := strings.Repeat("y", i*100)
		if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, stream); got != text {
			t.Fatalf("%d bytes came back, not %d", len(got), len(text))
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != io.EOF {
		t.Fatalf("got %v, want the end", err)
	}
}

func TestStreamEndsWithStatus(t *testing.T) {
	client := connect(t)
	stream := open(t, client, "Chat", "fail", ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true})
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	err := stream.RecvMsg(&wrapperspb.StringValue{})
	wantCode(t, err, codes.Aborted)
	if want := "after 0 messages"; !strings.Contains(err.Error(), want) {
		t.Fatalf("got %q, want %q", err, want)
	}
}

func TestServerStream(t *testing.T) {
	client := connect(t)
	stream := open(t, client, "Count", "four", ttrpc.StreamDesc{StreamingServer: true})
	for i := 0; i < 4; i++ {
		if got := receive(t, stream); got != "four" {
			t.Fatalf("got %q", got)
		}
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != io.EOF {
		t.Fatalf("got %v, want the end", err)
	}
}
