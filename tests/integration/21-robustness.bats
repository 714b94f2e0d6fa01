#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad luck and too much at once: parts killed at random, many calls at the same time, no descriptors and no space left.

load lib.bash

# Uids of this run's VMs, so that a QEMU in its jail can be told from another test's.
setup() {
	setup_hull
	local base=$((1100000000 + ($$ % 100) * 4194304))
	VM_UIDS=$base-$((base + 4194304))
	printf '[security]\nuid_base = %s\n' "$base" >"$WORK/hull.conf"
	export HULL_CONFIG=$WORK/hull.conf
	args sleep 3600
}

teardown() {
	teardown_hull
}

# One of the processes that there are, or nothing.
any_process() {
	local pids
	mapfile -t pids < <(traces | sed -n 's/^process \([0-9]*\):.*/\1/p')
	[ ${#pids[@]} -eq 0 ] || echo "${pids[RANDOM % ${#pids[@]}]}"
}

# Seconds with two digits behind the point: up to $1 hundredths.
some_time() {
	local t=$((RANDOM % $1))
	printf '%d.%02d' $((t / 100)) $((t % 100))
}

# A random life, in which one part or two die at random moments.
a_life() {
	local verb pid
	for verb in create start "exec $ID sleep 3600" "exec $ID true" pause resume "kill $ID TERM" delete; do
		# A call that stands for its process would end with it; the others answer in time.
		case $verb in
		create) timeout 60 "$HULL" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 & ;;
		*\ *) timeout 60 "$HULL" --root "$ROOT" $verb </dev/null >/dev/null 2>&1 & ;;
		*) timeout 60 "$HULL" --root "$ROOT" $verb "$ID" </dev/null >/dev/null 2>&1 & ;;
		esac
		local call=$!
		if [ $((RANDOM % 3)) -eq 0 ]; then
			if [ "$verb" = create ]; then sleep "$(some_time 200)"; else sleep "$(some_time 10)"; fi
			pid=$(any_process)
			[ -z "$pid" ] || { echo "$verb: kill $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)" >>"$WORK/lives"; kill -9 "$pid" 2>/dev/null || true; }
		fi
		if [ "$verb" = "exec $ID sleep 3600" ]; then sleep 0.1; kill "$call" 2>/dev/null || true; fi
		wait $call || true
	done
}

@test "a random part dies at a random moment, for half a minute: delete works and nothing is left" {
	local seed=${HULL_SEED:-$$} end=$((SECONDS + 30)) n=0
	echo "HULL_SEED=$seed" >&2
	RANDOM=$seed
	while [ $SECONDS -lt $end ]; do
		echo "--- $n" >>"$WORK/lives"
		a_life
		timeout 60 "$HULL" --root "$ROOT" delete --force "$ID" 2>>"$WORK/lives" || { cat "$WORK/lives" >&2; return 1; }
		assert_no_traces 5 || { cat "$WORK/lives" >&2; return 1; }
		n=$((n + 1))
	done
	echo "$n lives" >&2
	# The name is free.
	start_sleeper
	hull delete --force "$ID"
	assert_no_traces
}

@test "twenty creations of one name at once: one container, nineteen errors" {
	local i pids= won=0
	for i in $(seq 20); do
		"$HULL" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out.$i" 2>&1 &
		pids+=" $!"
	done
	for i in $pids; do ! wait "$i" || won=$((won + 1)); done
	[ $won -eq 1 ]
	[ "$(grep -l 'already exists' "$WORK"/out.* | wc -l)" -eq 19 ]
	is_status "$ID" created
	[ "$(pgrep -cf -- "hull-pod --root $ROOT")" -eq 1 ]
	hull delete --force "$ID"
	assert_no_traces
}

@test "creations and forced deletions of one name, ten and ten at once: each call ends, and nothing is left" {
	local i pids=
	for i in $(seq 10); do
		timeout 100 "$HULL" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
		pids+=" $!"
		timeout 100 "$HULL" --root "$ROOT" delete --force "$ID" >>"$WORK/err" 2>&1 &
		pids+=" $!"
	done
	for i in $pids; do
		status=0
		wait "$i" || status=$?
		[ $status -lt 124 ]
	done
	hull delete --force "$ID"
	assert_no_traces
}

@test "start, exec, kill and delete, twenty at once: each ends with an answer" {
	local i pids= verb
	start_sleeper
	for i in $(seq 5); do
		for verb in "start $ID" "exec $ID true" "kill $ID KILL" "delete --force $ID"; do
			timeout 60 "$HULL" --root "$ROOT" $verb </dev/null >>"$WORK/out" 2>&1 &
			pids+=" $!"
		done
	done
	for i in $pids; do
		status=0
		wait "$i" || status=$?
		# 137: an exec whose process was killed with the rest.
		[ $status -lt 124 ] || [ $status -eq 137 ] || { echo "status $status" >&2; cat "$WORK/out" >&2; return 1; }
	done
	hull delete --force "$ID"
	assert_no_traces
}

