#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Any process of a pod may die or hang at any moment: the container is reported stopped at once, `delete --force` succeeds,
# and nothing is left.

load lib.bash

# Uids of this run's VMs, so that a QEMU in its jail can be told from another test's.
setup() {
	setup_hull
	local base=$((1000000000 + ($$ % 200) * 4194304))
	VM_UIDS=$base-$((base + 4194304))
	cat >"$WORK/hull.conf" <<-CONF
		[security]
		uid_base = $base
	CONF
	export HULL_CONFIG=$WORK/hull.conf
}

teardown() {
	local pid
	for pid in $HUNG; do kill -CONT "$pid" 2>/dev/null || true; done
	teardown_hull
}

vmm_pid() {
	hull pod inspect "$1" | jq .vmmPid
}

# virtiofsd and the process it forks.
virtiofsd_pids() {
	local parent
	parent=$(hull pod inspect "$1" | jq .virtiofsdPid)
	echo "$parent $(cat /proc/"$parent"/task/*/children)"
}

create_sleeper() {
	args sleep 3600
	hull create --bundle "$BUNDLE" "${1:-$ID}" </dev/null >/dev/null 2>&1
}

# The container stops within two seconds, tells why, and goes with all it had: lost_to REASON-PATTERN
lost_to() {
	eventually 2 is_status "$ID" stopped
	[ "$(hull state "$ID" | jq .pid)" = 0 ]
	if [ -n "$1" ]; then
		[ "$(jq .exit.code "$ROOT/containers/$ID/state.json")" = 137 ]
		[[ "$(jq -r .exit.lost "$ROOT/containers/$ID/state.json")" =~ $1 ]]
	fi
	gone
}

# Deleting works and leaves nothing.
gone() {
	local since
	since=$(now_ms)
	hull delete --force "$ID"
	took_at_most 4000 "$since"
	assert_no_traces
}

part() {
	case $1 in
	qemu) vmm_pid "$ID" ;;
	virtiofsd) virtiofsd_pids "$ID" | cut -d' ' -f1 ;;
	virtiofsd-child) virtiofsd_pids "$ID" | cut -d' ' -f2 ;;
	supervisor) pid_of "$ID" .supervisor ;;
	standin) pid_of "$ID" .standIn ;;
	esac
}

# What state.json says of the end when that part was killed; the supervisor cannot say any more.
reason_of() {
	case $1 in
	qemu) echo 'qemu.*killed by signal 9' ;;
	virtiofsd*) echo 'virtiofsd' ;;
	esac
}

# kill_part PART: kills it and checks what follows.
kill_part() {
	local pid since standin
	pid=$(part "$1")
	standin=$(part standin)
	kill -9 "$pid"
	since=$(now_ms)
	eventually 2 is_status "$ID" stopped
	eventually 2 is_over "$standin"
	took_at_most 2500 "$since"
	lost_to "$(reason_of "$1")"
}

@test "kill -9 of each part while the container runs" {
	for what in qemu virtiofsd virtiofsd-child supervisor standin; do
		echo "$what" >&2
		start_sleeper
		kill_part $what
	done
}

@test "kill -9 of each part while the container is created" {
	for what in qemu virtiofsd virtiofsd-child supervisor standin; do
		echo "$what" >&2
		create_sleeper
		kill_part $what
	done
}

@test "kill -9 of each part while the container is paused" {
	for what in qemu virtiofsd virtiofsd-child supervisor standin; do
		echo "$what" >&2
		start_sleeper
		hull pause "$ID"
		kill_part $what
	done
}

@test "kill -9 of several parts at once" {
	for what in "qemu supervisor" "supervisor standin" "qemu virtiofsd supervisor standin"; do
		echo "$what" >&2
		start_sleeper
		local pids=
		for one in $what; do pids+=" $(part "$one")"; done
		kill -9 $pids
		eventually 2 is_status "$ID" stopped
		gone
	done
}

@test "kill -9 of QEMU: run in the foreground tells why" {
	args sh -c 'echo up; sleep 3600'
	hull run --keep --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>"$WORK/err" &
	eventually 20 grep -q up "$WORK/out"
	kill -9 "$(vmm_pid "$ID")"
	status=0
	wait $! || status=$?
	[ "$status" -eq 137 ]
	grep -q "ended with its VM: .*killed by signal 9" "$WORK/err"
	gone
}

