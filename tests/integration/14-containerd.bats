#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd-shim-hull-v2 under ctr. The same file runs twice: as 14-containerd-2.bats on containerd 2.x.

bats_require_minimum_version 1.5.0
load lib.bash
load containerd.bash

RUNTIME=io.containerd.hull.v2

# Where containerd 2.x gets empty file systems from.
blockfile_config() {
	[ "$1" = 2 ] || return 0
	truncate -s 64M "$SCRATCH"
	mkfs.ext4 -q -O ^has_journal "$SCRATCH"
	printf '[plugins."io.containerd.snapshotter.v1.blockfile"]\n  scratch_file = "%s"\n  fs_type = "ext4"\n  mount_options = []\n' "$SCRATCH"
}

setup_file() {
	local version=1
	[[ $BATS_TEST_FILENAME != *-2.bats ]] || version=2
	has_containerd "$version" || return 0
	export SCRATCH=/var/tmp/hull-scratch-$$
	containerd_up "$version" "$(blockfile_config "$version")"
	containerd_image
}

teardown_file() {
	[ -z "${SCRATCH:-}" ] || rm -f "$SCRATCH"
	containerd_down
}

setup() {
	[ -n "${CD:-}" ] || skip "that containerd is not here"
	C=c$BATS_TEST_NUMBER
}

# After every test no task is left, and nothing of Hull's either.
teardown() {
	[ -n "${CD:-}" ] || return 0
	containerd_remove_all
	eventually 10 containerd_nothing_left || { containerd_traces; return 1; }
}

run_c() {
	ctr run --runtime "$RUNTIME" "$@"
}

start_c() {
	run_c -d --null-io $IMAGE "${1:-$C}" sleep 3600
}

is_task() {
	[ "$(ctr task ls | awk -v id="$1" '$1 == id {print $3}')" = "$2" ]
}

shim_pid() {
	sed -n 4p "$CD/state/io.containerd.runtime.v2.task/default/$1/hull-shim"
}

pod_json() {
	"$HULL" --root "$ROOT" pod inspect "default+$1"
}

# The rest of the daemon's events, in the background: watch_events FILE
watch_events() {
	ctr_start events >"$1" 2>&1 3>&- &
	EVENTS=$!
	sleep 0.3
}

# The topics of a container's events, one a line.
topics() {
	awk -v id="$2" 'index($0, "\"" id "\"") && $0 ~ / \/tasks\// {for (i = 1; i <= NF; i++) if ($i ~ "^/tasks/") print $i}' "$1"
}

# Makes the image's layers known to another snapshotter.
unpack_for() {
	local how=()
	[ "$CD_VERSION" = 1 ] || how=(--local)
	ctr images import "${how[@]}" --snapshotter "$1" "$CD/image.tar" >/dev/null
}

@test "run: output, exit status, environment, arguments" {
	run --separate-stderr run_c --rm --env A=1 $IMAGE "$C" sh -c 'echo "$A $1"; echo err >&2; exit 7' sh 'two words'
	[ "$status" -eq 7 ]
	[ "$output" = "1 two words" ]
	[[ "$stderr" = *err* ]]
}

@test "run: the kernel is not the host's" {
	[ "$(run_c --rm $IMAGE "$C" uname -r)" != "$(uname -r)" ]
}

@test "run: stdin to its end, binary data in both directions" {
	head -c 3000000 /dev/urandom >"$CD/data"
	run_c --rm $IMAGE "$C" cat <"$CD/data" >"$CD/out"
	cmp "$CD/data" "$CD/out"
}

@test "run: a terminal with a size" {
	run timeout 60 script -qec "stty rows 31 cols 77; timeout --foreground -k 5 60 nsenter -t $HOLDER -n -m $(dirname "$CD_BINARY")/ctr --address $CD/sock run --rm -t --runtime $RUNTIME $IMAGE $C sh -c 'sleep 0.5; stty size; tty'" /dev/null </dev/null
	[[ "$output" = *"31 77"* ]]
	[[ "$output" = *"/dev/pts/0"* ]]
}

