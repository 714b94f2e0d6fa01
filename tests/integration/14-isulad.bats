#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shim as iSulad drives it: no address of an engine, a raw address as the answer, exit statuses through a FIFO.

bats_require_minimum_version 1.5.0
load lib.bash

setup() {
	setup_hull
	export HULL_ROOT=$ROOT
	STATE=$WORK/isulad
	mkdir -p "$STATE"
	make_bundle "$ID"
}

teardown() {
	teardown_hull
}

shim() {
	timeout 100 python3 "$BATS_TEST_DIRNAME/isulad.py" "$HULL_PREFIX/bin/containerd-shim-hull-v2" "$@"
}

# A bundle with its FIFOs and the exit FIFO of the supervisor: make_bundle ID [JQ]
make_bundle() {
	mkdir -p "$WORK/$1" "$STATE/$1"
	mkfifo "$WORK/$1/in" "$WORK/$1/out" "$WORK/$1/err" "$STATE/$1/exit_fifo"
	jq --arg root "$BUNDLE/rootfs" "${2:-.} | .root.path = \$root" <"$BUNDLE/config.json" >"$WORK/$1/config.json"
}

# As iSulad's supervisor: the FIFO is open before the container starts; what comes is an int.
watch_exit() {
	exec 8<>"$STATE/$1/exit_fifo"
}

exit_status() {
	timeout 20 head -c 4 <&8 | od -An -td4 | tr -d ' '
}

nothing_of_shims() {
	! pgrep -f -- "containerd-shim-hull-v2.*$ROOT" && [ -z "$(ls "$ROOT/s" 2>/dev/null)" ]
}

