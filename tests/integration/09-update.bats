#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# update, events, and the verbs that are refused.

load lib.bash
setup() { setup_hull; }
teardown() { teardown_hull; }

@test "update: single limits and a resources file take effect in the guest" {
	start_sleeper
	hull update --memory 100M --pids-limit 33 --cpu-quota 50000 --cpu-period 100000 --cpu-share 512 "$ID"
	run hull exec "$ID" sh -c 'cd /sys/fs/cgroup && cat memory.max pids.max cpu.max cpu.weight'
	[ "${lines[0]}" = $((100 << 20)) ]
	[ "${lines[1]}" = 33 ]
	[ "${lines[2]}" = "50000 100000" ]
	[ "${lines[3]}" -gt 1 ]
	echo '{"pids": {"limit": 44}, "memory": {"limit": 52428800}}' | hull update -r - "$ID"
	run hull exec "$ID" sh -c 'cd /sys/fs/cgroup && cat memory.max pids.max cpu.max'
	[ "${lines[0]}" = 52428800 ]
	[ "${lines[1]}" = 44 ]
	[ "${lines[2]}" = "50000 100000" ]
}

@test "update: what cannot be is refused by name and changes nothing" {
	start_sleeper
	before=$(hull exec "$ID" cat /sys/fs/cgroup/memory.max)
	run hull update --memory 100G "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *memory.limit*"that the VM can grow to"* ]]
	echo '{"memory": {"limit": "much"}}' >"$WORK/bad.json"
	run hull update -r "$WORK/bad.json" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *memory.limit* ]]
	for wrong in "--memory x" "--pids-limit y" "" "-r /nowhere" "-r $WORK/bad.json --memory 1M"; do
		# shellcheck disable=SC2086
		run hull update $wrong "$ID"
		[ "$status" -ne 0 ]
	done
	[ "$(hull exec "$ID" cat /sys/fs/cgroup/memory.max)" = "$before" ]
	run hull update --memory 64M nothing-here
	[ "$status" -ne 0 ]
	[[ "$output" == *"does not exist"* ]]
}

@test "events --stats: runc's shape, from the guest's control group" {
	args sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 3600'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	eventually 20 eval '[ "$(hull events --stats "$ID" | jq .data.cpu.usage.total)" -gt 1000000 ]'
	hull events --stats "$ID" | jq -e --arg id "$ID" '.type == "stats" and .id == $id and .data.pids.current >= 1
		and .data.memory.usage.usage > 0 and (.data.memory.raw | has("anon")) and (.data.blkio | has("ioServiceBytesRecursive"))'
}

@test "events: a line when the out-of-memory killer was there, at once, as runc's" {
	config '.linux.resources.memory.limit = 25165824'
	args sh -c 'while [ ! -e /dev/shm/go ]; do sleep 0.1; done; (exec tail /dev/zero); while [ -e /dev/shm/go ]; do sleep 0.1; done; exec tail /dev/zero'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	timeout 120 "$HULL" --root "$ROOT" events --interval 1h "$ID" >"$WORK/events" 3>&- &
	local watcher=$!
	eventually 20 grep -q stats "$WORK/events"
	hull exec "$ID" touch /dev/shm/go
	eventually 20 grep -q oom "$WORK/events"
	[ "$(tail -n 1 "$WORK/events")" = "{\"type\":\"oom\",\"id\":\"$ID\"}" ]
	# The end is one, too, and ends the list without waiting for the interval.
	hull exec "$ID" rm /dev/shm/go
	wait "$watcher"
	[ "$(jq -r .type "$WORK/events" | paste -sd' ')" = "stats oom oom" ]
}

@test "events: a line for each interval until the container ends" {
	start_sleeper
	timeout 60 "$HULL" --root "$ROOT" events --interval 200ms "$ID" >"$WORK/events" 3>&- &
	pid=$!
	eventually 20 eval '[ "$(wc -l <"$WORK/events")" -ge 3 ]'
	hull kill "$ID" KILL
	wait $pid
	jq -e '.type == "stats"' <"$WORK/events" >/dev/null
	run hull events --stats "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"container not running"* ]]
	run hull events --interval soon "$ID"
	[ "$status" -ne 0 ]
}

@test "checkpoint and restore say that they are not there" {
	for verb in checkpoint restore; do
		run hull $verb x
		[ "$status" -ne 0 ]
		[[ "$output" == *"$verb: not supported"*VM* ]]
	done
}