@test "a program that is not there: the create fails and nothing stays" {
	run run_c --rm $IMAGE "$C" /no/such/program
	[ "$status" -ne 0 ]
	[[ "$output" = *"/no/such/program"* ]]
	[ -z "$(ctr task ls -q)" ]
}

@test "task: states, pid, pause, resume, kill, delete" {
	start_c
	is_task "$C" RUNNING
	pid=$(ctr task ls | awk -v id="$C" '$1 == id {print $2}')
	[ "$(cat /proc/"$pid"/comm)" = hull-standin ]
	ctr task ps "$C" | grep -qw "$pid"
	ctr task pause "$C"
	is_task "$C" PAUSED
	[ "$("$HULL" --root "$ROOT" state "default+$C" | jq -r .status)" = paused ]
	ctr task resume "$C"
	is_task "$C" RUNNING
	run ctr task rm "$C"
	[ "$status" -ne 0 ]
	ctr task kill -s KILL "$C"
	eventually 10 is_task "$C" STOPPED
	run ctr task kill "$C"
	[ "$status" -ne 0 ]
	[[ "$output" = *"already finished"* ]]
	run ctr task rm "$C"
	[[ "$output" = *"137"* ]]
	[ -z "$(ctr task ls -q)" ]
}

@test "task: metrics" {
	start_c
	ctr task metrics --format json "$C" | jq -e '.memory.usage > 0 and .cpu.usage_usec > 0 and .pids.current > 0'
}

@test "exec: output, exit status, stdin, terminal, concurrency" {
	start_c
	[ "$(ctr task exec --exec-id a "$C" echo out)" = out ]
	run ctr task exec --exec-id b "$C" sh -c 'exit 9'
	[ "$status" -eq 9 ]
	[ "$(echo in | ctr task exec --exec-id c "$C" cat)" = in ]
	run timeout 60 script -qec "timeout --foreground -k 5 60 nsenter -t $HOLDER -n -m $(dirname "$CD_BINARY")/ctr --address $CD/sock task exec -t --exec-id d $C tty" /dev/null </dev/null
	[[ "$output" = *"/dev/pts/"* ]]
	for i in 1 2 3 4 5 6 7 8; do ctr task exec --exec-id "e$i" "$C" sh -c "echo $i" >"$CD/exec.$i" 3>&- & done
	wait
	for i in 1 2 3 4 5 6 7 8; do [ "$(cat "$CD/exec.$i")" = "$i" ]; done
	run ctr task exec --exec-id f "$C" /no/such/program
	[ "$status" -ne 0 ]
	[[ "$output" = *"/no/such/program"* ]]
	[ "$(ctr task exec --exec-id f "$C" echo again)" = again ]
}

@test "exec: killed by its id alone" {
	start_c
	ctr task exec --exec-id e "$C" sleep 3600 3>&- &
	local exec=$!
	eventually 10 ctr task kill --exec-id e -s KILL "$C"
	wait "$exec" || [ $? -eq 137 ]
	is_task "$C" RUNNING
}

@test "events in order" {
	watch_events "$CD/events"
	start_c
	ctr task exec --exec-id e "$C" true
	ctr task pause "$C"
	ctr task resume "$C"
	ctr task kill -s KILL "$C"
	eventually 10 is_task "$C" STOPPED
	ctr task rm "$C" || true
	eventually 10 eval 'topics "$CD/events" "$C" | grep -q delete'
	kill "$EVENTS"
	[ "$(topics "$CD/events" "$C" | paste -sd' ')" = "/tasks/create /tasks/start /tasks/exec-added /tasks/exec-started /tasks/exit /tasks/paused /tasks/resumed /tasks/exit /tasks/delete" ]
}

@test "out of memory is told as such" {
	watch_events "$CD/events"
	run run_c --rm --memory-limit $((24 << 20)) $IMAGE "$C" sh -c 'x=x; while :; do x=$x$x; done'
	kill "$EVENTS"
	[ "$status" -eq 137 ]
	topics "$CD/events" "$C" | grep -q /tasks/oom
}

