#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A pod's network on raw bundles: what is in a network namespace that an engine could have prepared is in the VM, and stays so.

load lib.bash
load net.bash

setup_file() { setup_debian; }
teardown_file() { teardown_debian; }

setup() {
	setup_hull
	setup_net
	net_bundle
}

teardown() {
	local failed=0
	teardown_hull || failed=1
	teardown_net
	return $failed
}

@test "addresses, routes, neighbours, MTU and MAC are those of the namespace" {
	wire data peer1
	in_ns link set data mtu 1280 address 02:11:22:33:44:55
	in_ns addr add 10.78.0.2/16 dev data
	in_ns addr add 10.78.9.9/32 dev data
	in_ns addr add 10.79.0.1 peer 10.79.0.2 dev data
	in_ns addr add fd78::2/64 dev data nodad
	in_ns addr add 192.0.2.7/32 dev lo
	in_ns route add 10.90.0.0/16 via 10.78.0.1 metric 50
	in_ns route add 10.90.0.0/16 via 10.77.0.1 metric 60 src 10.77.0.2
	in_ns route add 10.91.0.0/24 dev data scope link mtu 1000
	in_ns route add 10.92.0.0/24 nexthop via 10.77.0.1 weight 2 nexthop via 10.78.0.1 weight 1
	in_ns route add 10.93.0.0/24 via 203.0.113.1 dev eth0 onlink
	in_ns route add blackhole 10.94.0.0/24
	in_ns route add unreachable 10.95.0.0/24 metric 9
	in_ns route add prohibit 10.96.0.0/24
	in_ns route add 10.97.0.0/24 via 10.77.0.1 table 100
	in_ns route add default via inet6 fd77::1 dev eth0 metric 900
	in_ns -6 route add fd90::/32 via fd78::1 metric 70
	in_ns -6 route add blackhole fd91::/32
	in_ns route del 10.78.0.0/16 dev data
	in_ns rule add from 10.77.0.2 lookup 100 priority 500
	in_ns -6 rule add oif data lookup 100 priority 501
	in_ns neigh add 10.77.0.9 lladdr 02:99:99:99:99:99 dev eth0 nud permanent
	in_ns neigh add fd77::9 lladdr 02:99:99:99:99:98 dev eth0 nud permanent
	start_sleeper
	same_network
	diff <(in_ns rule; in_ns -6 rule) <(guest ip rule; guest ip -6 rule)
	[ "$(guest ip -j addr show dev lo | jq -c '[.[0].addr_info[].local]')" = '["127.0.0.1","192.0.2.7","::1"]' ]
	guest ip -j addr show dev data | jq -e '.[0].address == "02:11:22:33:44:55" and .[0].mtu == 1280' >/dev/null
	guest ip -o link | grep -q '^1: lo: .*UP'
	# IPv6 is ready at once: nothing is tentative.
	[ -z "$(guest ip -6 addr show tentative)" ]
	[ "$(guest cat /proc/sys/net/ipv4/ping_group_range)" = "0	2147483647" ]
}