@test "kill -9 of the supervisor: run in the foreground ends" {
	args sh -c 'echo up; sleep 3600'
	hull run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>"$WORK/err" &
	eventually 20 grep -q up "$WORK/out"
	kill -9 "$(part supervisor)"
	status=0
	wait $! || status=$?
	[ "$status" -eq 137 ]
	grep -q "supervisor is gone" "$WORK/err"
	# It deletes what it had made.
	assert_no_traces
}

@test "kill -9 of run in the foreground ends the container" {
	args sh -c 'echo up; sleep 3600'
	"$HULL" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
	eventually 20 grep -q up "$WORK/out"
	[ "$(part standin)" = $! ]
	kill -9 $!
	eventually 2 is_status "$ID" stopped
	gone
}

@test "kill -9 of exec in the foreground ends its process in the guest" {
	start_sleeper
	"$HULL" --root "$ROOT" exec "$ID" sh -c 'echo in; sleep 4321; true' </dev/null >"$WORK/out" 2>&1 &
	eventually 20 grep -q in "$WORK/out"
	kill -9 $!
	eventually 3 eval '! hull ps "$ID" | grep -F "echo in"'
	is_status "$ID" running
	# One that is killed before its process is there.
	for delay in 0 0.01 0.02 0.05 0.1; do
		"$HULL" --root "$ROOT" exec "$ID" sleep 4322 </dev/null >/dev/null 2>&1 &
		sleep $delay
		kill -9 $! 2>/dev/null || true
	done
	eventually 5 eval '! hull ps "$ID" | grep 4322'
	is_status "$ID" running
	gone
}

@test "kill -9 of create at any moment" {
	local i left
	args sleep 3600
	for i in $(seq 0 27); do
		"$HULL" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
		# The first ones close together, where directories, sockets and processes are made; then over the whole boot.
		if [ $i -lt 12 ]; then sleep "0.0$(printf %02d $((i * 2)))"; else sleep "$(((i - 12) / 10)).$(((i - 12) % 10))"; fi
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		if [ $((i % 2)) -eq 0 ]; then
			# On its own: all but the container's directory and cgroup goes, unless the creation had been done.
			eventually 4 eval '! is_status "$ID" creating 2>/dev/null'
			if ! is_status "$ID" created 2>/dev/null; then
				eventually 3 eval '! traces_but_name' || { traces; return 1; }
			fi
		fi
		hull delete --force "$ID"
		assert_no_traces || { echo "round $i" >&2; return 1; }
	done
	# The name is free afterwards.
	start_sleeper
	gone
}

@test "kill -9 of the supervisor, QEMU or virtiofsd during create: an error at once, nothing left" {
	local what delay pid creator
	args sleep 3600
	for what in 'hull-pod --root' 'virtiofsd.*source=' qemu; do
		for delay in 0 0.2 0.5; do
			hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
			creator=$!
			if [ "$what" = qemu ]; then
				eventually 5 eval 'pid=$(traces | sed -n "s/^process \([0-9]*\): uid 1.*/\1/p" | head -n1); [ -n "$pid" ]'
			else
				eventually 5 eval 'pid=$(pgrep -f -- "$what.*$ROOT" | head -n1); [ -n "$pid" ]'
			fi
			sleep $delay
			kill -9 "$pid" 2>/dev/null || true
			status=0
			wait $creator || status=$?
			if [ "$status" -eq 0 ]; then
				# Too late: the container was there.
				gone
			else
				[ -s "$WORK/out" ]
				assert_no_traces
			fi
		done
	done
}

@test "kill -9 of start, kill and delete at any moment" {
	local delay verb
	for delay in 0 0.003 0.01 0.03 0.1; do
		create_sleeper
		"$HULL" --root "$ROOT" start "$ID" &
		sleep $delay
		kill -9 $! 2>/dev/null || true
		hull kill "$ID" KILL
		eventually 3 is_status "$ID" stopped
		"$HULL" --root "$ROOT" delete "$ID" &
		sleep $delay
		kill -9 $! 2>/dev/null || true
		gone
	done
	for delay in 0.003 0.02 0.1; do
		start_sleeper
		"$HULL" --root "$ROOT" kill "$ID" KILL &
		sleep $delay
		kill -9 $! 2>/dev/null || true
		"$HULL" --root "$ROOT" delete --force "$ID" &
		sleep $delay
		kill -9 $! 2>/dev/null || true
		gone
	done
}

