# SPDX-License-Identifier: Apache-2.0
"""make bench's part about the network: bench_net.c's client in Hull's container, in runc's and in a guest that has nothing but a tap,
against one server in a namespace of the bench's own."""
import contextlib
import json
import os
import shutil
import statistics
import subprocess

ROUNDS = 5
KINDS = {
    "out-kibps": ("TCP from the container", lambda v: "%.0f MiB/s" % (v / 1024), True),
    "in-kibps": ("TCP to the container", lambda v: "%.0f MiB/s" % (v / 1024), True),
    "request-ns": ("a request on an open connection", lambda v: "%.0f µs" % (v / 1000), False),
    "connection-ns": ("a connection and a request", lambda v: "%.0f µs" % (v / 1000), False),
}


class Network:
    """The namespaces: a server's, and on wires to it one for Hull and one for runc; the bare guest's tap is the server's own."""

    def __init__(self, bench):
        self.bench = bench
        self.names = {n: "hullbench%d%s" % (os.getpid(), n) for n in ("server", "hull", "runc")}
        self.results = {}

    def ip(self, where, *words):
        self.bench.must(["ip", "-n", self.names[where]] + list(words))

    def prepare(self):
        for name in self.names.values():
            self.bench.must(["ip", "netns", "add", name])
        for i, where in ((1, "hull"), (2, "runc")):
            self.ip(where, "link", "add", "eth0", "type", "veth", "peer", "name", where, "netns", self.names["server"])
            self.ip(where, "addr", "add", "10.99.%d.2/24" % i, "dev", "eth0")
            self.ip(where, "link", "set", "eth0", "up")
        self.ip("server", "tuntap", "add", "bare", "mode", "tap", "vnet_hdr")
        for i, link in ((1, "hull"), (2, "runc"), (3, "bare")):
            self.ip("server", "addr", "add", "10.99.%d.1/24" % i, "dev", link)
            self.ip("server", "link", "set", link, "up")

    def inside(self, where):
        return ["ip", "netns", "exec", self.names[where]]

    def note(self, where, text):
        if "bench over" not in text:
            raise SystemExit("bench: network of %s: %s" % (where, text))
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == "bench" and words[1] in KINDS:
                self.results.setdefault(words[1], {}).setdefault(where, []).append(int(words[2]))

    def bare(self, initrd):
        vm, guest = self.bench.env["vm"], self.bench.env["guest"]
        self.note("bare QEMU", self.bench.must(self.inside("server") + [
            vm["vmm"], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35,accel=" + vm["accelerator"],
            "-cpu", "host" if vm["accelerator"] == "kvm" else "max,erms=off,fsrm=off", "-m", "%dM" % (vm["defaultMemoryBytes"] >> 20),
            "-smp", str(vm["defaultVcpus"]), "-kernel", guest["kernel"], "-initrd", initrd,
            "-append", guest["commandLine"] + " rdinit=/bench-net",
            "-device", "virtio-serial-pci", "-chardev", "stdio,id=console", "-device", "virtconsole,chardev=console",
            "-netdev", "tap,id=net,ifname=bare,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net"]))

    def configure(self, where, address):
        path = self.bench.bundle + "/config.json"
        self.bench.configure(["/bench-net", "client", address])
        with open(path) as f:
            config = json.load(f)
        for namespace in config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = "/run/netns/" + self.names[where]
        with open(path, "w") as f:
            json.dump(config, f)

    def container(self, where, runtime, number):
        self.configure(where, "10.99.%d.1" % (1 if where == "hull" else 2))
        self.note(where, self.bench.must(runtime + ["run", "--bundle", self.bench.bundle, "n%d" % number]))

    def measure(self):
        bench, program = self.bench, self.bench.work + "/bench-net"
        bench.must(["cc", "-O2", "-static", "-o", program, os.path.dirname(os.path.abspath(__file__)) + "/bench_net.c"])
        # Debian's kernel has virtio-net in a module, which nobody loads in a bare guest.
        initrd = bench.append_to_initrd("bench-net", "net.img") if bench.env["guest"]["flavour"] == "tuned" else None
        shutil.copy(program, bench.bundle + "/rootfs/bench-net")
        self.prepare()
        with subprocess.Popen(self.inside("server") + [program, "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as server:
            try:
                server.stdout.readline()
                for i in range(ROUNDS):
                    if initrd:
                        self.bare(initrd)
                    self.container("hull", bench.hull, i)
                    self.container("runc", bench.runc, i)
            finally:
                server.kill()

    def clean(self):
        for name in self.names.values():
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                self.bench.call(["ip", "netns", "del", name])


def run(bench):
    network = Network(bench)
    try:
        network.measure()
    finally:
        network.clean()
    os.unlink(bench.bundle + "/config.json")
    bench.must(bench.hull + ["spec", "-b", bench.bundle])
    return network.results


def table(results):
    """The ratio is of speeds, so that 1.00 is as fast as a guest with a tap and nothing else."""
    rows = ["| network | bare QEMU + tap | hull | runc | speed, hull : bare |", "|---|---|---|---|---|"]
    for kind, (title, text, is_rate) in KINDS.items():
        med = {where: statistics.median(values) for where, values in results.get(kind, {}).items()}
        ratio = ""
        if "bare QEMU" in med and "hull" in med:
            ratio = "%.2f" % (med["hull"] / med["bare QEMU"] if is_rate else med["bare QEMU"] / med["hull"])
        cells = [text(med[w]) if w in med else "" for w in ("bare QEMU", "hull", "runc")]
        rows.append("| %s | %s | %s |" % (title, " | ".join(cells), ratio))
    return "\n".join(rows)