@test "traffic: ping, TCP and UDP both ways, IPv4 and IPv6, and nothing of it on the host" {
	local before capture
	before=$(ip -j link; ip -j addr; tc qdisc show)
	timeout 120 tcpdump -i any -n -w "$WORK/host.pcap" 'net 10.77.0.0/24 or net fd77::/64' >/dev/null 2>&1 3>&- &
	capture=$!
	start_sleeper
	peer ping -c 2 -W 10 10.77.0.2
	peer ping -c 1 -W 10 fd77::2
	guest ping -c 1 -W 10 10.77.0.1
	guest ping -c 1 -W 10 fd77::1
	peer python3 -c "$TALK" 5000 peer 3>&- &
	hull exec -d "$ID" python3 -c "$TALK" 5000 guest
	for address in 10.77.0.1 fd77::1; do
		eventually 10 guest python3 -c "$LISTEN" $address 5000
		[ "$(guest python3 -c "$LISTEN" $address 5000)" = "hello from peer" ]
	done
	for address in 10.77.0.2 fd77::2; do
		eventually 10 peer python3 -c "$LISTEN" $address 5000
		[ "$(peer python3 -c "$LISTEN" $address 5000)" = "hello from guest" ]
	done
	# UDP, larger than a frame.
	peer python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 5001)); d, a = s.recvfrom(65535); s.sendto(d[::-1], a)' 3>&- &
	[ "$(guest python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.sendto(b"ab" * 10000, ("10.77.0.1", 5001)); print(s.recv(65535) == b"ba" * 10000)')" = True ]
	# The namespace's own stack is out of it: nobody there hears, answers or resets.
	in_ns -j -s link show eth0 | jq -e '.[0].stats64.rx.packets > 20' >/dev/null
	[ "$(ip netns exec "$NS" grep -E '^(Icmp|Tcp|Udp|Ip):' /proc/net/snmp | awk '$1 == "Ip:" && $2 ~ /^[0-9]/ { print $4 }')" = 0 ]
	kill -INT $capture && wait $capture
	[ -z "$(tcpdump -r "$WORK/host.pcap" 2>/dev/null)" ]
	[ "$(ip -j link; ip -j addr; tc qdisc show)" = "$before" ]
}

@test "ping as an ordinary user; raw sockets only with the capability" {
	config '.process.user = {uid: 1234, gid: 1234}'
	start_sleeper
	guest ping -c 1 -W 10 10.77.0.1
	run guest python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)'
	[[ "$output" == *PermissionError* ]]
	run hull exec --user 0 "$ID" python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
	[[ "$output" == *PermissionError* ]]
	hull exec --user 0 --cap CAP_NET_RAW "$ID" python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
	run hull exec --user 0 "$ID" ip link set eth0 down
	[ "$status" -ne 0 ]
}

@test "changes are followed: addresses, routes, neighbours, MTU, MAC, names, interfaces" {
	start_sleeper
	same_network
	in_ns addr add 10.80.0.2/24 dev eth0
	in_ns addr add fd80::2/64 dev eth0 nodad
	in_ns route add 10.81.0.0/24 via 10.80.0.1
	in_ns neigh add 10.77.0.9 lladdr 02:99:99:99:99:99 dev eth0 nud permanent
	in_ns link set eth0 mtu 1400
	eventually 10 same_network
	[ "$(guest cat /sys/class/net/eth0/mtu)" = 1400 ]
	in_ns addr del 10.80.0.2/24 dev eth0
	in_ns neigh del 10.77.0.9 dev eth0
	in_ns route replace default via 10.77.0.3
	eventually 10 same_network

	# An interface that comes, one that goes, and two that change places.
	wire eth1 peer1
	in_ns addr add 10.82.0.2/24 dev eth1
	ip -n "$PEER" addr add 10.82.0.1/24 dev peer1
	eventually 20 same_network
	guest ping -c 1 -W 10 10.82.0.1
	in_ns link set eth1 down && in_ns link set eth1 address 02:00:00:00:77:77 && in_ns link set eth1 up
	eventually 10 same_addresses
	guest ping -c 1 -W 10 10.82.0.1
	in_ns link set eth0 down && in_ns link set eth0 name tmp && in_ns link set eth1 down && in_ns link set eth1 name eth0
	in_ns link set tmp name eth1 && in_ns link set eth0 up && in_ns link set eth1 up
	eventually 10 same_network
	guest ping -c 1 -W 10 10.82.0.1
	guest ping -c 1 -W 10 10.77.0.1
	in_ns link del eth1
	eventually 20 same_network
	[ "$(guest ls /sys/class/net | tr '\n' ' ')" = "eth0 lo " ]
	guest ping -c 1 -W 10 10.82.0.1
	# What a container made itself is its own.
	hull exec --cap CAP_NET_ADMIN "$ID" ip addr add 10.83.0.1/24 dev lo
	in_ns addr add 10.84.0.1/24 dev eth0
	eventually 10 guest sh -c "ip addr | grep -q 10.84.0.1"
	guest ip addr show lo | grep -q 10.83.0.1
}

