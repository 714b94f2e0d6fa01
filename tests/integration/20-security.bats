#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/security.md says: the walls around a VM on the host, and those around a container in its VM.

load lib.bash

setup() {
	setup_hull
}

teardown() {
	teardown_hull
}

# A static program of tests/integration for the container, or a skip.
build_guest_program() {
	cc -static -O1 -o "$BUNDLE/rootfs/$1" "$BATS_TEST_DIRNAME/$1.c" 2>"$WORK/cc.log" || skip "no compiler"
}

# ---- a container in its VM

@test "the agent's own program, which a container finds in /proc/PID/exe, cannot be changed" {
	build_guest_program exespy
	args /exespy watch
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q watching "$WORK/out"
	for i in $(seq 40); do
		# The name of the program is that of the one that starts it.
		hull exec "$ID" /proc/self/exe "$i" </dev/null >/dev/null 2>&1 || true
		! grep -q found "$WORK/out" || break
	done
	cat "$WORK/out" >&2
	grep -q "found /init: chmod: Read-only file system, write: " "$WORK/out"
}

@test "seccomp: a container may forbid itself sockets altogether" {
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["socket", "socketpair", "connect", "sendto", "sendmsg",
		"sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "close_range"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	args echo alive
	for nnp in true false; do
		config ".process.noNewPrivileges = $nnp"
		run hull run --bundle "$BUNDLE" "$ID"
		[ "$status" -eq 0 ]
		[ "$output" = alive ]
	done
}

@test "ps: a process cannot steer the terminal of whoever lists it" {
	build_guest_program exespy
	args /exespy dress $'\e]0;title\a\e[31m'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 20 grep -q dressed "$WORK/out"
	run hull ps "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"[?]0;title??[31m]"* ]]
	[[ "$output" != *$'\e'* ]]
}
