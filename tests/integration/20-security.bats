#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/security.md says: the walls around a VM on the host, and those around a container in its VM.

load lib.bash

setup() {
	setup_hull
}

teardown() {
	[ -z "$LIAR" ] || kill "$LIAR" 2>/dev/null || true
	teardown_hull
}

# A static program of tests/integration for the container, or a skip.
build_guest_program() {
	cc -static -O1 -o "$BUNDLE/rootfs/$1" "$BATS_TEST_DIRNAME/$1.c" 2>"$WORK/cc.log" || skip "no compiler"
}

# facts PID: what the kernel says of a process' privileges, one fact a line.
facts() {
	sed -n 's/^\(Uid\|Gid\|Groups\|CapPrm\|CapEff\|CapBnd\|CapAmb\|NoNewPrivs\|Seccomp\):[[:space:]]*/\1 /p' "/proc/$1/status" | tr -s '\t ' ' '
}

says() {
	grep -qx -- "$2" <<<"$1" || { echo "no \"$2\" in: $1" >&2; return 1; }
}

# own PID KIND…: the process has namespaces of these kinds that are not the host's.
own() {
	local pid=$1 kind
	shift
	for kind; do
		[ "$(readlink "/proc/$pid/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ] || { echo "$pid: the host's $kind" >&2; return 1; }
	done
}

part_pid() {
	hull pod inspect "$ID" | jq ".$1"
}

# ---- the walls on the host

@test "QEMU: a user of its own, no capability, a seccomp filter, namespaces, limits, and a root with nothing in it" {
	local pid root text
	mkdir "$BUNDLE/rootfs/secret"
	start_sleeper
	pid=$(part_pid vmmPid)
	text=$(facts "$pid")
	says "$text" 'Uid \([0-9]\{10\}\) \1 \1 \1'
	says "$text" 'Gid \([0-9]\{10\}\) \1 \1 \1'
	says "$text" 'Groups '
	for set in CapPrm CapEff CapBnd CapAmb; do says "$text" "$set 0000000000000000"; done
	says "$text" 'NoNewPrivs 1'
	says "$text" 'Seccomp 2'
	own "$pid" mnt net ipc uts pid
	[ "$(nsenter -t "$pid" -n ip -o link | grep -vc ': lo:')" = 0 ]
	grep -q '^Max core file size *1 *1 ' "/proc/$pid/limits"
	grep -q '^Max open files *4096 *4096 ' "/proc/$pid/limits"
	[ "$(sed -n 's/^Max processes *\([0-9]*\) .*/\1/p' "/proc/$pid/limits")" -le 400 ]

	root=/proc/$pid/root
	# Nothing of the host but programs and libraries; nothing that can be written to; no procfs.
	[ "$(ls $root | sort | xargs)" = "$(ls -d /dev /etc /lib /lib64 /sys /usr 2>/dev/null | tr -d / | cat - <(echo boot) | sort | xargs)" ] ||
		{ ls $root >&2; return 1; }
	[ "$(find $root/etc $root/sys -type f | sed "s|$root||" | xargs)" = "/etc/ld.so.cache /sys/kernel/mm/transparent_hugepage/hpage_pmd_size" ]
	[ "$(ls $root/boot | xargs)" = "initrd kernel" ]
	[ "$(ls $root/dev | grep -v kvm | sort | xargs)" = "null random urandom zero" ]
	! awk '$4 != "/null" && $4 != "/zero" && $4 != "/random" && $4 != "/urandom" && $6 !~ /^ro(,|$)/' "/proc/$pid/mountinfo" | grep . ||
		{ cat "/proc/$pid/mountinfo" >&2; return 1; }

	# Its descriptors: sockets and pipes to the supervisor and virtiofsd, memory, and what it made itself.
	! find "/proc/$pid/fd" -type l -printf '%l\n' | grep -vE '^(socket|pipe|anon_inode):|^/memfd:memory-backend|^/dev/null$' ||
		{ ls -l "/proc/$pid/fd" >&2; return 1; }
}

@test "two pods: each QEMU is a user of its own" {
	start_sleeper
	local first
	first=$(facts "$(part_pid vmmPid)" | sed -n 's/^Uid //p')
	start_sleeper "$ID-b"
	[ "$(facts "$(hull pod inspect "$ID-b" | jq .vmmPid)" | sed -n 's/^Uid //p')" != "$first" ]
}