@test "twenty interfaces are plugged into a running VM and out of it again" {
	start_sleeper
	for i in $(seq 20); do
		in_ns link add "net$i" type veth peer name "p$i" netns "$PEER"
		ip -n "$PEER" addr add "10.100.$i.1/24" dev "p$i"
		ip -n "$PEER" link set "p$i" up
		in_ns addr add "10.100.$i.2/24" dev "net$i"
		in_ns link set "net$i" up
	done
	eventually 60 same_network
	for i in 1 7 20; do guest ping -c 1 -W 10 "10.100.$i.1"; done
	for i in $(seq 20); do in_ns link del "net$i"; done
	eventually 60 same_network
	[ "$(guest ls /sys/class/net | tr '\n' ' ')" = "eth0 lo " ]
	[ "$(in_ns -o link | grep -c hull-tap)" = 1 ]
	guest ping -c 1 -W 10 10.77.0.1
}

@test "the namespace outlives the pod: it is as it was, and serves the next" {
	local before
	before=$(addresses in_ns; routes in_ns)
	start_sleeper
	hull delete --force "$ID"
	net_is_clean
	[ "$(addresses in_ns; routes in_ns)" = "$before" ]
	# Its own stack works again.
	peer ping -c 1 -W 10 10.77.0.2
	start_sleeper
	guest ping -c 1 -W 10 10.77.0.1
	# Everything killed at once: what is left is dead, and the next pod takes it over; or a delete takes it away.
	kill -9 "$(pid_of "$ID" .supervisor)"
	eventually 10 sh -c "! ip -n $NS -o link | grep -q hull-"
	start_sleeper "$ID-2"
	hull exec "$ID-2" ping -c 1 -W 10 10.77.0.1
	hull delete --force "$ID"
	hull exec "$ID-2" ping -c 1 -W 10 10.77.0.1
	kill -9 "$(pid_of "$ID-2" .supervisor)"
	eventually 10 sh -c "! ip -n $NS -o link | grep -q hull-"
	hull delete --force "$ID-2"
	net_is_clean
	peer ping -c 1 -W 10 10.77.0.2
}

refused() {
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	echo "$output"
	[[ "$output" == *"$1"* ]]
	assert_no_traces
	net_is_clean
}

@test "refused by name: the host's namespace, one with processes, interfaces that a VM cannot have" {
	args true
	config '(.linux.namespaces[] | select(.type == "network")).path = "/proc/self/ns/net"'
	refused "the host's network namespace"
	# The same by another name.
	touch "$WORK/ns"
	mount --bind /proc/self/ns/net "$WORK/ns"
	config --arg ns "$WORK/ns" '(.linux.namespaces[] | select(.type == "network")).path = $ns'
	refused "the host's network namespace"
	umount "$WORK/ns"

	net_bundle
	ip netns exec "$NS" sleep 1000 3>&- &
	eventually 5 sh -c "ip netns pids $NS | grep -q ."
	refused "(sleep) lives in it and would lose its network to the VM"
	kill $!
	wait $! || true
	in_ns link add br0 type bridge
	in_ns link set br0 up
	refused "br0 is a bridge"
	in_ns link set eth0 master br0
	in_ns link set br0 down
	refused "eth0 is a port of another interface"
	in_ns link del br0
	in_ns link set eth0 nomaster
	in_ns tuntap add mode tun name tun0
	in_ns link set tun0 up
	refused "tun0 carries no Ethernet frames"
	in_ns link del tun0
	in_ns link add link eth0 name mv0 type macvlan
	in_ns link set mv0 up
	refused "mv0 is built on another interface of the same namespace"
	in_ns link del mv0
	tc -n "$NS" qdisc add dev eth0 ingress
	run hull run --bundle "$BUNDLE" "$ID"
	[[ "$output" == *"eth0: it has an ingress discipline that is not Hull's"* ]]
	tc -n "$NS" qdisc show dev eth0 | grep -q ingress
	tc -n "$NS" qdisc del dev eth0 ingress
	config '.annotations["kubernetes.io/ingress-bandwidth"] = "much"'
	refused 'kubernetes.io/ingress-bandwidth is "much": expected bits per second'
}