@test "out of memory of another process: told once each time, and the task goes on" {
	local eat='x=x; while :; do x=$x$x; done'
	watch_events "$CD/events"
	run_c -d --null-io --memory-limit $((24 << 20)) $IMAGE "$C" sh -c "(exec sh -c '$eat'); sleep 3600"
	eventually 20 eval 'topics "$CD/events" "$C" | grep -q /tasks/oom'
	run ctr task exec --exec-id e "$C" sh -c "$eat"
	[ "$status" -eq 137 ]
	is_task "$C" RUNNING
	ctr task metrics --format json "$C" >/dev/null
	ctr task kill -s KILL "$C"
	eventually 10 eval '[ "$(topics "$CD/events" "$C" | grep -c exit)" -eq 2 ]'
	kill "$EVENTS"
	[ "$(topics "$CD/events" "$C" | paste -sd' ')" = "/tasks/create /tasks/start /tasks/oom /tasks/exec-added /tasks/exec-started /tasks/oom /tasks/exit /tasks/exit" ]
}

@test "introspection: name and features" {
	[ "$CD_VERSION" = 2 ] || skip "containerd 1.6 does not ask"
	ctr plugins inspect-runtime --runtime "$RUNTIME" | tee "$CD/info"
	jq -e '.Name == "io.containerd.hull.v2" and (.Features.ociVersionMax | startswith("1."))' "$CD/info"
}

@test "the rootfs is mounted nowhere on the host, and what the container writes is in its snapshot" {
	run_c -d --null-io $IMAGE "$C" sh -c 'echo kept >/file; sleep 3600'
	! grep -F "$CD/state" "/proc/$HOLDER/mounts"
	eventually 10 ctr task exec --exec-id e "$C" grep kept /file
	ctr task kill -s KILL "$C"
	eventually 10 is_task "$C" STOPPED
	ctr task rm "$C" || true
	ctr task start -d --null-io "$C"
	eventually 10 ctr task exec --exec-id e "$C" grep kept /file
}

@test "a rootfs by bind mounts: the native snapshotter" {
	unpack_for native
	[ "$(run_c --rm --snapshotter native $IMAGE "$C" echo bound)" = bound ]
}