@test "a delete that was killed half-way leaves a name that is free or deletable" {
	for delay in 0.002 0.005 0.01 0.02 0.04; do
		start_sleeper
		"$HULL" --root "$ROOT" delete --force "$ID" &
		sleep $delay
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		run hull state "$ID"
		[ "$status" -eq 0 ] || [[ "$output" == *"container does not exist"* ]]
		hull delete --force "$ID"
		assert_no_traces
	done
}

@test "a hung QEMU: kill -9 and delete --force work within their deadlines" {
	local since
	start_sleeper
	HUNG=$(vmm_pid "$ID")
	kill -STOP "$HUNG"
	since=$(now_ms)
	hull kill "$ID" KILL
	took_at_most 7000 "$since"
	lost_to "does not answer"

	start_sleeper
	HUNG=$(vmm_pid "$ID")
	kill -STOP "$HUNG"
	since=$(now_ms)
	hull delete --force "$ID"
	took_at_most 8000 "$since"
	assert_no_traces

	# Everything else has a deadline as well.
	start_sleeper
	HUNG=$(vmm_pid "$ID")
	kill -STOP "$HUNG"
	since=$(now_ms)
	run hull kill "$ID" TERM
	[ "$status" -ne 0 ]
	took_at_most 7000 "$since"
	hull state "$ID" >/dev/null
	hull list >/dev/null
	took_at_most 8000 "$since"
	kill -9 "$(part supervisor)"
	lost_to ''
}

@test "a hung QEMU during create: killing the creator ends it all" {
	args sleep 3600
	"$HULL" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
	creator=$!
	eventually 5 eval 'HUNG=$(traces | sed -n "s/^process \([0-9]*\): uid 1.*/\1/p" | head -n1); [ -n "$HUNG" ]'
	kill -STOP "$HUNG"
	kill -9 $creator
	eventually 3 eval '! traces_but_name'
	gone
}

@test "a hung supervisor: kill -9 and delete --force work within their deadlines" {
	local since
	start_sleeper
	HUNG=$(part supervisor)
	kill -STOP "$HUNG"
	since=$(now_ms)
	hull kill "$ID" KILL
	took_at_most 10000 "$since"
	lost_to ''

	start_sleeper
	HUNG=$(part supervisor)
	kill -STOP "$HUNG"
	since=$(now_ms)
	hull state "$ID" >/dev/null
	hull list >/dev/null
	took_at_most 1000 "$since"
	hull delete --force "$ID"
	took_at_most 13000 "$since"
	assert_no_traces
}

@test "a hung supervisor with a full backlog blocks nobody for ever" {
	start_sleeper
	HUNG=$(part supervisor)
	kill -STOP "$HUNG"
	timeout 60 python3 - "$ROOT/pods/$ID" <<'PY' &
import os, socket, sys, time
os.chdir(sys.argv[1])
held = []
for i in range(80):
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect("pod.sock")
    except BlockingIOError:
        break
    held.append(s)
print(len(held), flush=True)
time.sleep(50)
PY
	holder=$!
	sleep 1
	since=$(now_ms)
	run hull kill "$ID" TERM
	[ "$status" -ne 0 ]
	took_at_most 12000 "$since"
	hull delete --force "$ID"
	took_at_most 25000 "$since"
	kill $holder
	wait $holder || true
	assert_no_traces
}

@test "a hung virtiofsd: kill -9 stops the container" {
	local since
	args sh -c 'echo up; while :; do cat /bin/busybox /etc/* >/dev/null 2>&1; ls -lR /bin >/dev/null; done'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q up "$WORK/out"
	HUNG=$(virtiofsd_pids "$ID")
	kill -STOP $HUNG
	sleep 2
	since=$(now_ms)
	hull kill "$ID" KILL
	eventually 15 is_status "$ID" stopped
	took_at_most 15000 "$since"
	gone
}

@test "a hung stand-in does not hold a delete up for long" {
	local since
	start_sleeper
	HUNG=$(part standin)
	kill -STOP "$HUNG"
	hull kill "$ID" KILL
	eventually 2 is_status "$ID" stopped
	since=$(now_ms)
	hull delete "$ID"
	took_at_most 7000 "$since"
	assert_no_traces
}