@test "events --stats: traffic by interface, as the container sees it" {
	wire data peer1
	start_sleeper
	guest ping -c 3 -W 10 10.77.0.1 -s 1000
	hull events --stats "$ID" >"$WORK/stats"
	jq -e '.data.network_interfaces | map(.Name) | sort == ["data", "eth0"]' "$WORK/stats" >/dev/null
	jq -e '.data.network_interfaces[] | select(.Name == "eth0") | .RxBytes >= 3000 and .TxBytes >= 3000 and .RxPackets >= 3 and .TxPackets >= 3
		and .RxErrors == 0 and .RxDropped == 0 and .TxErrors == 0 and .TxDropped == 0' "$WORK/stats" >/dev/null
}

@test "a second container on the same namespace shares the VM and its network" {
	start_sleeper
	cp -r "$BUNDLE" "$WORK/second"
	jq '.process.args = ["sh", "-c", "ping -c 1 -W 10 10.77.0.1 >/dev/null && ip -j addr"]' "$BUNDLE/config.json" >"$WORK/second/config.json"
	hull run --bundle "$WORK/second" "$ID-2" >"$WORK/out"
	[ "$(jq -c '.[].ifname' "$WORK/out" | tr '\n' ' ')" = '"lo" "eth0" ' ]
	[ "$(in_ns -o link | grep -c hull-tap)" = 1 ]
	guest ping -c 1 -W 10 10.77.0.1
}

# bits per second, by iperf3 in the guest: rate OPTION... (-R: to the guest)
rate() { guest iperf3 -c 10.77.0.1 -t 2 -J "$@" | jq '.end.sum_received.bits_per_second | floor'; }

@test "iperf3 both ways, with the limits of the annotations; nftables and iptables in the guest" {
	config '.annotations["kubernetes.io/ingress-bandwidth"] = "16M" | .annotations["kubernetes.io/egress-bandwidth"] = "8M"'
	caps NET_ADMIN NET_RAW
	start_sleeper
	peer iperf3 -s >/dev/null 2>&1 3>&- &
	eventually 10 guest iperf3 -c 10.77.0.1 -n 1K
	local up down
	up=$(rate) down=$(rate -R)
	echo "up $up down $down"
	[ "$up" -lt 14000000 ] && [ "$up" -gt 1000000 ]
	[ "$down" -lt 26000000 ] && [ "$down" -gt 2000000 ]
	guest nft add table inet t
	guest nft 'add chain inet t in { type filter hook input priority 0; }'
	guest nft add rule inet t in tcp dport 7 reject with tcp reset
	guest nft list ruleset | grep -q 'tcp dport 7 reject'
	guest iptables -t nat -A OUTPUT -p tcp --dport 9999 -j REDIRECT --to-ports 5201
	guest iptables -t nat -S | grep -q 9999
	hull delete --force "$ID"
	net_is_clean
}

