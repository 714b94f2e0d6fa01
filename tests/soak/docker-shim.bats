#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker with the shim itself, by its name: --runtime io.containerd.hull.v2. Nothing is configured. Debian's Docker 20.10 does not know shims by
# name; so this builds a newer one, once.

bats_require_minimum_version 1.5.0
load ../integration/lib.bash
load ../integration/containerd.bash

MOBY=v2.0.0-beta.24

setup_file() {
	"$BATS_TEST_DIRNAME/../../scripts/get-containerd"
	build_dockerd
	# Short: the sockets of dockerd and containerd lie below.
	D=$(mktemp -d /var/tmp/hull-ds-XXXX)
	export D ROOT=$D/hull ID=$D
	mkdir "$ROOT"
	echo '{"live-restore": true}' >"$D/daemon.json"
	unshare -nm --propagation private sleep infinity 3>&- &
	export HOLDER=$!
	eventually 5 eval '[ "$(readlink /proc/$HOLDER/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
	nsenter -t "$HOLDER" -n ip link set lo up
	start_dockerd
	dk import "$DATA/try-rootfs.tar" t >/dev/null
}

build_dockerd() {
	local dir=${DOCKERD_DIR:-/var/cache/hull-tests/dockerd}
	export DOCKERD=$dir/dockerd
	[ -x "$DOCKERD" ] || (cd / && GOBIN=$dir CGO_ENABLED=0 go install -tags exclude_graphdriver_btrfs "github.com/moby/moby/v2/cmd/dockerd@$MOBY")
}

start_dockerd() {
	# The command line of Debian's is older than what a new dockerd takes by default.
	DOCKER_MIN_API_VERSION=1.40 HULL_ROOT=$ROOT PATH=$HULL_PREFIX/bin:$CONTAINERD2_DIR:$PATH nsenter -t "$HOLDER" -n -m "$DOCKERD" --config-file "$D/daemon.json" --data-root "$D/root" \
		--exec-root "$D/exec" --pidfile "$D/pid" -H "unix://$D/sock" --bridge=none --iptables=false --ip-forward=false \
		--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${D##*/}" >>"$D/log" 2>&1 3>&- &
	eventually 60 eval 'dk info >/dev/null 2>&1'
}

stop_dockerd() {
	local pid
	pid=$(cat "$D/pid")
	kill "$pid"
	eventually 30 is_over "$pid"
}

dk() {
	timeout -k 5 120 nsenter -t "$HOLDER" -n -m docker -H "unix://$D/sock" "$@"
}

run_d() {
	dk run --runtime io.containerd.hull.v2 --network none "$@"
}

remove_all() {
	local ids
	ids=$(dk ps -aq)
	# shellcheck disable=SC2086
	[ -z "$ids" ] || dk rm -fv $ids >/dev/null
}

nothing_left() {
	! pgrep -f -- "containerd-shim-hull-v2.*$D" >/dev/null &&
		[ -z "$(find "$ROOT" -mindepth 2 2>/dev/null)" ]
}

teardown() {
	[ -n "${D:-}" ] || return 0
	remove_all
	eventually 10 nothing_left || { pgrep -af -- "containerd-shim-hull-v2.*$D"; find "$ROOT" -mindepth 2; return 1; }
}

teardown_file() {
	[ -n "${D:-}" ] || return 0
	local pid
	stop_dockerd
	for pid in $(pgrep -f -- "$D/exec|containerd-shim.*$D"); do kill -9 "$pid" || true; done
	kill "$HOLDER"
	find /sys/fs/cgroup -maxdepth 2 -name "${D##*/}*" -type d -exec find {} -depth -type d -delete \; 2>/dev/null || true
	rm -rf --one-file-system "$D"
}

@test "docker by the shim: run, stdin, exit status" {
	[ "$(echo in | run_d --rm -i t sh -c 'cat; uname -r')" != "in"$'\n'"$(uname -r)" ]
	run run_d --rm t sh -c 'echo out; exit 5'
	[ "$status" -eq 5 ]
	[ "$output" = out ]
}

@test "docker by the shim: a terminal" {
	run timeout 60 script -qec "nsenter -t $HOLDER -n -m docker -H unix://$D/sock run --rm -it --runtime io.containerd.hull.v2 --network none t tty" /dev/null </dev/null
	[[ "$output" = *"/dev/pts/0"* ]]
}

@test "docker by the shim: detached, logs, exec, pause, cp, stop" {
	id=$(run_d -d t sh -c 'trap "exit 6" TERM; echo begun; while :; do sleep 0.1; done')
	eventually 10 eval '[ "$(dk logs "$id")" = begun ]'
	[ "$(dk exec "$id" echo hi)" = hi ]
	run dk exec "$id" sh -c 'exit 8'
	[ "$status" -eq 8 ]
	[ "$(echo piped | dk exec -i "$id" cat)" = piped ]
	dk pause "$id"
	dk unpause "$id"
	echo data >"$D/file"
	dk cp "$D/file" "$id:/file"
	[ "$(dk exec "$id" cat /file)" = data ]
	dk stop "$id"
	[ "$(dk inspect -f '{{.State.ExitCode}}' "$id")" = 6 ]
	dk start "$id"
	[ "$(dk exec "$id" cat /file)" = data ]
}

@test "docker by the shim: restart policy and OOM" {
	id=$(run_d -d --restart on-failure:2 t sh -c 'exit 1')
	eventually 60 eval '[ "$(dk inspect -f "{{.RestartCount}} {{.State.Status}}" "$id")" = "2 exited" ]'
	id=$(run_d -d -m 32m t sh -c 'x=x; while :; do x=$x$x; done')
	[ "$(dk wait "$id")" = 137 ]
	[ "$(dk inspect -f '{{.State.OOMKilled}}' "$id")" = true ]
}

@test "docker by the shim: stats are the guest's" {
	id=$(run_d -d t sleep 3600)
	dk stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' "$id" | tee "$D/stats"
	grep -Eq '[1-9].*[MK]iB / .* 1$' "$D/stats"
}

@test "docker by the shim: dockerd restarts, containers live" {
	id=$(run_d -d t sh -c 'i=0; while :; do echo $i; i=$((i + 1)); sleep 0.2; done')
	stop_dockerd
	sleep 1
	start_dockerd
	[ "$(dk inspect -f '{{.State.Status}}' "$id")" = running ]
	eventually 20 eval '[ "$(dk logs "$id" | wc -l)" -gt 8 ]'
	[ "$(dk logs "$id" | head -n 9 | paste -sd' ')" = "0 1 2 3 4 5 6 7 8" ]
}

@test "docker by the shim: kill -9 of the shim is seen" {
	id=$(run_d -d t sleep 3600)
	kill -9 "$(pgrep -f -- "containerd-shim-hull-v2 .*$id.* serve")"
	eventually 20 eval '[ "$(dk inspect -f "{{.State.Status}}" "$id")" = exited ]'
}