# A memory shortage becomes a panic of the guest's kernel.
@test "a panic of the guest's kernel is reported with its reason" {
	printf '[vm]\nkernel_params = sysctl.vm.panic_on_oom=2\n' >>"$HULL_CONFIG"
	config '.linux.resources.memory.limit = 67108864'
	args sh -c 'echo up; sleep 1; tail /dev/zero'
	run hull run --keep --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 137 ]
	[[ "$output" == *"ended with its VM: the guest's kernel panicked"* ]]
	[[ "$(jq -r .exit.lost "$ROOT/containers/$ID/state.json")" == *"kernel panicked"* ]]
	gone

	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q up "$WORK/out"
	eventually 10 is_status "$ID" stopped
	lost_to 'kernel panicked'
}

# Debian's kernel has the sysrq keys; Hull's own has not.
@test "a crash, a power-off and a reset from inside end the container with a reason" {
	[ -e "$DATA/vmlinuz-debian" ] || skip "the Debian guest kernel is not installed"
	cat >>"$HULL_CONFIG" <<-CONF
		[vm]
		kernel = $DATA/vmlinuz-debian
		initrd = $DATA/initramfs-debian.img
	CONF
	config '.linux.maskedPaths = [] | .linux.readonlyPaths = []
		| (.mounts[] | select(.destination == "/proc").options) = ["rw"]'
	for letter in c o b; do
		args sh -c "echo up; sleep 1; echo $letter >/proc/sysrq-trigger; sleep 3600"
		hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
		eventually 20 grep -q up "$WORK/out"
		eventually 5 is_status "$ID" stopped
		lost_to 'powered off|reset|panicked'
	done
}

@test "out of memory in a container: told, and the pod's other processes live" {
	config '.linux.resources.memory.limit = 67108864'
	args sh -c 'head -c 300000000 /dev/zero | tail >/dev/null; echo "tail: $?"; exec sleep 3600'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 60 grep -q "tail: 137" "$WORK/out"
	is_status "$ID" running
	run hull exec "$ID" echo alive
	[ "$output" = alive ]
	gone

	# The container's own program: the end is told as one of memory.
	args sh -c 'exec tail /dev/zero'
	run hull run --keep --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 137 ]
	[ "$(jq .exit.oomKilled "$ROOT/containers/$ID/state.json")" = true ]
	[ "$(jq .exit.lost "$ROOT/containers/$ID/state.json")" = null ]
	gone
}

@test "out of memory without a limit: the guest's agent survives" {
	args sh -c 'tail /dev/zero; echo "tail: $?"; exec sleep 3600'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 90 eval 'grep -q "tail: 137" "$WORK/out" || is_status "$ID" stopped'
	if is_status "$ID" running; then
		run hull exec "$ID" echo alive
		[ "$output" = alive ]
	fi
	gone
}

@test "a fork bomb: kill and delete work" {
	config '.linux.resources.pids.limit = 64'
	# The bomb is a child: a shell that cannot fork ends, and the container with it.
	args sh -c '(b() { b | b & }; while :; do b; done) 2>/dev/null & echo up; exec sleep 3600'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>/dev/null
	eventually 20 grep -q up "$WORK/out"
	sleep 2
	hull kill "$ID" KILL
	eventually 5 is_status "$ID" stopped
	gone

	# Without a limit.
	config 'del(.linux.resources.pids)'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>/dev/null
	sleep 3
	local since
	since=$(now_ms)
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	took_at_most 12000 "$since"
	gone
}

@test "no descriptors left in the container, and few for hull" {
	config '.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}]'
	start_sleeper
	for i in 1 2 3; do
		run hull exec "$ID" sh -c 'exec 3</etc/passwd 4<&3 5<&3 6<&3 7<&3 8<&3; echo no'
		[ "$status" -ne 0 ]
	done
	gone
	# A caller without descriptors to spare gets an error or what it wants, and nothing is left.
	for n in 4 6 8 10 12; do
		run bash -c "ulimit -n $n; exec '$HULL' --root '$ROOT' create --bundle '$BUNDLE' '$ID' </dev/null >/dev/null 2>'$WORK/err'"
		[ "$status" -ne 0 ] || is_status "$ID" created
		hull delete --force "$ID"
		assert_no_traces
	done
}

