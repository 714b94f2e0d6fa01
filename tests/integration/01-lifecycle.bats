#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The state machine of the OCI specification and the verbs that move along it.

load lib.bash
setup() { setup_hull; }
teardown() { teardown_hull; }

@test "run: the container has a kernel of its own" {
	args uname -r
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
	[[ "$output" =~ ^[0-9]+\.[0-9]+ ]]
}

@test "run: exit codes pass through" {
	for code in 0 1 42 255; do
		args sh -c "exit $code"
		run hull run --bundle "$BUNDLE" "$ID"
		[ "$status" -eq "$code" ]
	done
}

@test "run: death by a signal is 128 and the signal" {
	# PID 1 of a namespace ignores what it has not asked for, so a child dies and the shell tells.
	args sh -c 'sh -c "kill -9 \$\$"; exit $?'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 137 ]
}

@test "create, state, start, state, kill, state, delete" {
	args sleep 3600
	hull create --bundle "$BUNDLE" --pid-file "$WORK/pid" "$ID" </dev/null
	is_status "$ID" created
	pid=$(cat "$WORK/pid")
	[ "$(hull state "$ID" | jq .pid)" = "$pid" ]
	kill -0 "$pid"

	hull start "$ID"
	is_status "$ID" running

	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	[ "$(hull state "$ID" | jq .pid)" = 0 ]
	eventually 5 eval "! kill -0 $pid 2>/dev/null"

	hull delete "$ID"
	run hull state "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"container does not exist"* ]]
}

@test "state: the JSON has runc's fields and a space behind each colon" {
	config '.annotations = {"com.example.a": "b"}'
	start_sleeper
	run hull state "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *'"status": "running"'* ]]
	jq -e '.ociVersion and .id and .pid > 0 and .bundle and .rootfs and .created and has("owner")' <<<"$output"
	[ "$(jq -r '.annotations["com.example.a"]' <<<"$output")" = b ]
	[ "$(jq -r .bundle <<<"$output")" = "$BUNDLE" ]
}

@test "create: an id that is taken, and one that is no id" {
	start_sleeper
	run hull create --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"container with given ID already exists"* ]]
	is_status "$ID" running
	for bad in ../x a/b '' 'a b' . ..; do
		run hull create --bundle "$BUNDLE" "$bad"
		[ "$status" -ne 0 ]
	done
}

@test "start: only a created container" {
	start_sleeper
	run hull start "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"cannot start an already running container"* ]]
}

@test "delete: refuses a running container, --force takes it" {
	start_sleeper
	run hull delete "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"that is not stopped: running"* ]]
	hull delete --force "$ID"
	run hull state "$ID"
	[ "$status" -ne 0 ]
}

@test "delete: what is not there is an error, with --force it is none" {
	run hull delete nothing-here
	[ "$status" -eq 1 ]
	[[ "$output" == *"container does not exist"* ]]
	hull delete --force nothing-here
}

@test "delete: a created container goes without --force" {
	args sleep 3600
	hull create --bundle "$BUNDLE" "$ID" </dev/null
	hull delete "$ID"
	[ ! -e "$ROOT/containers/$ID" ]
}

@test "kill: names, numbers, the default, and what is no signal" {
	args sh -c 'trap "exit 7" TERM; trap "echo usr1" USR1; echo ready; while :; do sleep 0.05; done'
	hull run -d --bundle "$BUNDLE" --pid-file "$WORK/pid" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q ready "$WORK/out"
	hull kill "$ID" SIGUSR1
	eventually 10 grep -q usr1 "$WORK/out"
	hull kill "$ID" 10
	eventually 10 eval '[ "$(grep -c usr1 "$WORK/out")" = 2 ]'
	run hull kill "$ID" NOSUCH
	[ "$status" -ne 0 ]
	hull kill "$ID"
	eventually 10 is_status "$ID" stopped
	[ "$(jq .exit.code "$ROOT/containers/$ID/state.json")" = 7 ]
}

@test "kill: a stopped container is an error that changes nothing" {
	args true
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null
	eventually 20 is_status "$ID" stopped
	run hull kill "$ID" KILL
	[ "$status" -ne 0 ]
	[[ "$output" == *"container not running"* ]]
	is_status "$ID" stopped
}

@test "kill: a created container dies of it" {
	args sleep 3600
	hull create --bundle "$BUNDLE" "$ID" </dev/null
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
}

@test "kill --all: reaches every process" {
	args sh -c 'sleep 1000 & sleep 1001 & wait'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null
	hull kill --all "$ID" KILL
	eventually 10 is_status "$ID" stopped
}