@test "a supervisor without descriptors: execs fail with an error, the container and its kill are as before" {
	local supervisor open i pids=
	start_sleeper
	supervisor=$(pid_of "$ID" .supervisor)
	open=$(ls "/proc/$supervisor/fd" | wc -l)
	prlimit --pid "$supervisor" --nofile=$((open + 12)):$((open + 12))
	# Input that does not come.
	mkfifo "$WORK/in"
	exec 7<>"$WORK/in"
	for i in $(seq 12); do
		"$HULL" --root "$ROOT" exec "$ID" sleep 50 <"$WORK/in" >"$WORK/out.$i" 2>&1 7<&- &
		pids+=" $!"
	done
	exec 7<&-
	eventually 20 eval '[ "$(cat "$WORK"/out.* | wc -l)" -ge 4 ]'
	is_status "$ID" running
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	for i in $pids; do
		status=0
		wait "$i" || status=$?
		[ $status -ne 0 ]
	done
	hull delete --force "$ID"
	assert_no_traces
}

# In a mount namespace of its own, where the state directory is a small file system.
on_a_small_disk() {
	mkdir -p "$ROOT"
	mount -t tmpfs -o mode=711,size=96k,nr_inodes=64 small "$ROOT"
	fill() { dd if=/dev/zero of="$ROOT/fill" bs=4k count=100 >/dev/null 2>&1 || true; }

	fill
	if hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1; then return 1; fi
	grep -q 'No space left on device' "$WORK/out"
	hull list >/dev/null
	rm "$ROOT/fill"
	[ -z "$(find "$ROOT" -mindepth 2)" ]

	# A container that is there goes through its life, though nothing of it can be written down.
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	fill
	hull start "$ID"
	[ "$(hull exec "$ID" echo alive)" = alive ]
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	hull delete "$ID"
	[ -z "$(find "$ROOT" -mindepth 2)" ]
}

@test "no space left in the state directory: errors, and delete works" {
	export -f on_a_small_disk
	export ROOT WORK BUNDLE ID HULL_PREFIX BATS_TEST_DIRNAME
	unshare -m --propagation private bash -euc '. "$BATS_TEST_DIRNAME/lib.bash"; on_a_small_disk'
	assert_no_traces
}

# The installed tree with a supervisor that has the preloaded library in it.
failing_tree() {
	cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$WORK/fail_nth.so" "$BATS_TEST_DIRNAME/../tools/fail_nth.c" 2>"$WORK/cc.log" || skip "no compiler"
	mkdir -p "$WORK/tree/bin" "$WORK/tree/libexec"
	cp "$HULL" "$WORK/tree/bin/"
	cp -r "$HULL_PREFIX/libexec/hull" "$WORK/tree/libexec/"
	ln -s "$HULL_PREFIX/share" "$WORK/tree/share"
	mv "$WORK/tree/libexec/hull/hull-pod" "$WORK/tree/libexec/hull/hull-pod.real"
	cat >"$WORK/tree/libexec/hull/hull-pod" <<-SH
		#!/bin/sh
		LD_PRELOAD=$WORK/fail_nth.so FAIL_NTH=\$(cat $WORK/nth) exec $WORK/tree/libexec/hull/hull-pod.real "\$@"
	SH
	chmod +x "$WORK/tree/libexec/hull/hull-pod"
}

# Whatever the outcome: no crash, an error is told, and nothing is left after a delete.
check_failing() {
	[ "$status" -le 1 ] || { echo "$1: status $status: $output" >&2; return 1; }
	[ "$status" -eq 0 ] || [[ "$output" == *hull:* ]] || { echo "$1: no word: $output" >&2; return 1; }
	if [ "$status" -eq 0 ]; then is_status "$ID" created || { echo "$1: created, but not" >&2; return 1; }; fi
	hull delete --force "$ID"
	assert_no_traces 5 || { echo "$1" >&2; return 1; }
}

@test "create, with the Nth system call of hull or of the supervisor failing: an error, no crash, nothing left" {
	local n
	failing_tree
	echo 0 >"$WORK/nth"
	for n in $(seq 1 2 44); do
		status=0
		timeout 60 bash -c 'LD_PRELOAD=$1 FAIL_NTH=$2 exec "${@:3}"' - "$WORK/fail_nth.so" "$n" "$HULL" --root "$ROOT" create \
			--bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 || status=$?
		output=$(cat "$WORK/out")
		check_failing "hull $n"
	done
	HULL=$WORK/tree/bin/hull
	for n in $(seq 5 3 62); do
		echo "$n" >"$WORK/nth"
		status=0
		hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 || status=$?
		output=$(cat "$WORK/out")
		check_failing "hull-pod $n"
	done
}