@test "two and ten racing deletes all succeed" {
	local n i pids
	for n in 2 10; do
		start_sleeper
		pids=
		for i in $(seq $n); do
			hull delete --force "$ID" 2>>"$WORK/err" &
			pids+=" $!"
		done
		for i in $pids; do wait "$i"; done
		assert_no_traces
	done
	# Without --force: whoever came second finds a container that is gone.
	create_sleeper
	hull delete "$ID" 2>"$WORK/1" &
	first=$!
	hull delete "$ID" 2>"$WORK/2" &
	second=$!
	wait $first || grep -q "does not exist" "$WORK/1"
	wait $second || grep -q "does not exist" "$WORK/2"
	assert_no_traces
}

@test "racing creates of one id: exactly one wins" {
	local i won=0 pids=
	args sleep 3600
	for i in $(seq 6); do
		hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out.$i" 2>&1 &
		pids+=" $!"
	done
	i=0
	for pid in $pids; do
		i=$((i + 1))
		if wait "$pid"; then
			won=$((won + 1))
		else
			grep -q "already exists" "$WORK/out.$i"
		fi
	done
	[ $won -eq 1 ]
	is_status "$ID" created
	gone
}

@test "create while a delete runs: taken or made, never half" {
	local i
	for i in $(seq 5); do
		start_sleeper
		hull delete --force "$ID" &
		deleter=$!
		until hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1; do
			grep -q "already exists" "$WORK/out"
		done
		wait $deleter
		is_status "$ID" created
		gone
	done
}

@test "delete while create runs: both end, nothing is left" {
	local delay
	args sleep 3600
	for delay in 0.01 0.05 0.1 0.3 0.6 1.0; do
		hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
		creator=$!
		sleep $delay
		hull delete --force "$ID"
		wait $creator || [ -s "$WORK/out" ]
		hull delete --force "$ID"
		assert_no_traces
	done
}

@test "a create that failed does not take the next container of its name along" {
	args sleep 3600
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
	creator=$!
	eventually 5 test -e "$ROOT/containers/$ID/state.json"
	sleep 0.2
	real=$(pgrep -f -- "^$HULL --root $ROOT create" | head -n1)
	kill -STOP "$real"
	HUNG=$real
	hull delete --force "$ID"
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	kill -CONT "$real"
	status=0
	wait $creator || status=$?
	[ "$status" -ne 0 ]
	is_status "$ID" created
	gone
}

@test "delete --force of a container in the foreground does not hold its run up" {
	args sh -c 'echo up; sleep 3600'
	hull run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>"$WORK/err" &
	runner=$!
	eventually 20 grep -q up "$WORK/out"
	since=$(now_ms)
	hull delete --force "$ID"
	status=0
	wait $runner || status=$?
	[ "$status" -eq 137 ]
	took_at_most 3000 "$since"
	assert_no_traces
}

@test "kill races with the container's own end" {
	local i
	for i in 0 0.05 0.1 0.15 0.2 0.3; do
		args sleep 0.2
		hull run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
		sleep $i
		run hull kill "$ID" KILL
		echo "after $i s: $status: $output"
		[ "$status" -eq 0 ] || [[ "$output" == *"container not running"* || "$output" == *"process already finished"* ]]
		eventually 3 is_status "$ID" stopped
		hull delete "$ID"
		assert_no_traces
	done
}

@test "state and list see no half-made container" {
	args sleep 3600
	(
		for i in 1 2 3; do
			hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
			hull start "$ID"
			hull delete --force "$ID"
		done
		touch "$WORK/done"
	) &
	local n=0
	while [ ! -e "$WORK/done" ] || [ $n -lt 200 ]; do
		n=$((n + 1))
		if "$HULL" --root "$ROOT" state "$ID" >"$WORK/state.out" 2>"$WORK/state.err"; then
			jq -e '.id and .bundle and (.status | IN("creating", "created", "running", "stopped"))' "$WORK/state.out" >/dev/null
		else
			grep -q "container does not exist" "$WORK/state.err"
		fi
		"$HULL" --root "$ROOT" list -f json >"$WORK/list.out" 2>"$WORK/list.err"
		[ ! -s "$WORK/list.err" ]
		jq -e '. == null or (length == 1 and .[0].status != null)' "$WORK/list.out" >/dev/null
	done
	wait
	[ $n -ge 200 ]
	assert_no_traces
}

@test "run after run leaves nothing" {
	local i
	args true
	for i in $(seq 5); do
		hull run --bundle "$BUNDLE" "$ID" </dev/null
		assert_no_traces
	done
}