@test "the stand-in forwards signals and takes over the exit status" {
	args sh -c 'trap "exit 33" TERM; echo ready; while :; do sleep 0.05; done'
	# A subreaper, as conmon is one, sees the status.
	run timeout 60 python3 - "$HULL" "$ROOT" "$BUNDLE" "$ID" "$WORK" <<'PY'
import ctypes, os, subprocess, sys, time, signal
hull, root, bundle, cid, work = sys.argv[1:]
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)          # PR_SET_CHILD_SUBREAPER
out = open(work + "/out", "wb")
subprocess.run([hull, "--root", root, "run", "-d", "--bundle", bundle, "--pid-file", work + "/pid", cid],
               stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True)
pid = int(open(work + "/pid").read())
while b"ready" not in open(work + "/out", "rb").read():
    time.sleep(0.05)
os.kill(pid, signal.SIGTERM)
while True:
    got, status = os.waitpid(-1, 0)
    if got == pid:
        break
print("exit", os.waitstatus_to_exitcode(status))
PY
	[ "$status" -eq 0 ]
	[ "$output" = "exit 33" ]
}

@test "the stand-in dies of the signal that the container died of" {
	args sleep 3600
	run timeout 60 python3 - "$HULL" "$ROOT" "$BUNDLE" "$ID" "$WORK" <<'PY'
import ctypes, os, subprocess, sys
hull, root, bundle, cid, work = sys.argv[1:]
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.run([hull, "--root", root, "run", "-d", "--bundle", bundle, "--pid-file", work + "/pid", cid],
               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
pid = int(open(work + "/pid").read())
subprocess.run([hull, "--root", root, "kill", cid, "KILL"], check=True)
while True:
    got, status = os.waitpid(-1, 0)
    if got == pid:
        break
print("exit", os.waitstatus_to_exitcode(status))
PY
	[ "$status" -eq 0 ]
	[ "$output" = "exit -9" ]
}

@test "list: table, json, ids" {
	run hull list
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER ]]
	[ "$(hull list -f json)" = null ]
	start_sleeper
	run hull list
	[[ "${lines[1]}" =~ ^$ID\ +[0-9]+\ +running ]]
	[ "$(hull list -q)" = "$ID" ]
	[ "$(hull list --format json | jq -r '.[0].id')" = "$ID" ]
	run hull list --format yaml
	[ "$status" -ne 0 ]
}

@test "ps: table and json" {
	args sh -c 'sleep 1234 & wait'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null
	# Between fork and exec the child still has its parent's name.
	eventually 10 eval 'hull ps "$ID" | grep -q " sleep 1234$"'
	run hull ps "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *PID*CMD* ]]
	# Engines look these up on the host: containerd, and with it docker top.
	[ "$(hull ps -f json "$ID")" = "[$(pid_of "$ID" .standIn)]" ]
}

@test "pause and resume" {
	args sh -c 'while :; do echo tick; sleep 0.05; done'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q tick "$WORK/out"
	hull pause "$ID"
	is_status "$ID" paused
	sleep 0.5
	before=$(wc -c <"$WORK/out")
	sleep 1
	[ "$(wc -c <"$WORK/out")" = "$before" ]
	run hull pause "$ID"
	[ "$status" -ne 0 ]
	run hull exec "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"paused"* ]]
	hull resume "$ID"
	is_status "$ID" running
	eventually 10 eval '[ "$(wc -c <"$WORK/out")" -gt "$before" ]'
	run hull resume "$ID"
	[ "$status" -ne 0 ]
	hull pause "$ID"
	hull delete --force "$ID"
}

@test "run --keep: the container stays for delete" {
	args sh -c 'exit 3'
	run hull run --keep --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 3 ]
	is_status "$ID" stopped
	hull delete "$ID"
}

@test "create --config: another config.json" {
	jq '.process.args = ["echo", "from the other"]' "$BUNDLE/config.json" >"$WORK/other.json"
	run hull run --bundle "$BUNDLE" --config "$WORK/other.json" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = "from the other" ]
}

@test "--log: errors are JSON lines that engines read" {
	run hull --log "$WORK/log" --log-format json state nothing
	[ "$status" -ne 0 ]
	[ "$(tail -n1 "$WORK/log" | jq -r .level)" = error ]
	[[ "$(tail -n1 "$WORK/log" | jq -r .msg)" == *"does not exist"* ]]
}

@test "spec, features, version, help" {
	run hull version
	[ "$status" -eq 0 ]
	[[ "$output" == *"hull version"* && "$output" == *"spec: 1.2"* ]]
	hull features | jq -e '.ociVersionMax and (.linux.namespaces | index("pid"))'
	(cd "$WORK" && hull spec && jq -e .process.args config.json)
	run sh -c "cd '$WORK' && '$HULL' spec"
	[ "$status" -ne 0 ]
	help=$("$HULL" --help)
	for verb in create start run exec kill delete state list ps pause resume spec features version try check env pod; do
		[[ "$help" == *" $verb "* ]]
		run "$HULL" "$verb" --help
		[ "$status" -eq 0 ]
		[[ "$output" == *Usage:* ]]
	done
	run hull frobnicate
	[ "$status" -ne 0 ]
}
