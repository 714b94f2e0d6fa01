#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# nerdctl on containerd 2.x: its hook brings networks, its own program takes the logs.

bats_require_minimum_version 1.5.0
load lib.bash
load containerd.bash

NERDCTL=${NERDCTL_DIR:-/var/cache/hull-tests/nerdctl}/nerdctl

setup_file() {
	[ -x "$NERDCTL" ] && has_containerd 2 || return 0
	containerd_up 2
	containerd_image
	# Where its CNI plug-in notes addresses.
	mkdir -p /var/lib/cni
	nsenter -t "$HOLDER" -m mount -t tmpfs none /var/lib/cni
}

teardown_file() {
	containerd_down
}

setup() {
	[ -n "${CD:-}" ] || skip "no nerdctl or containerd 2.x here: scripts/get-nerdctl and scripts/get-containerd build them with Go"
	C=box$BATS_TEST_NUMBER
}

# After every test no container is left, and nothing of Hull's either.
teardown() {
	[ -n "${CD:-}" ] || return 0
	local ids
	ids=$(nerdctl ps -aq)
	# shellcheck disable=SC2086
	[ -z "$ids" ] || nerdctl rm -f $ids >/dev/null
	eventually 10 containerd_nothing_left || { containerd_traces; return 1; }
}

NERDCTL_ARGS=(--address "$CD/sock" --data-root "$CD/nerdctl" --cni-path /usr/lib/cni --cni-netconfpath "$CD/cni" --cgroup-manager cgroupfs)

nerdctl() {
	timeout -k 5 120 nsenter -t "$HOLDER" -n -m "$NERDCTL" "${NERDCTL_ARGS[@]}" "$@"
}

# run_n ARGS…: without a network
run_n() {
	nerdctl run --runtime io.containerd.hull.v2 --net none "$@"
}

@test "nerdctl run: output, exit status, stdin, a kernel of its own" {
	[ "$(echo in | run_n --rm -i $IMAGE sh -c 'cat; uname -r')" != "in"$'\n'"$(uname -r)" ]
	run run_n --rm $IMAGE sh -c 'echo out; exit 5'
	[ "$status" -eq 5 ]
	[ "$output" = out ]
}

@test "nerdctl run -it, exec -it: terminals" {
	local how="nsenter -t $HOLDER -n -m $NERDCTL ${NERDCTL_ARGS[*]}"
	run timeout 60 script -qec "$how run --rm -it --runtime io.containerd.hull.v2 --net none $IMAGE tty" /dev/null </dev/null
	[[ "$output" = *"/dev/pts/0"* ]]
	run_n -d --name "$C" $IMAGE sleep 3600
	run timeout 60 script -qec "$how exec -it $C sh -c 'tty; stty size'" /dev/null </dev/null
	[[ "$output" = *"/dev/pts/"* ]]
}

@test "nerdctl: logs, exec, pause, cp, stats, stop, start, rm" {
	run_n -d --name "$C" $IMAGE sh -c 'trap "exit 6" TERM; echo begun; while :; do sleep 0.1; done'
	eventually 10 eval '[ "$(nerdctl logs "$C")" = begun ]'
	[ "$(nerdctl exec "$C" echo hi)" = hi ]
	run nerdctl exec "$C" sh -c 'exit 8'
	[[ "$output" = *"exec failed with exit code 8"* ]]
	nerdctl pause "$C"
	nerdctl unpause "$C"
	echo data >"$CD/file"
	nerdctl cp "$CD/file" "$C:/file"
	[ "$(nerdctl exec "$C" cat /file)" = data ]
	nerdctl stats --no-stream "$C" | grep -Eq '[1-9].*[KM]iB / '
	nerdctl stop "$C"
	[ "$(nerdctl inspect -f '{{.State.ExitCode}}' "$C")" = 6 ]
	nerdctl start "$C"
	[ "$(nerdctl exec "$C" cat /file)" = data ]
	nerdctl rm -f "$C"
	run ! nerdctl inspect "$C"
}

@test "nerdctl: its bridge network, a published port, names" {
	[ -x /usr/lib/cni/bridge ] || skip "no CNI plug-ins here"
	nerdctl run -d --name "$C" --runtime io.containerd.hull.v2 -p 8099:80 $IMAGE sh -c 'mkdir /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -h /tmp/www'
	local ip
	ip=$(nerdctl inspect -f '{{.NetworkSettings.IPAddress}}' "$C")
	nerdctl exec "$C" ip -o addr show eth0 | grep -qF " $ip/24 "
	eventually 10 eval '[ "$(nsenter -t "$HOLDER" -n curl -s -m 5 "http://$ip/")" = served ]'
	[ "$(nsenter -t "$HOLDER" -n curl -s -m 5 http://127.0.0.1:8099/)" = served ]
	nerdctl run --rm --runtime io.containerd.hull.v2 $IMAGE ping -c 1 -W 10 "$C"
	nerdctl rm -f "$C"
	[ -z "$(nsenter -t "$HOLDER" -n ip -o link show type veth)" ]
}

@test "nerdctl: namespaces of the host are refused by name" {
	local what
	for what in net pid ipc; do
		run nerdctl run --rm --runtime io.containerd.hull.v2 "--$what" host $IMAGE true
		[ "$status" -ne 0 ]
		[[ "$output" = *host* ]] || { echo "$what: $output"; return 1; }
	done
}

@test "nerdctl: limits, out of memory, volumes, read-only, user" {
	run_n -d --name "$C" -m 32m $IMAGE sh -c 'tail /dev/zero'
	[ "$(nerdctl wait "$C")" = 137 ]
	mkdir "$CD/volume"
	run run_n --rm -v "$CD/volume:/v" --read-only --tmpfs /tmp --user 1000:1000 --pids-limit 20 $IMAGE sh -c 'id -u; cat /sys/fs/cgroup/pids.max; touch /x 2>/dev/null || echo ro; touch /tmp/x && echo tmp'
	[ "$output" = "$(printf '1000\n20\nro\ntmp')" ]
	run_n --rm -v "$CD/volume:/v" $IMAGE sh -c 'echo kept >/v/file'
	[ "$(cat "$CD/volume/file")" = kept ]
}