@test "virtiofsd: a seccomp filter, root's file capabilities only, namespaces, and a root that is the share" {
	local parent pid text
	mkdir "$WORK/ro" "$WORK/rw"
	config '.mounts += [{destination: "/ro", type: "bind", source: $ro, options: ["bind", "ro"]},
		{destination: "/rw", type: "bind", source: $rw, options: ["bind", "rw"]}]' --arg ro "$WORK/ro" --arg rw "$WORK/rw"
	start_sleeper
	parent=$(part_pid virtiofsdPid)
	pid=$(cat /proc/"$parent"/task/*/children | tr -d ' ')
	text=$(facts "$pid")
	# chown, dac_override, fowner, fsetid, setgid, setuid, mknod, setfcap
	says "$text" 'CapEff 00000000880000db'
	says "$text" 'CapPrm 00000000880000db'
	says "$text" 'CapBnd 0000000000000000'
	says "$text" 'NoNewPrivs 1'
	says "$text" 'Seccomp 2'
	own "$pid" mnt net pid ipc uts
	# The process that only waits for it.
	text=$(facts "$parent")
	says "$text" 'CapEff 0000000000000000'
	says "$text" 'NoNewPrivs 1'

	[ "$(ls -d /proc/$pid/root/* | xargs -n1 basename | sort | xargs)" = ":volumes $ID" ]
	# No mount of the share takes set-user-ID, devices or programs; the root and read-only ones are read-only.
	! awk '$5 != "/proc" && $6 !~ /nosuid,nodev,noexec/' /proc/$pid/mountinfo | grep . || return 1
	awk -v at="/:volumes/" 'index($5, at) { print $6 }' /proc/$pid/mountinfo >"$WORK/options"
	[ "$(grep -c '^ro,' "$WORK/options")" = 1 ]
	[ "$(grep -c '^rw,' "$WORK/options")" = 1 ]
	awk '$5 == "/" { print $6 }' /proc/$pid/mountinfo | grep -q '^ro,'
	# Even the host's root cannot write to it that way.
	! touch "/proc/$pid/root/:volumes/$(awk -v at="/:volumes/" 'index($5, at) && $6 ~ /^ro,/ { print substr($5, length(at) + 1) }' /proc/$pid/mountinfo)/x"
}

@test "a stand-in has no privileges" {
	start_sleeper
	local text
	text=$(facts "$(pid_of "$ID" .standIn)")
	for set in CapPrm CapEff CapBnd CapAmb; do says "$text" "$set 0000000000000000"; done
	says "$text" 'NoNewPrivs 1'
	own "$(pid_of "$ID" .standIn)" mnt net ipc uts
}

@test "the state directory is root's alone" {
	start_sleeper
	! find "$ROOT" -mindepth 1 \( -perm /077 -o ! -uid 0 \) | grep . || return 1
	[ -S "$ROOT/pods/$ID/pod.sock" ]
	run setpriv --reuid 65534 --clear-groups "$HULL" --root "$ROOT" state "$ID"
	[ "$status" -ne 0 ]
	# One that somebody else prepared, or may write to, is not used.
	mkdir "$WORK/theirs"
	chown 65534 "$WORK/theirs"
	run "$HULL" --root "$WORK/theirs" list
	[ "$status" -ne 0 ]
	[[ "$output" == *"belongs to user 65534"* ]]
	chown 0 "$WORK/theirs"
	chmod 1777 "$WORK/theirs"
	run "$HULL" --root "$WORK/theirs" create --bundle "$BUNDLE" x
	[ "$status" -ne 0 ]
	[[ "$output" == *"can be written by others"* ]]
}

@test "try: a directory of somebody else's that looks like one it left is not believed" {
	mkdir -m 1777 "$WORK/tmp"
	mkdir "$WORK/tmp/hull-try-4242-1" "$WORK/tmp/hull-try-4243-1"
	chown 65534 "$WORK/tmp/hull-try-4242-1"
	run env TMPDIR="$WORK/tmp" "$HULL" --root "$ROOT" try /nowhere -- true
	[ "$status" -ne 0 ]
	[ -d "$WORK/tmp/hull-try-4242-1" ]
	[ ! -d "$WORK/tmp/hull-try-4243-1" ]
}

@test "pod ls and rm: no state directory is taken from a process that only calls itself a supervisor" {
	echo 'int pause(void); int main(void) { return pause(); }' | cc -x c -o "$WORK/setuid" - || skip "no compiler"
	chmod 4755 "$WORK/setuid"
	chmod 711 "$WORK"
	# As on a node with a kubelet.
	mkdir -p "$WORK/log/pods/default_web_1" "$WORK/log/containers"
	touch "$WORK/log/pods/default_web_1/0.log"
	setpriv --reuid 65534 --regid 65534 --clear-groups bash -c 'exec -a hull-pod "$0" --root "$1"' "$WORK/setuid" "$WORK/log" 3>&- &
	LIAR=$!
	eventually 5 grep -q hull-pod "/proc/$LIAR/cmdline"
	[ "$(stat -c %u "/proc/$LIAR")" = 0 ]
	run "$HULL" pod ls
	[[ "$output" != *default_web_1* ]]
	run "$HULL" pod rm default_web_1
	[ "$status" -ne 0 ]
	kill "$LIAR"
	# A supervisor that is one, but of a directory that is another program's.
	run "$HULL" --root "$WORK/log" pod rm --dead
	[ -e "$WORK/log/pods/default_web_1/0.log" ]
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

@test "a working directory behind a descriptor of the agent's leads nowhere" {
	start_sleeper
	for fd in $(seq 3 24); do
		run hull exec --cwd "/proc/self/fd/$fd" "$ID" ls / </dev/null
		[ "$status" -ne 0 ]
		[[ "$output" != *init* ]]
		run hull exec --cwd "/proc/self/fd/$fd/../../.." "$ID" ls </dev/null
		[[ "$output" != *init* ]]
	done
	hull delete --force "$ID"
	# The first program of a container, too.
	for fd in 4 5 6 7 8; do
		config ".process.cwd = \"/proc/self/fd/$fd\""
		run hull run --bundle "$BUNDLE" "$ID"
		[ "$status" -ne 0 ]
		[[ "$output" == *cwd* || "$output" == *mkdir* ]]
	done
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