@test "macvlan, a tap of somebody else's process, two interfaces of one address, several queues" {
	config '.linux.resources.cpu = {quota: 200000, period: 100000}'
	ip -n "$PEER" link add mv0 link peer0 type macvlan mode bridge
	ip -n "$PEER" link set mv0 netns "$NS"
	# Not the lower interface: macvlan does not speak to that.
	ip -n "$PEER" link add mv1 link peer0 type macvlan mode bridge
	ip -n "$PEER" addr add 10.87.0.1/24 dev mv1
	ip -n "$PEER" link set mv1 up
	in_ns addr add 10.87.0.2/24 dev mv0
	in_ns link set mv0 up
	in_ns tuntap add mode tap name tap0
	in_ns addr add 10.86.0.2/24 dev tap0
	in_ns link set tap0 address "$(in_ns -j link show eth0 | jq -r '.[0].address')" up
	start_sleeper
	same_addresses
	guest ping -c 1 -W 10 10.77.0.1
	[ "$(guest sh -c 'ls -d /sys/class/net/eth0/queues/rx-* | wc -l')" = 2 ]
	guest ping -c 1 -W 10 10.87.0.1
}

@test "a namespace that pasta prepared: its tap, and traffic through its own process" {
	command -v pasta >/dev/null || skip "no pasta"
	local pod=hull$$n${BATS_TEST_NUMBER}pasta helper
	ip netns add "$pod"
	ip -n "$pod" link set lo up
	# The peer stands for the host, with an uplink and a default route; what pasta runs as has no other rights there.
	ip -n "$PEER" route add default via 10.77.0.2
	ip netns exec "$PEER" pasta --runas 0 --config-net --no-map-gw --netns "/run/netns/$pod" -t none -u none -T none -U none -f >"$WORK/pasta" 2>&1 3>&- &
	helper=$!
	eventually 10 eval 'ip -n "$pod" addr show peer0 2>/dev/null | grep -q "inet 10.77.0.1/24"'
	config --arg ns "/run/netns/$pod" '(.linux.namespaces[] | select(.type == "network")).path = $ns'
	start_sleeper
	ip netns exec "$NS" python3 -c "$TALK" 5000 pasta 3>&- &
	eventually 20 guest python3 -c "$LISTEN" 10.77.0.2 5000
	[ "$(guest python3 -c "$LISTEN" 10.77.0.2 5000)" = "hello from pasta" ]
	hull delete --force "$ID"
	kill $helper
}

@test "ipvlan: its frames go through the redirect, where the kernel has it: in a VM, with CNI's plugin" {
	local mode
	[ "$(hull env --json | jq -r .guest.flavour)" = tuned ] || skip "the guests of Debian's kernel have no ipvlan"
	cp "$BATS_TEST_DIRNAME/ipvlan.py" "$DEBIAN_TREE/ipvlan.py"
	mkdir -p "$DEBIAN_TREE/cni"
	if [ -x /usr/lib/cni/ipvlan ]; then cp /usr/lib/cni/ipvlan /usr/lib/cni/static "$DEBIAN_TREE/cni/"; fi
	caps NET_ADMIN NET_RAW SYS_ADMIN MKNOD
	config '.linux.resources.devices = [{allow: true, access: "rwm"}] | .mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs"}]'
	for mode in l2 l3 "l2 /cni/ipvlan" "l3 /cni/ipvlan"; do
		[[ "$mode" != *cni* ]] || [ -x "$DEBIAN_TREE/cni/ipvlan" ] || continue
		# shellcheck disable=SC2086
		args python3 /ipvlan.py $mode
		hull run --bundle "$BUNDLE" "$ID" </dev/null
	done
}