@test "a rootfs on a file system image: the blockfile snapshotter" {
	[ "$CD_VERSION" = 2 ] || skip "containerd 1.6 has none"
	unpack_for blockfile
	[ "$(run_c --rm --snapshotter blockfile $IMAGE "$C" sh -c 'echo block >/file; cat /file; grep " / " /proc/mounts' | grep -o "^block\|/dev/vd. / ext4 rw" | paste -sd' ')" = "block /dev/vda / ext4 rw" ]
	# While one runs nobody on the host has it mounted, in whatever mount namespace; the VMM alone has the image.
	run_c -d --null-io --snapshotter blockfile $IMAGE "$C-b" sleep 3600
	! losetup -a | grep -F "$CD"
	! grep -lsE "$CD/[^ ]*blockfile| ext4 $CD" /proc/[0-9]*/mountinfo
	[ "$(find /proc/[0-9]*/fd -lname "$CD/root/*blockfile/snapshots/*" 2>/dev/null | cut -d/ -f3 | sort -u | xargs -I@ readlink /proc/@/exe)" = /usr/bin/qemu-system-x86_64 ]
}

@test "a rootfs of erofs layers: the erofs snapshotter, mounted by containerd" {
	[ "$CD_VERSION" = 2 ] || skip "containerd 1.6 has none"
	command -v mkfs.erofs >/dev/null || skip "no erofs-utils"
	ctr plugins ls | grep -q 'snapshotter.*erofs .* ok' || skip "no erofs here"
	unpack_for erofs
	[ "$(run_c --rm --snapshotter erofs $IMAGE "$C" sh -c 'echo written >/file; cat /file')" = written ]
	run ! run_c --rm --read-only --snapshotter erofs $IMAGE "$C" touch /file
}

@test "a read-only rootfs" {
	run run_c --rm --read-only $IMAGE "$C" touch /file
	[ "$status" -ne 0 ]
	[[ "$output" = *"Read-only"* ]]
}

@test "checkpoint is refused" {
	start_c
	run ctr task checkpoint "$C"
	[ "$status" -ne 0 ]
	[[ "$output" = *"cannot be saved yet"* ]]
}

@test "hull sees containerd's containers and works on them" {
	start_c
	"$HULL" --root "$ROOT" list | grep -q "default+$C .* running"
	[ "$("$HULL" --root "$ROOT" exec "default+$C" echo by hull)" = "by hull" ]
	pod_json "$C" | jq -e --arg id "default+$C" '.id == $id or .podId == $id or (.containers | index($id)) != null'
	# Deleted behind containerd's back: it hears of the end.
	"$HULL" --root "$ROOT" delete --force "default+$C"
	eventually 10 is_task "$C" STOPPED
	run ctr task rm "$C"
	[[ "$output" = *137* ]]
}

@test "the same id in two namespaces of containerd" {
	containerd_image other
	start_c same
	ctr -n other run -d --null-io --runtime "$RUNTIME" $IMAGE same sleep 3600
	[ "$("$HULL" --root "$ROOT" list -q | sort | paste -sd' ')" = "default+same other+same" ]
	ctr -n other task rm -f same
	is_task same RUNNING
}

@test "pod: members join by the annotations of CRI and share its namespaces" {
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=sandbox --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C" sleep 3600
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C-a" sleep 3600
	[ "$(shim_pid "$C")" = "$(shim_pid "$C-a")" ]
	[ "$(pgrep -fc -- "containerd-shim-hull-v2.* serve")" -ge 1 ]
	[ "$(ctr task exec --exec-id e "$C-a" hostname)" = "$(ctr task exec --exec-id e "$C" hostname)" ]
	# A member comes and goes.
	ctr task kill -s KILL "$C-a"
	eventually 10 is_task "$C-a" STOPPED
	ctr task rm "$C-a" || true
	ctr container rm "$C-a"
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C-a" sleep 3600
	is_task "$C" RUNNING
	# The sandbox's end is everybody's.
	ctr task kill -s KILL "$C"
	eventually 10 is_task "$C" STOPPED
	eventually 10 is_task "$C-a" STOPPED
	run run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C-b" sleep 3600
	[ "$status" -ne 0 ]
}

@test "pod: the sandbox's task is deleted before its members'" {
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=sandbox --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C" sleep 3600
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C-a" sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	sleep 0.5
	ctr task kill "$C-a"
	eventually 10 is_task "$C-a" STOPPED
	ctr task rm -f "$C" || true
	sleep 1
	is_task "$C-a" STOPPED
	run ctr task rm "$C-a"
	[[ "$output" = *"code 3"* ]]
}

@test "a member without its pod is refused by name" {
	run run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id=nowhere $IMAGE "$C" sleep 3600
	[ "$status" -ne 0 ]
	[[ "$output" = *"pod default+nowhere is not running"* ]]
}

@test "the shim of a pod with ten containers takes less than 4 MiB" {
	run_c -d --null-io --annotation io.kubernetes.cri.container-type=sandbox --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C" sleep 3600
	for i in 1 2 3 4 5 6 7 8 9; do
		run_c -d --null-io --annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.sandbox-id=$C" $IMAGE "$C-$i" sleep 3600
	done
	local kib
	kib=$(awk '/^Pss:/ {print $2}' "/proc/$(shim_pid "$C")/smaps_rollup")
	echo "PSS: $kib KiB"
	[ "$kib" -lt 4096 ]
}

@test "containerd restarts: running tasks stay, what ended meanwhile is known" {
	start_c
	start_c "$C-short"
	containerd_stop
	kill -9 "$(pid_of "default+$C-short" .standIn)"
	eventually 15 eval '[ "$(jq -r .status "$ROOT/containers/default+$C-short/state.json")" = stopped ]'
	containerd_start
	is_task "$C" RUNNING
	is_task "$C-short" STOPPED
	[ "$(ctr task exec --exec-id e "$C" echo still)" = still ]
	run ctr task rm "$C-short"
	[[ "$output" = *137* ]]
}

# The shim with another address for its events, or none: $CD/shim
make_shim() {
	printf '#!/bin/sh\n%s\nexec %s "$@"\n' "$1" "$HULL_PREFIX/bin/containerd-shim-hull-v2" >"$CD/shim"
	chmod +x "$CD/shim"
}

@test "events wait while containerd is away, and come in order" {
	make_shim "export TTRPC_ADDRESS=$CD/ev"
	run_c -d --null-io --runtime "$CD/shim" $IMAGE "$C" sleep 3600
	containerd_stop
	kill -9 "$(pid_of "default+$C" .standIn)"
	eventually 15 eval '[ "$(jq -r .status "$ROOT/containers/default+$C/state.json")" = stopped ]'
	containerd_start
	is_task "$C" STOPPED
	watch_events "$CD/events"
	[ -z "$(topics "$CD/events" "$C")" ]
	ln -s "$CD/sock.ttrpc" "$CD/ev"
	eventually 15 eval 'topics "$CD/events" "$C" | grep -q exit'
	run ctr task rm "$C"
	[[ "$output" = *137* ]]
	eventually 10 eval 'topics "$CD/events" "$C" | grep -q delete'
	kill "$EVENTS"
	rm "$CD/ev"
	[ "$(topics "$CD/events" "$C" | paste -sd' ')" = "/tasks/create /tasks/start /tasks/exit /tasks/delete" ]
	grep "/tasks/exit" "$CD/events" | grep -q '"exit_status":137'
}

@test "events by containerd's own program when it has no address for them" {
	make_shim "unset TTRPC_ADDRESS"
	watch_events "$CD/events"
	run_c -d --null-io --runtime "$CD/shim" $IMAGE "$C" sleep 3600
	ctr task exec --exec-id e "$C" true
	ctr task kill -s KILL "$C"
	# A process for each event takes its time.
	eventually 60 eval '[ "$(topics "$CD/events" "$C" | grep -c exit)" -eq 2 ]'
	containerd_stop
	kill "$EVENTS" || true
	containerd_start
	watch_events "$CD/events2"
	ctr task rm "$C" || true
	eventually 60 eval 'topics "$CD/events2" "$C" | grep -q delete'
	kill "$EVENTS"
	[ "$(cat "$CD/events" "$CD/events2" >"$CD/both"; topics "$CD/both" "$C" | paste -sd' ')" = "/tasks/create /tasks/start /tasks/exec-added /tasks/exec-started /tasks/exit /tasks/exit /tasks/delete" ]
}

# in_group PID PATH: of the host
in_group() {
	grep -Eq "^[0-9]+:(memory)?:$2\$" "/proc/$1/cgroup"
}

@test "control groups: the VM is in its sandbox's, a member's stand-in in its own, the shim with containerd" {
	local top=/${CD##*/} who
	run_c -d --null-io --cgroup "$top/pod/pause" --annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id="$C" $IMAGE "$C" sleep 3600
	run_c -d --null-io --cgroup "$top/pod/app" --annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id="$C" $IMAGE "$C-app" sleep 3600
	for who in vmmPid virtiofsdPid; do in_group "$(pod_json "$C" | jq ".$who")" "$top/pod/pause"; done
	in_group "$(pid_of "default+$C" .standIn)" "$top/pod/pause"
	in_group "$(pid_of "default+$C-app" .standIn)" "$top/pod/app"
	# With a cgroup of its own for containerd's service this is that.
	diff "/proc/$(shim_pid "$C")/cgroup" "/proc/$(cat "$CD/pid")/cgroup"
	ctr task rm -f "$C-app" "$C" || true
	run ! sh -c "find /sys/fs/cgroup -path '*$top*' -print -quit | grep ."
}

