# SPDX-License-Identifier: Apache-2.0
"""Whether frames of an ipvlan slave can be redirected to a VM, on a kernel that has ipvlan: that of the guest. Makes what Hull makes on a
host (a tap, and u32 with mirred both ways), a namespace in the VM's place, and sends traffic both ways: ipvlan.py l2|l3 [CNI-PLUGIN].
Mode l3s does not work: packets come past the slave's ingress discipline."""
import ctypes
import fcntl
import json
import os
import select
import struct
import subprocess
import sys

MODE, PLUGIN = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
NET = "10.66.0" if MODE == "l2" else "10.67.0"


def run(words, **kw):
    return subprocess.run(words.split(), check=True, stdout=subprocess.PIPE, **kw).stdout.decode()


def enter(name):
    fd = os.open("/run/netns/" + name, os.O_RDONLY)
    if ctypes.CDLL(None).setns(fd, 0):
        raise OSError("setns")
    os.close(fd)


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name, 0x1002))     # TUNSETIFF; IFF_TAP, IFF_NO_PI
    return fd


def make_slave():
    if PLUGIN:
        conf = {"cniVersion": "0.4.0", "name": "i", "type": "ipvlan", "master": "d0", "mode": MODE, "ipam": {"type": "static", "addresses": [
            {"address": NET + ".9/24"}]}}
        env = dict(os.environ, CNI_COMMAND="ADD", CNI_CONTAINERID="i", CNI_NETNS="/run/netns/pod", CNI_IFNAME="eth0", CNI_PATH=os.path.dirname(PLUGIN))
        print(run(PLUGIN, input=json.dumps(conf).encode(), env=env))
        return
    run("ip link add link d0 name s0 type ipvlan mode " + MODE)
    run("ip link set s0 netns pod name eth0")
    run("ip -n pod addr add %s.9/24 dev eth0" % NET)
    run("ip -n pod link set eth0 up")


def prepare():
    for name in ("peer", "pod", "vm"):
        run("ip netns add " + name)
        run("ip -n %s link set lo up" % name)
    run("ip link add d0 type veth peer name d1 netns peer")
    run("ip addr add 10.66.0.2/24 dev d0")
    run("ip link set d0 up")
    run("ip -n peer addr add 10.66.0.1/24 dev d1")
    run("ip -n peer link set d1 up")
    run("ip -n peer route add 10.67.0.0/24 via 10.66.0.2")
    make_slave()


def main():
    os.makedirs("/dev/net", exist_ok=True)
    os.path.exists("/dev/net/tun") or os.mknod("/dev/net/tun", 0o20600, os.makedev(10, 200))
    prepare()
    enter("pod")
    eth0 = json.loads(run("ip -j link show eth0"))[0]
    here = tap(b"hull-tap0")
    run("ip link set hull-tap0 up arp off")
    for one, other in (("eth0", "hull-tap0"), ("hull-tap0", "eth0")):
        run("tc qdisc add dev %s ingress" % one)
        run("tc filter add dev %s parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev %s" % (one, other))
    enter("vm")
    there = tap(b"eth0")
    # What the guest is told of the interface: address and whether it resolves addresses.
    run("ip link set eth0 address %s arp %s" % (eth0["address"], "off" if "NOARP" in eth0["flags"] else "on"))
    run("ip link set eth0 up")
    run("ip addr add %s.9/24 dev eth0" % NET)
    if MODE != "l2":
        run("ip route add default dev eth0")
    if os.fork() == 0:
        while True:
            for fd in select.select([here, there], [], [])[0]:
                os.write(there if fd == here else here, os.read(fd, 65536))
    print(run("ping -c 2 -W 10 10.66.0.1"))
    enter("peer")
    print(run("ping -c 2 -W 10 %s.9" % NET))
    # Two addresses of the same hardware: the other end knows one.
    print(run("ip neigh"))


main()