@test "hull network: interfaces and routes by hand" {
	start_sleeper
	hull network list-ifaces "$ID" | jq -e '.[0] | .device == "eth0" and .mtu == 1500 and .queues == 1 and
		.IPAddresses[0] == {"address": "10.77.0.2", "mask": "24"}' >/dev/null
	in_ns link add veth7 type veth peer name p7 netns "$PEER"
	ip -n "$PEER" addr add 10.88.0.1/24 dev p7
	ip -n "$PEER" link set p7 up
	echo '{"device": "veth7", "name": "data", "IPAddresses": [{"address": "10.88.0.2", "mask": "255.255.255.0"}, {"address": "fd88::2", "mask": "64"}],
		"hwAddr": "02:42:20:6f:a2:80", "mtu": 1300}' >"$WORK/iface"
	hull network add-iface "$ID" "$WORK/iface" | jq -e '.[] | select(.name == "data") | .mtu == 1300 and .hwAddr == "02:42:20:6f:a2:80"' >/dev/null
	same_network
	guest ping -c 1 -W 10 10.88.0.1
	hull network add-route "$ID" - <<<'{"dest": "10.99.0.0/16", "gateway": "10.88.0.1", "device": "data"}' >/dev/null
	guest ip route | grep -q '^10.99.0.0/16 via 10.88.0.1 dev data'
	hull network list-routes "$ID" | jq -e 'any(.[]; . == {"dest": "10.99.0.0/16", "gateway": "10.88.0.1", "device": "data"})' >/dev/null
	hull network update-routes "$ID" - <<<'[{"dest": "default", "gateway": "10.88.0.1"}, {"dest": "10.98.0.0/16", "gateway": "10.77.0.1"}]' >/dev/null
	[ "$(guest ip route | grep via | sort)" = "10.98.0.0/16 via 10.77.0.1 dev eth0 proto static 
default via 10.88.0.1 dev data proto static " ]
	hull network del-route "$ID" - <<<'{"dest": "10.98.0.0/16", "gateway": "10.77.0.1"}' >/dev/null
	hull network update-iface "$ID" - <<<'{"device": "data", "mtu": 1400, "IPAddresses": [{"address": "10.88.0.3", "mask": "24"}]}' >/dev/null
	guest ip -j addr show data | jq -e '.[0].mtu == 1400 and [.[0].addr_info[].local] == ["10.88.0.3"]' >/dev/null
	hull network del-iface "$ID" - <<<'{"device": "data"}' | jq -e 'length == 1' >/dev/null
	[ "$(guest ls /sys/class/net | tr '\n' ' ')" = "eth0 lo " ]

	local input words
	while read -r input words; do
		run hull network add-iface "$ID" - <<<"$input"
		[ "$status" -eq 1 ] && [[ "$output" == *"network add-iface: "*"$words"* ]] || { echo "$input: $output"; false; }
	done <<-'BAD'
		{"device":"nowhere"} nowhere: there is no such interface
		{"device":"eth0"} eth0: the pod has it already
		{"device":"abcdefghijklmnop"} is no interface name: 1 to 15 characters
		{"device":"data","mtu":45} mtu: expected a number from 46 to 9600
		{"device":"data","mtu":9601} mtu: expected a number from 46 to 9600
		{"device":"data","hwAddr":"01:00:00:00:00:00"} hwAddr: "01:00:00:00:00:00" is no hardware address
		{"device":"data","IPAddresses":[{"address":"10.0.0.1","mask":"33"}]} is no mask
		{"device":"data","color":"red"} unknown field "color"
		[1] expected a JSON object
		{ expected a JSON object
	BAD
	run hull network list-ifaces nosuchpod
	[ "$status" -eq 1 ]
}

@test "with Debian's kernel, whose drivers are modules: interfaces from the start and later, nftables" {
	printf '[vm]\nkernel = %s\ninitrd = %s\n' "$DATA/vmlinuz-debian" "$DATA/initramfs-debian.img" >"$WORK/hull.conf"
	export HULL_CONFIG=$WORK/hull.conf
	caps NET_ADMIN
	start_sleeper
	same_network
	guest ping -c 1 -W 10 10.77.0.1
	wire eth1 peer1
	in_ns addr add 10.82.0.2/24 dev eth1
	ip -n "$PEER" addr add 10.82.0.1/24 dev peer1
	eventually 20 same_network
	guest ping -c 1 -W 10 10.82.0.1
	guest nft add table inet t
	guest nft list ruleset | grep -q 'table inet t'
}