@test "containerd is killed while a container writes: nothing of it is lost" {
	run_c -d --log-uri "file://$CD/log.$C" $IMAGE "$C" sh -c 'i=0; while [ $i -lt 150 ]; do echo line $i; i=$((i + 1)); sleep 0.01; done'
	containerd_kill
	containerd_start
	eventually 60 is_task "$C" STOPPED
	[ "$(wc -l <"$CD/log.$C")" -eq 150 ]
	[ "$(tail -n 1 "$CD/log.$C")" = "line 149" ]
}

@test "a client goes away: the container neither stops nor loses what it writes later" {
	ctr_start run --runtime "$RUNTIME" $IMAGE "$C" sh -c 'while [ ! -e /go ]; do sleep 0.1; done; seq 1 5000; sleep 3600' >/dev/null 2>&1 </dev/null 3>&- &
	local client=$!
	eventually 30 is_task "$C" RUNNING
	kill -9 "$client"
	wait "$client" || true
	ctr task exec --exec-id go "$C" touch /go
	sleep 1
	is_task "$C" RUNNING
	ctr_start task attach "$C" >"$CD/attached" 2>/dev/null </dev/null 3>&- &
	client=$!
	eventually 10 eval '[ "$(tail -n 1 "$CD/attached")" = 5000 ]'
	kill "$client"
	[ "$(wc -l <"$CD/attached")" -eq 5000 ]
}

