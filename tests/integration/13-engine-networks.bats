#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks that engines make: Podman's bridge by CNI, Docker's bridge, and CNI's plugins by hand, with published ports and real servers.
# All of it in a network namespace that stands for the host: bridges, NAT and addresses are made in there.

bats_require_minimum_version 1.5.0
load lib.bash

setup_file() {
	command -v podman >/dev/null && [ -x /usr/lib/cni/bridge ] || return 0
	D=$(mktemp -d /var/tmp/hull-en-XXXX)
	export D ROOT=$D/hull-state ID=$D
	printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$HULL" "$ROOT" >"$D/hull"
	chmod 755 "$D/hull"
	cat >"$D/containers.conf" <<-CONF
		[containers]
		log_driver = "k8s-file"
		[network]
		network_backend = "cni"
		cni_plugin_dirs = ["/usr/lib/cni"]
		network_config_dir = "$D/cni"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "hull"
		[engine.runtimes]
		hull = ["$D/hull"]
	CONF
	mkdir "$D/cni"
	# shellcheck disable=SC2016
	unshare -nm --propagation private sh -c '
		ip link set lo up
		for dir in /run /dev/shm /var/lib/containers /var/lib/cni; do
			[ ! -d $dir ] || mount -t tmpfs tmpfs $dir
		done
		echo ready >"$D/ready"
		exec sleep infinity' 3>&- &
	export HOLDER=$!
	eventually 5 grep -qs ready "$D/ready"
	pm import "$DATA/try-rootfs.tar" t >/dev/null
}

