#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks that engines make: Podman's bridge by CNI, with published ports and names. All of it in a network namespace that stands for
# the host: bridges, NAT and addresses are made in there.

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