@test "a container floods while nobody reads: calls are answered, kill works" {
	mkdir -p "$CD/fifos"
	run_c -d --fifo-dir "$CD/fifos" $IMAGE "$C" sh -c 'yes' </dev/null >/dev/null 2>&1 3>&-
	sleep 1
	[ "$(ctr task exec --exec-id e "$C" echo fine)" = fine ]
	ctr task kill -s KILL "$C"
	eventually 20 is_task "$C" STOPPED
}

@test "binary:// starts a logging program" {
	cat >"$CD/logger" <<-'SH'
		#!/bin/sh
		exec >"$1.out"
		echo "$CONTAINER_NAMESPACE $CONTAINER_ID $2"
		cat <&3
		cat <&4 >"$1.err"
	SH
	chmod +x "$CD/logger"
	run_c -d --log-uri "binary://$CD/logger?$CD%2Flogged=$C" $IMAGE "$C" sh -c 'echo out; echo err >&2'
	eventually 10 is_task "$C" STOPPED
	eventually 10 eval '[ "$(cat "$CD/logged.err")" = err ]'
	[ "$(cat "$CD/logged.out")" = "$(printf 'default %s %s\nout' "$C" "$C")" ]
}

@test "kill -9 of the shim: the task is gone, and so is everything of it" {
	start_c
	local vmm
	vmm=$(pod_json "$C" | jq .vmmPid)
	kill -9 "$(shim_pid "$C")"
	eventually 5 is_over "$vmm"
	eventually 15 eval '[ -z "$(ctr task ls -q)" ]'
}

@test "kill -9 of QEMU: the task has stopped with 137" {
	start_c
	kill -9 "$(pod_json "$C" | jq .vmmPid)"
	eventually 5 is_task "$C" STOPPED
	run ctr task rm "$C"
	[[ "$output" = *137* ]]
}

@test "kill -9 of the shim while containerd is away: cleaned when it is back" {
	start_c
	containerd_stop
	kill -9 "$(shim_pid "$C")"
	containerd_start
	eventually 15 eval '[ -z "$(ctr task ls -q)" ]'
	eventually 10 eval '[ -z "$("$HULL" --root "$ROOT" list -q)" ]'
}

@test "thirty containers, three at a time" {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		for k in a b c; do
			(
				run_c -d --null-io $IMAGE "$C-$i$k" sleep 3600
				ctr task exec --exec-id e "$C-$i$k" true
				ctr task rm -f "$C-$i$k" || true
				ctr container rm "$C-$i$k"
			) >/dev/null 2>"$CD/thirty.$i$k" 3>&- &
		done
		wait
	done
	[ -z "$(ctr container ls -q)" ]
	! grep -l "rror" "$CD"/thirty.*
}