@test "isulad: a container from start to shutdown" {
	args sh -c 'echo hello; cat; exit 12'
	make_bundle two
	address=$(shim start "$WORK/two" two "$STATE")
	[[ "$address" = unix:///* ]]
	[ "$(cat "$WORK/two/address")" = "$address" ]
	watch_exit two
	pid=$(shim create "$address" "$WORK/two" two)
	[ "$(cat "/proc/$pid/comm")" = hull-standin ]
	[ "$(shim state "$address" two)" = created ]
	cat "$WORK/two/out" >"$WORK/output" 3>&- &
	cat "$WORK/two/err" >/dev/null 3>&- &
	[ "$(shim begin "$address" two)" = "$pid" ]
	eventually 10 grep -q hello "$WORK/output"
	# Its end of stdin never comes: iSulad closes it with the container.
	echo input >"$WORK/two/in"
	eventually 10 grep -q input "$WORK/output"
	shim kill "$address" two 9
	[ "$(shim wait "$address" two)" = 137 ]
	[ "$(exit_status)" = 137 ]
	[ "$(shim state "$address" two)" = stopped ]
	[ "$(shim delete "$address" two)" = 137 ]
	shim shutdown "$address" two
	eventually 10 nothing_of_shims
}

@test "isulad: exec with its status" {
	args sleep 3600
	make_bundle two
	address=$(shim start "$WORK/two" two "$STATE")
	shim create "$address" "$WORK/two" two
	shim begin "$address" two
	cd "$WORK"
	mkfifo e.in e.out e.err
	cat e.out >"$WORK/output" 3>&- &
	cat e.err >/dev/null 3>&- &
	shim exec "$address" two e sh -c 'echo from exec; exit 4'
	shim begin "$address" two e
	[ "$(shim wait "$address" two e)" = 4 ]
	eventually 10 grep -q 'from exec' "$WORK/output"
	[ "$(shim delete "$address" two e)" = 4 ]
	run shim wait "$address" two nobody
	[ "$status" -ne 0 ]
	[[ "$output" = *"code 5:"* ]]
	shim kill "$address" two 9
	shim wait "$address" two
	shim delete "$address" two
	shim shutdown "$address" two
	eventually 10 nothing_of_shims
}

@test "the Task service: codes of what is refused, update, pids, the shim's own pid" {
	args sleep 3600
	make_bundle two
	address=$(shim start "$WORK/two" two "$STATE")
	# Another one for the same container.
	run shim start "$WORK/two" two "$STATE"
	[ "$status" -ne 0 ]
	run shim state "$address" two
	[[ "$output" = *"code 5:"* ]]
	pid=$(shim create "$address" "$WORK/two" two)
	run shim create "$address" "$WORK/two" two
	[[ "$output" = *"code 6:"*"already exists"* ]]
	[ "$(shim pids "$address" two)" = "$pid" ]
	[ "$(shim connect "$address" two)" = "$(sed -n 4p "$WORK/two/hull-shim")" ]
	shim begin "$address" two
	run shim begin "$address" two
	[[ "$output" = *"code 9:"* ]]
	run shim delete "$address" two
	[[ "$output" = *"code 9:"* ]]
	run shim checkpoint "$address" two
	[[ "$output" = *"code 12:"*"cannot be saved"* ]]
	shim update "$address" two '{"memory": {"limit": 50331648}, "pids": {"limit": 77}}'
	[ "$("$HULL" --root "$ROOT" exec isula+two cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max | paste -sd' ')" = "50331648 77" ]
	run shim update "$address" two '{"memory": {"limit": "much"}}'
	[[ "$output" = *"code 3:"*"memory.limit"* ]]
	shim kill "$address" two 9
	shim wait "$address" two
	run shim kill "$address" two 9
	[[ "$output" = *"code 5:"*"already finished"* ]]
	shim delete "$address" two
	run shim delete "$address" two
	[[ "$output" = *"code 5:"* ]]
	shim shutdown "$address" two
	eventually 10 nothing_of_shims
}

@test "the shim's own death: delete cleans, says how it ended, and works again" {
	args sleep 3600
	make_bundle two
	address=$(shim start "$WORK/two" two "$STATE")
	pid=$(shim create "$address" "$WORK/two" two)
	shim begin "$address" two
	kill -9 "$(shim connect "$address" two)"
	eventually 5 is_over "$pid"
	for _ in 1 2; do
		(cd "$WORK/two" && "$HULL_PREFIX/bin/containerd-shim-hull-v2" -namespace isula -id two -bundle "$WORK/two" delete) | od -An -tu1 | tr -s ' \n' ' ' >"$WORK/answer"
		# exit_status, field 2: 137 as a varint.
		grep -q ' 16 137 1 ' "$WORK/answer"
		nothing_of_shims
		[ -z "$("$HULL" --root "$ROOT" list -q)" ]
	done
}

@test "start: options that have no effect are told in the engine's log; others are refused" {
	args sleep 3600
	make_bundle two
	mkfifo "$WORK/two/log"
	exec 7<>"$WORK/two/log"
	# google.protobuf.Any of containerd.runc.v1.Options: shim_cgroup = "/x", io_uid = 5, binary_name = "runc"
	start_two() {
		printf "$1" | (cd "$WORK/two" && timeout 60 "$HULL_PREFIX/bin/containerd-shim-hull-v2" -namespace isula -id two start)
	}
	address=$(start_two '\n\032containerd.runc.v1.Options\022\014\032\002/x\040\0052\004runc')
	[[ "$address" = unix:///* ]]
	timeout 5 head -n 3 <&7 | tee "$WORK/said"
	for option in binary_name shim_cgroup 'io_uid, io_gid'; do
		grep -q "level=warning msg=\"two: runtime option $option has no effect: " "$WORK/said"
	done
	shim shutdown "$address" two
	eventually 10 nothing_of_shims
	run start_two '\n\017example.Options\022\000'
	[ "$status" -ne 0 ]
	[[ "$output" = *"runtime options of type example.Options are not understood"* ]]
	# As containerd's CRI does with a sandboxer that Hull has not.
	mkdir "$WORK/three"
	run shim start "$WORK/three" three "$STATE"
	[ "$status" -ne 0 ]
	[[ "$output" = *'has no config.json: containerd'*'sandboxer = "shim" is not supported'* ]]
	[ -z "$(ls "$WORK/three")" ]
}

@test "hooks are told the container's id as the engine knows it" {
	args sleep 3600
	printf '#!/bin/sh\ncat >"$1"\n' >"$WORK/hook"
	chmod +x "$WORK/hook"
	make_bundle two '.hooks = ({createRuntime: "created", poststart: "started", poststop: "stopped"} | map_values([{path: "'"$WORK"'/hook", args: ["hook", "'"$WORK"'/" + .]}]))
		| .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "cat >/dev/shm/state"], env: ["PATH=/bin:/usr/bin"]}]'
	address=$(shim start "$WORK/two" two "$STATE")
	shim create "$address" "$WORK/two" two
	shim begin "$address" two
	"$HULL" --root "$ROOT" exec isula+two cat /dev/shm/state >"$WORK/inside"
	shim kill "$address" two 9
	shim wait "$address" two
	shim delete "$address" two
	shim shutdown "$address" two
	for when in created inside started stopped; do
		[ "$(jq -r .id "$WORK/$when")" = two ]
	done
	eventually 10 nothing_of_shims
}

@test "a shim that nobody uses ends by itself and leaves nothing" {
	make_bundle two
	shim start "$WORK/two" two "$STATE"
	pgrep -f -- "containerd-shim-hull-v2.*$ROOT"
	eventually 20 nothing_of_shims
	[ -z "$(ls "$ROOT/pods")" ]
}

@test "isulad: a pod by the annotations of dockershim" {
	args sleep 3600
	make_bundle pod '.annotations["io.kubernetes.docker.type"] = "podsandbox"'
	make_bundle app '.annotations["io.kubernetes.docker.type"] = "container" | .annotations["io.kubernetes.sandbox.id"] = "pod"'
	run shim start "$WORK/app" app "$STATE"
	[ "$status" -ne 0 ]
	[[ "$output" = *"pod isula+pod is not running"* ]]
	address=$(shim start "$WORK/pod" pod "$STATE")
	shim create "$address" "$WORK/pod" pod
	shim begin "$address" pod
	[ "$(shim start "$WORK/app" app "$STATE")" = "$address" ]
	shim create "$address" "$WORK/app" app
	shim begin "$address" app
	watch_exit app
	shim kill "$address" pod 9
	[ "$(shim wait "$address" app)" = 137 ]
	[ "$(exit_status)" = 137 ]
	shim delete "$address" app
	# Not while the sandbox container is known.
	shim shutdown "$address" app
	[ "$(shim state "$address" pod)" = stopped ]
	shim delete "$address" pod
	shim shutdown "$address" pod
	eventually 10 nothing_of_shims
}