teardown_file() {
	[ -n "${D:-}" ] || return 0
	local left pid
	pm rm -af -t 0 >/dev/null
	left=$(traces)
	for pid in $(pgrep -f -- "$D/"); do kill -9 "$pid" || true; done
	kill "$HOLDER"
	rm -rf --one-file-system "$D"
	[ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

setup() { [ -n "${D:-}" ] || skip "no podman, or no CNI plugins"; }
teardown() {
	[ -z "${DOCKERD:-}" ] || docker_down
	[ -z "${D:-}" ] || pm pod rm -af -t 0 >/dev/null
	[ -z "${D:-}" ] || pm rm -af -t 0 >/dev/null
}

inside() { CONTAINERS_CONF=$D/containers.conf TMPDIR=$D nsenter -t "$HOLDER" -n -m "$@"; }
pm() { inside timeout -k 5 "$CALL_TIMEOUT" podman --root "$D/root" --runroot "$D/run" --tmpdir "$D/tmp" "$@"; }

SERVE='while true; do printf "HTTP/1.0 200 OK\r\n\r\nfrom the VM\n" | nc -l -p 8080; done'

# Whoever comes between two connections of the loop is turned away: ask again.
serves() { [ "$(inside curl -s -m 5 "$1")" = "from the VM" ]; }

@test "podman: the default bridge: address, default route, DNS file, another container" {
	pm run -d --name one t sleep 1000 >/dev/null
	pm exec one ip addr show eth0 | grep -q "inet $(pm inspect -f '{{.NetworkSettings.IPAddress}}' one)/"
	pm exec one ip route | grep -q "^default via $(pm inspect -f '{{.NetworkSettings.Gateway}}' one) dev eth0"
	[ "$(pm exec one cat /sys/class/net/eth0/address)" = "$(pm inspect -f '{{.NetworkSettings.MacAddress}}' one)" ]
	pm exec one grep -q nameserver /etc/resolv.conf
	inside ping -c 1 -W 10 "$(pm inspect -f '{{.NetworkSettings.IPAddress}}' one)"
	pm run --rm --cap-add NET_RAW t ping -c 1 -W 10 "$(pm inspect -f '{{.NetworkSettings.IPAddress}}' one)"
}

@test "podman: a published port, by the bridge's address and after a restart" {
	pm run -d --name web -p 18080:8080 t sh -c "$SERVE" >/dev/null
	address=$(inside ip -j addr show cni-podman0 | jq -r '.[0].addr_info[0].local')
	eventually 20 serves "http://$address:18080/"
	pm restart -t 0 web >/dev/null
	eventually 20 serves "http://$address:18080/"
}

@test "podman: a pod's members share the network" {
	pm pod create --name pod -p 18081:8080 >/dev/null
	pm run -d --pod pod --name web t sh -c "$SERVE" >/dev/null
	address=$(inside ip -j addr show cni-podman0 | jq -r '.[0].addr_info[0].local')
	eventually 20 serves "http://$address:18081/"
	eventually 20 pm run --rm --pod pod t wget -q -O /dev/null http://127.0.0.1:8080/
	[ "$(pgrep -fc -- "hull-pod --root $ROOT")" = 1 ]
}

@test "podman: network connect and disconnect on a running container" {
	pm network create --subnet 10.124.0.0/24 second >/dev/null
	pm network create --subnet 10.125.0.0/24 first >/dev/null
	pm run -d --name box --network first t sleep 1000 >/dev/null
	pm network connect second box
	eventually 20 pm exec box sh -c 'ip addr show eth1 | grep -q "inet 10.124.0."'
	pm network disconnect second box
	eventually 20 pm exec box sh -c '! ip link show eth1 2>/dev/null'
	pm rm -f -t 0 box >/dev/null
	pm network rm first second >/dev/null
}

# ---- Docker

dk() { timeout -k 5 "$CALL_TIMEOUT" docker -H "unix://$D/dk/sock" "$@"; }

# Docker of the test's own, with Hull as its runtime. dockerd's pid is in $DOCKERD.
docker_up() {
	command -v dockerd >/dev/null || skip "no dockerd"
	mkdir -p "$D/dk"
	printf '{"runtimes": {"hull": {"path": "%s"}}, "default-runtime": "hull"}\n' "$HULL" >"$D/dk/daemon.json"
	inside dockerd --config-file "$D/dk/daemon.json" --data-root "$D/dk/root" --exec-root "$D/dk/exec" --pidfile "$D/dk/pid" \
		-H "unix://$D/dk/sock" --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${D##*/}" \
		>"$D/dk/log" 2>&1 3>&- &
	eventually 60 eval 'dk info >/dev/null 2>&1'
	DOCKERD=$(cat "$D/dk/pid")
	dk image inspect t >/dev/null 2>&1 || dk import "$DATA/try-rootfs.tar" t >/dev/null
}

docker_down() {
	local id
	for id in $(dk ps -aq); do dk rm -f "$id" >/dev/null; done
	kill "$DOCKERD"
	eventually 30 is_over "$DOCKERD"
	DOCKERD=
}

@test "docker: the default bridge and a published port, by NAT and by the proxy" {
	local address
	docker_up
	dk run -d --name web -p 18090:8080 t sh -c "$SERVE" >/dev/null
	address=$(dk inspect -f '{{.NetworkSettings.IPAddress}}' web)
	dk exec web ip route | grep -q "^default via $(dk inspect -f '{{.NetworkSettings.Gateway}}' web) dev eth0"
	eventually 20 serves "http://$address:8080/"
	eventually 20 serves "http://$(inside ip -j addr show docker0 | jq -r '.[0].addr_info[0].local'):18090/"
	eventually 20 serves "http://127.0.0.1:18090/"
	[ "$(dk run --rm t sh -c "wget -q -O - http://$address:8080/")" = "from the VM" ] ||
		eventually 20 eval '[ "$(dk run --rm t wget -q -O - http://'"$address"':8080/)" = "from the VM" ]'
	dk network create --subnet 10.126.0.0/24 later >/dev/null
	dk network connect later web
	eventually 20 dk exec web sh -c 'ip addr show eth1 | grep -q "inet 10.126.0."'
	docker_down
}

@test "docker: containers of a network of its own find each other by name" {
	local address
	docker_up
	dk network create --subnet 10.125.0.0/24 own >/dev/null
	dk run -d --name one --network own --network-alias alias t sleep 1000 >/dev/null
	dk run -d --name two --network own t sleep 1000 >/dev/null
	address=$(dk inspect -f '{{.NetworkSettings.Networks.own.IPAddress}}' one)
	dk exec two cat /etc/resolv.conf | grep -q '^nameserver 127.0.0.11$'
	eventually 20 dk exec two nslookup one
	dk exec two nslookup one | grep -q "$address"
	dk exec two nslookup alias | grep -q "$address"
	dk exec two ping -c 1 -W 10 one
	# Over a connection; a query for "one" with its length in front.
	dk exec two sh -c '(printf "\0\025\022\064\1\0\0\1\0\0\0\0\0\0\3one\0\0\1\0\1"; sleep 2) | nc 127.0.0.11 53 | od -An -tu1' |
		tr -s ' \n' ' ' | grep -q " 18 52 .* ${address//./ } $"
	# More at once than are let through at once, with port 53 taken by a server of the container's own.
	dk exec -d two sh -c 'while nc -l -p 53; do true; done'
	eventually 20 dk exec two sh -c 'netstat -ltn | grep -q ":53 "'
	dk exec two sh -c 'for i in $(seq 100); do nslookup one >/tmp/$i 2>&1 & done; wait; grep -l "Address.*'"$address"'" /tmp/[0-9]* | wc -l' | grep -qx 100
	dk exec two sh -c 'netstat -ltn | grep -q ":53 "'
	# A name that nobody has is answered, not waited for; on the default bridge there is no such server.
	run -1 dk exec two nslookup nobody.invalid
	dk run -d --name three t sleep 1000 >/dev/null
	run -1 dk exec three sh -c 'echo | nc -w 5 127.0.0.11 53'
	# … until it is connected to a network that has one.
	dk network connect own three
	eventually 20 dk exec three nslookup one 127.0.0.11
	docker_down
}

# ---- CNI by hand

# cni COMMAND PLUGIN POD CONFIGURATION: one call of a plugin for eth0 of a pod, as an engine makes it.
cni() {
	inside env CNI_COMMAND="$1" CNI_CONTAINERID="$3" CNI_NETNS="/run/netns/$3" CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni "/usr/lib/cni/$2" <<<"$4"
}

BRIDGE='{"cniVersion": "0.4.0", "name": "hand", "type": "bridge", "bridge": "cni-hand", "isGateway": true, "ipMasq": true,
	"ipam": {"type": "host-local", "dataDir": "/run/cni-hand", "ranges": [[{"subnet": "10.127.0.0/24"}], [{"subnet": "fd7f::/64"}]],
		"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}'
PTP='{"cniVersion": "0.4.0", "name": "hand2", "type": "ptp", "ipam": {"type": "host-local", "dataDir": "/run/cni-hand", "subnet": "10.128.0.0/24",
	"routes": [{"dst": "0.0.0.0/0"}]}}'

# in_pod POD PLUGIN CONFIGURATION COMMAND...: a pod in the namespace that the plugin prepared. Its result is in $RESULT.
in_pod() {
	local pod=$1 plugin=$2 conf=$3
	shift 3
	inside ip netns add "$pod"
	inside ip -n "$pod" link set lo up
	RESULT=$(cni ADD "$plugin" "$pod" "$conf")
	mkdir -p "$D/$pod"
	(cd "$D/$pod" && "$HULL" spec)
	jq --arg root "$DEBIAN_TREE" --arg ns "/run/netns/$pod" '.process.terminal = false | .process.args = $ARGS.positional | .root = {path: $root} |
		.process.capabilities[] += ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] |
		(.linux.namespaces[] | select(.type == "network")).path = $ns' --args -- "$@" <"$D/$pod/config.json" >"$D/$pod/c" && mv "$D/$pod/c" "$D/$pod/config.json"
	inside "$D/hull" run -d --bundle "$D/$pod" "$pod" </dev/null >"$D/$pod.out" 2>&1
}

pod_gone() {
	inside "$D/hull" delete --force "$1"
	cni DEL "$2" "$1" "$3"
	inside ip netns del "$1"
}

@test "CNI by hand: bridge with two families and portmap, ptp; nginx under ab, redis-benchmark from pod to pod" {
	load net.bash
	setup_debian
	echo "served by nginx" >"$DEBIAN_TREE/var/www/html/index.html"
	in_pod web bridge "$BRIDGE" nginx -g 'daemon off;'
	local address port map
	address=$(jq -r '.ips[0].address | split("/")[0]' <<<"$RESULT")
	eventually 30 inside curl -sf -m 5 -o /dev/null "http://$address/"
	inside curl -sf -m 5 "http://[$(jq -r '.ips[1].address | split("/")[0]' <<<"$RESULT")]/" | grep -q "served by nginx" ||
		inside "$D/hull" exec web curl -sf -m 5 http://127.0.0.1/ | grep -q "served by nginx"
	map=$(jq -c --argjson prev "$RESULT" '. + {type: "portmap", prevResult: $prev, runtimeConfig: {portMappings:
		[{hostPort: 18095, containerPort: 80, protocol: "tcp"}]}}' <<<'{"cniVersion": "0.4.0", "name": "hand"}')
	cni ADD portmap web "$map" >/dev/null
	port="http://10.127.0.1:18095/"
	eventually 10 inside curl -sf -m 5 -o /dev/null "$port"
	inside ab -q -n 300 -c 8 "$port" >"$D/ab" 2>&1
	grep -q '^Complete requests: *300$' "$D/ab"
	grep -q '^Failed requests: *0$' "$D/ab"

	in_pod db bridge "$BRIDGE" redis-server --save '' --protected-mode no --bind 0.0.0.0
	address=$(jq -r '.ips[0].address | split("/")[0]' <<<"$RESULT")
	in_pod user ptp "$PTP" sleep 1000
	eventually 30 inside "$D/hull" exec user redis-cli -h "$address" ping
	inside "$D/hull" exec user redis-benchmark -q -h "$address" -n 500 -c 10 -t set,get >"$D/redis"
	[ "$(tr '\r' '\n' <"$D/redis" | grep -c 'requests per second')" -ge 2 ]
	cni DEL portmap web "$map"
	pod_gone web bridge "$BRIDGE"
	pod_gone db bridge "$BRIDGE"
	pod_gone user ptp "$PTP"
	teardown_debian
}

# ---- other makers of networks

@test "podman: slirp4netns, whose tap is its own process'" {
	command -v slirp4netns >/dev/null || skip "no slirp4netns"
	pm run -d --name web --network slirp4netns:port_handler=slirp4netns -p 18099:8080 t sh -c "$SERVE" >/dev/null
	pm exec web ip addr show tap0 | grep -q 'inet 10.0.2.100/24'
	[ "$(pm exec web cat /sys/class/net/tap0/mtu)" = 65520 ]
	eventually 20 serves "http://127.0.0.1:18099/"
	# Podman's own handler of ports connects from inside of the namespace, whose stack is not the VM's.
	run pm run --rm --network slirp4netns -p 18100:8080 t true
	[ "$status" -eq 126 ]
	[[ "$output" == *"lives in it and would lose its network to the VM"* ]]
}

@test "podman: pasta is unknown to this one" {
	local version
	version=$(pm --version | grep -o '[0-9]*\.[0-9]*' | head -n 1)
	[ "$(printf '%s\n' "$version" 4.4 | sort -V | head -n 1)" != 4.4 ] || skip "Podman $version has it, for users without privileges"
	run pm run --rm --network pasta t true
	[ "$status" -eq 125 ]
	[[ "$output" == *"unable to find network with name or ID pasta"* ]]
}

@test "podman: netavark's bridge and a published port" {
	[ -x /usr/lib/podman/netavark ] || skip "no netavark"
	local address
	# The other backend's bridge keeps the same subnet, and with it the way back to the container.
	inside ip link del cni-podman0 2>/dev/null || true
	sed -i 's/network_backend = "cni"/network_backend = "netavark"/' "$D/containers.conf"
	pm run -d --name web -p 18098:8080 t sh -c "$SERVE" >/dev/null
	address=$(inside ip -j addr show podman0 | jq -r '.[0].addr_info[0].local')
	eventually 20 serves "http://$address:18098/"
	pm rm -f -t 0 web >/dev/null
	sed -i 's/network_backend = "netavark"/network_backend = "cni"/' "$D/containers.conf"
}
