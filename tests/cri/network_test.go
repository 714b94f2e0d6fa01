// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestNetwork: the address that CNI gave is the pod's, from inside and from outside; DNS, hosts and hostname.
func TestNetwork(t *testing.T) {
	hosts := filepath.Join(work, "kubelet", "hosts")
	ok(t, os.WriteFile(hosts, []byte("127.0.0.1 localhost\n10.1.2.3 from.kubelet\n"), 0o644))
	withHosts := func(c *rt.ContainerConfig) { c.Mounts = []*rt.Mount{{HostPath: hosts, ContainerPath: "/etc/hosts"}} }
	p := newPod(t, func(c *rt.PodSandboxConfig) {
		c.DnsConfig = &rt.DNSConfig{Servers: []string{"10.9.8.7"}, Searches: []string{"ns.svc.cluster.local", "svc.cluster.local"}, Options: []string{"ndots:5"}}
		c.PortMappings = []*rt.PortMapping{{Protocol: rt.Protocol_TCP, ContainerPort: 7000, HostPort: 17000}}
	})
	ip := p.status(t).Network.Ip
	c := p.run(t, "nc -ll -p 7000 -e sh -c 'read line; echo \"got $line\"' & echo up; sleep 3600", withHosts)
	c.logged(t, "up")
	contains(t, "addresses", c.sh(t, "ip -4 addr show dev eth0"), "inet "+ip+"/24")
	contains(t, "routes", c.sh(t, "ip route"), "default via 10.97.0.1 dev eth0")
	same(t, "gateway", c.sh(t, "ping -c 1 -w 20 10.97.0.1 >/dev/null && echo yes"), "yes")
	same(t, "resolv.conf", c.sh(t, "cat /etc/resolv.conf"), "search ns.svc.cluster.local svc.cluster.local\nnameserver 10.9.8.7\noptions ndots:5")
	contains(t, "hosts", c.sh(t, "cat /etc/hosts"), "from.kubelet")
	same(t, "hostname", c.sh(t, "hostname; cat /etc/hostname"), p.config.Hostname+"\n"+p.config.Hostname)
	t.Run("from outside", func(t *testing.T) { same(t, "answer", ask(t, ip+":7000"), "got me\n") })
	t.Run("host port", func(t *testing.T) { same(t, "answer", ask(t, "10.97.0.1:17000"), "got me\n") })
	t.Run("from another pod", func(t *testing.T) {
		q := newPod(t)
		if other := q.status(t).Network.Ip; other == ip {
			t.Errorf("both have %s", ip)
		}
		same(t, "answer", q.output(t, fmt.Sprintf("echo me | nc -w 20 %s 7000", ip)), "got me")
	})
}

// ask sends a line and returns the answer; a server may still be about to listen.
func ask(t *testing.T, address string) (answer string) {
	t.Helper()
	eventually(t, "answer of "+address, func() bool {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintln(conn, "me")
		data, _ := io.ReadAll(conn)
		answer = string(data)
		return answer != ""
	})
	return answer
}

// TestVolumes: hostPath and emptyDir as kubelet mounts them: shared by containers and with the host, read-only, single files, and
// what is mounted below them on the host later.
func TestVolumes(t *testing.T) {
	p := newPod(t)
	dir := filepath.Join(work, "kubelet", p.config.Metadata.Uid)
	for _, d := range []string{"empty", "host", "config/..one", "slave"} {
		ok(t, os.MkdirAll(filepath.Join(dir, d), 0o777))
	}
	ok(t, os.Chmod(filepath.Join(dir, "empty"), 0o777))
	ok(t, os.WriteFile(filepath.Join(dir, "host/file"), []byte("of the host\n"), 0o644))
	ok(t, os.WriteFile(filepath.Join(dir, "config/..one/key"), []byte("first\n"), 0o644))
	ok(t, os.Symlink("..one", filepath.Join(dir, "config/..data")))
	ok(t, os.Symlink("..data/key", filepath.Join(dir, "config/key")))
	mounts := func(c *rt.ContainerConfig) {
		c.Mounts = []*rt.Mount{
			{HostPath: filepath.Join(dir, "empty"), ContainerPath: "/empty"},
			{HostPath: filepath.Join(dir, "host"), ContainerPath: "/host", Readonly: true},
			{HostPath: filepath.Join(dir, "host/file"), ContainerPath: "/etc/single", Readonly: true},
			{HostPath: filepath.Join(dir, "config"), ContainerPath: "/config", Readonly: true},
		}
	}
	a := p.run(t, "sleep 3600", mounts)
	b := p.run(t, "sleep 3600", mounts, security(func(s *rt.LinuxContainerSecurityContext) { s.RunAsUser = &rt.Int64Value{Value: 1000} }))
	b.sh(t, "echo from b >/empty/f; mkfifo /empty/p; ln -s f /empty/l")
	same(t, "emptyDir", a.sh(t, "cat /empty/l; stat -c %u /empty/f"), "from b\n1000")
	same(t, "emptyDir on the host", string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, "empty/f")))), "from b\n")
	same(t, "read-only", a.sh(t, "cat /host/file; echo x 2>&1 >/host/file | grep -o 'Read-only file system'; touch /etc/single 2>&1 | grep -o 'Read-only file system'"),
		"of the host\nRead-only file system\nRead-only file system")
	same(t, "ConfigMap", a.sh(t, "cat /config/key"), "first")
	ok(t, os.MkdirAll(filepath.Join(dir, "config/..two"), 0o777))
	ok(t, os.WriteFile(filepath.Join(dir, "config/..two/key"), []byte("second\n"), 0o644))
	ok(t, os.Symlink("..two", filepath.Join(dir, "config/..new")))
	ok(t, os.Rename(filepath.Join(dir, "config/..new"), filepath.Join(dir, "config/..data")))
	eventually(t, "the new ConfigMap", func() bool { return a.sh(t, "cat /config/key") == "second" })
	_, err := p.tryContainer(t, "true", func(c *rt.ContainerConfig) {
		c.Mounts = []*rt.Mount{{HostPath: "/proc/nosuch/dir", ContainerPath: "/x"}}
	})
	if err == nil {
		t.Error("a source that cannot be was mounted")
	}
}

// TestPropagation: HostToContainer and Bidirectional are as with runc, or refused by name.
func TestPropagation(t *testing.T) {
	p := newPod(t)
	dir := filepath.Join(work, "kubelet", p.config.Metadata.Uid)
	ok(t, os.MkdirAll(dir, 0o755))
	for mode, word := range map[rt.MountPropagation]string{
		rt.MountPropagation_PROPAGATION_HOST_TO_CONTAINER: "rslave", rt.MountPropagation_PROPAGATION_BIDIRECTIONAL: "rshared"} {
		c, err := p.tryContainer(t, "sleep 3600", func(c *rt.ContainerConfig) {
			c.Mounts = []*rt.Mount{{HostPath: dir, ContainerPath: "/v", Propagation: mode}}
		})
		t.Log(word, err)
		if err == nil {
			_, err = runtime.StartContainer(ctx(t), &rt.StartContainerRequest{ContainerId: c.id})
			t.Log(word, err)
		}
		if err != nil && !strings.Contains(err.Error(), "shared") && !strings.Contains(err.Error(), "propagation") && !strings.Contains(err.Error(), "slave") {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestBandwidth: the annotations of Kubernetes bound what goes out of a pod and what comes into it. CNI's configuration here has no
// plug-in for that.
func TestBandwidth(t *testing.T) {
	if handler != "hull" {
		t.Skip("of Hull")
	}
	const size, atLeast = 4 << 20, 1500 * time.Millisecond // 2 s at 16 Mbit/s
	p := newPod(t, func(c *rt.PodSandboxConfig) {
		c.Annotations["kubernetes.io/egress-bandwidth"] = "16M"
		c.Annotations["kubernetes.io/ingress-bandwidth"] = "16M"
	})
	c := p.run(t, fmt.Sprintf("nc -ll -p 7000 -e head -c %d /dev/zero & nc -ll -p 7001 -e sh -c 'head -c %d | wc -c' & sleep 3600", size, size))
	for name, port := range map[string]string{"out of the pod": ":7000", "into the pod": ":7001"} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, p.status(t).Network.Ip+port)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(60 * time.Second))
			begin := time.Now()
			if port == ":7001" {
				must[int](t)(conn.Write(make([]byte, size)))
			}
			answer := must[[]byte](t)(io.ReadAll(conn))
			if port == ":7000" && len(answer) != size || port == ":7001" && strings.TrimSpace(string(answer)) != fmt.Sprint(size) {
				t.Errorf("%d bytes came, beginning with %.20q", len(answer), answer)
			}
			if took := time.Since(begin); took < atLeast {
				t.Errorf("%d bytes took %v, not %v at least", size, took, atLeast)
			}
		})
	}
	same(t, "state", c.status(t).State.String(), "CONTAINER_RUNNING")
}

// dial connects; a server may still be about to listen.
func dial(t *testing.T, address string) (conn net.Conn) {
	t.Helper()
	eventually(t, "connection to "+address, func() (connected bool) {
		var err error
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return err == nil
	})
	return conn
}
