#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/oci.md says of config.json and no other file of tests shows: hooks on either side of the VM's border.

bats_require_minimum_version 1.5.0
load lib.bash
load runc.bash
setup() { setup_hull; }
teardown() {
	runc_gone
	teardown_hull
}

# ---- hooks

# hook KIND [LINES]: a script that notes its kind in $WORK/order and keeps its state, after LINES.
hook() {
	printf '#!/bin/sh\n%s\necho "%s" >>"%s/order"\ncat >"%s/state.%s"\n' "${2:-}" "$1" "$WORK" "$WORK" "$1" >"$WORK/$1"
	chmod +x "$WORK/$1"
}

order() {
	tr '\n' ' ' <"$WORK/order"
}

# hooks KIND…: each kind's script as the configuration's hook of that kind.
hooks() {
	for h in "$@"; do
		config '.hooks[$h] += [{path: ($w + "/" + $h)}]' --arg h "$h" --arg w "$WORK"
	done
}

@test "hooks: createContainer runs after createRuntime, in the container's namespaces on the host" {
	mkdir "$WORK/volume" && echo data >"$WORK/volume/file"
	hook prestart
	hook createRuntime
	hook createContainer 'for ns in mnt net ipc uts pid; do readlink /proc/self/ns/$ns; done >'"$WORK"'/ns
pwd >'"$WORK"'/cwd; cat volume/file >'"$WORK"'/volume.seen; ls '"$WORK"'/bundle/config.json >'"$WORK"'/host.seen
echo written >written; mount -t tmpfs hooked mnt; echo hidden >mnt/hidden'
	hooks createContainer createRuntime prestart
	config '.root.readonly = true | .mounts += [{destination: "/volume", type: "bind", source: ($w + "/volume"), options: ["rbind", "ro"]}]' --arg w "$WORK"
	mkdir "$BUNDLE/rootfs/mnt"
	args sh -c 'cat /written; ls -A /mnt; grep -c hooked /proc/mounts; sleep 1000'
	hull create --bundle "$BUNDLE" --pid-file "$WORK/pid" "$ID" </dev/null >"$WORK/out" 2>&1
	[ "$(order)" = "prestart createRuntime createContainer " ]
	[ "$(cat "$WORK/cwd" "$WORK/volume.seen")" = "$BUNDLE/rootfs
data" ]
	[ "$(cat "$WORK/host.seen")" = "$BUNDLE/config.json" ]
	jq -e --argjson pid "$(cat "$WORK/pid")" '.pid == $pid and .status == "creating"' "$WORK/state.createContainer"

	# The stand-in's namespaces, but for pid, and with what the hook mounted.
	mapfile -t ns <"$WORK/ns"
	for i in mnt:0 net:1 ipc:2 uts:3; do
		[ "$(readlink "/proc/$(cat "$WORK/pid")/ns/${i%:*}")" = "${ns[${i#*:}]}" ]
		[ "$(readlink "/proc/self/ns/${i%:*}")" != "${ns[${i#*:}]}" ]
	done
	[ "$(readlink /proc/self/ns/pid)" = "${ns[4]}" ]
	[ "$(cat "/proc/$(cat "$WORK/pid")/root/mnt/hidden")" = hidden ]
	[ ! -e "$BUNDLE/rootfs/mnt/hidden" ]

	# In the guest: the file, and not the mount.
	hull start "$ID"
	eventually 10 grep -q 0 "$WORK/out"
	[ "$(cat "$WORK/out")" = "written
0" ]
}

@test "hooks: createContainer under run in the foreground, which has no stand-in" {
	hook createContainer 'echo of the hook >written; readlink /proc/self/ns/mnt >'"$WORK/ns"
	hooks createContainer
	args cat /written
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = "of the hook" ]
	[ "$(cat "$WORK/ns")" != "$(readlink /proc/self/ns/mnt)" ]
}

@test "hooks: a createContainer hook that fails or hangs undoes the creation" {
	hook createContainer 'echo "went wrong" >&2; exit 9'
	hook poststop
	hooks createContainer poststop
	run hull create --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"error running createContainer hook #0: $WORK/createContainer: exit status 9, output: went wrong"* ]]
	[ "$(order)" = "poststop " ]
	assert_no_traces

	hook createContainer 'sleep 100'
	config '.hooks.createContainer[0].timeout = 1'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"createContainer hook #0: $WORK/createContainer: still running after 1 s"* ]]
	assert_no_traces
	run pgrep -f "$WORK/createContainer"
	[ "$status" -eq 1 ]
}

@test "hooks: startContainer fails start; poststart fails start and ends the container; poststop only warns" {
	config '.hooks = {startContainer: [{path: "/bin/false"}]}'
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	run hull start "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *hook*"/bin/false"* ]]
	hull delete --force "$ID"

	hook poststart 'echo "too late"; exit 3'
	hook poststop 'exit 4'
	printf '#!/bin/sh\necho "second poststop" >>%s/order\n' "$WORK" >"$WORK/second"
	chmod +x "$WORK/second"
	config 'del(.hooks)'
	hooks poststart poststop
	config '.hooks.poststop += [{path: ($w + "/second")}]' --arg w "$WORK"
	args sleep 1000
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	run hull start "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"error running poststart hook #0: $WORK/poststart: exit status 3, output: too late"* ]]
	eventually 10 is_status "$ID" stopped
	run hull delete "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"error running poststop hook #0"*"exit status 4"* ]]
	[ "$(order)" = "second poststop " ]
	run hull state "$ID"
	[[ "$output" == *"does not exist"* ]]
}

# ---- the control group on the host

# The group of that path in the controller's hierarchy, or in the only one: group CONTROLLER PATH
group() {
	[ ! -d "/sys/fs/cgroup/$1" ] || { echo "/sys/fs/cgroup/$1$2"; return; }
	echo "/sys/fs/cgroup$2"
}

groups_left() {
	find /sys/fs/cgroup -path "*$1*" -print -quit | grep -q .
}

# in_group PID PATH
in_group() {
	grep -Eq "^[0-9]+:(memory)?:$2\$" "/proc/$1/cgroup"
}

@test "cgroupsPath: the VM's processes and the stand-in are in it, and it goes with the container" {
	local top="/hull-bats-$$" path
	path=$top/pod/$ID
	config '.linux.cgroupsPath = $p' --arg p "$path"
	start_sleeper
	for who in standIn supervisor; do in_group "$(pid_of "$ID" ".$who")" "$path"; done
	for who in vmmPid virtiofsdPid; do in_group "$(hull pod inspect "$ID" | jq ".$who")" "$path"; done
	[ "$(wc -l <"$(group memory "$path")/cgroup.procs")" -ge 5 ]
	hull exec -d --pid-file "$WORK/exec.pid" "$ID" sleep 100
	in_group "$(cat "$WORK/exec.pid")" "$path"
	hull delete --force "$ID"
	run ! groups_left "$top"

	# All of it killed at once, so that nobody can clean up but delete.
	start_sleeper
	xargs kill -9 <"$(group memory "$path")/cgroup.procs"
	eventually 5 is_status "$ID" stopped
	groups_left "$path"
	hull delete "$ID"
	run ! groups_left "$top"

	# A creation that fails leaves none.
	args /no/such/program
	run ! hull create --bundle "$BUNDLE" "$ID"
	run ! groups_left "$top"
}

@test "cgroupsPath: what Hull did not make stays; a relative path and none; a root is refused" {
	local top="/hull-bats-$$" dirs=() dir
	for dir in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -printf '%h\n'); do
		dirs+=("$dir$top")
	done
	mkdir "${dirs[@]}"
	config '.linux.cgroupsPath = $p' --arg p "$top"
	args true
	run -0 hull run --bundle "$BUNDLE" "$ID"
	rmdir "${dirs[@]}"

	config '.linux.cgroupsPath = $p' --arg p "hull-bats-$$/$ID"
	start_sleeper
	grep -Eq ":(memory)?:.*/hull-bats-$$/$ID\$" "/proc/$(pid_of "$ID" .standIn)/cgroup"
	hull delete --force "$ID"
	config 'del(.linux.cgroupsPath)'
	start_sleeper
	grep -Eq ":(memory)?:.*/hull-$ID\$" "/proc/$(pid_of "$ID" .standIn)/cgroup"
	hull delete --force "$ID"
	run ! groups_left "hull-bats-$$"
	run ! groups_left "hull-$ID"

	config '.linux.cgroupsPath = "/x/.."'
	run ! hull create --bundle "$BUNDLE" "$ID"
	[[ "$output" == *"linux.cgroupsPath"*"names a root"* ]]
}

@test "cgroupsPath: limits are the VM's and its own work's, and update carries over" {
	local path="/hull-bats-$$/$ID" v1=
	[ ! -d /sys/fs/cgroup/memory ] || v1=1
	value() { cat "$(group "$1" "$path")/$2"; }
	config '.linux.cgroupsPath = $p | .linux.resources |= . + {memory: {limit: 67108864}, cpu: {shares: 512, quota: 20000}, pids: {limit: 30}}' --arg p "$path"
	start_sleeper
	vm=$(hull pod inspect "$ID" | jq .memoryBytes)
	[ "$(value memory "$([ -n "$v1" ] && echo memory.limit_in_bytes || echo memory.max)")" -ge $((vm + (128 << 20))) ]
	[ "$(value pids pids.max)" -eq 542 ]
	if [ -n "$v1" ]; then
		[ "$(value cpu cpu.shares) $(value cpu cpu.cfs_quota_us)" = "512 45000" ]
	else
		[ "$(value cpu cpu.weight) $(value cpu cpu.max)" = "20 45000 100000" ]
	fi
	# The container has its own limits, in the guest.
	[ "$(hull exec "$ID" sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max' | tr '\n' ' ')" = "67108864 30 20000 100000 " ]
	hull update --pids-limit 40 --cpu-quota 50000 "$ID"
	[ "$(value pids pids.max)" -eq 552 ]
	[ "$(value cpu "$([ -n "$v1" ] && echo cpu.cfs_quota_us || echo cpu.max)" | cut -d' ' -f1)" = 75000 ]
}

@test "cgroupsPath: a member of a pod has its stand-in there, and no limit that only the pod can keep" {
	local top="/hull-bats-$$"
	config '.linux.cgroupsPath = $p + "/pause" | .annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": $id}' --arg p "$top" --arg id "$ID"
	start_sleeper
	config '.linux.cgroupsPath = $p + "/member" | .annotations["io.kubernetes.cri.container-type"] = "container" | .linux.resources.memory = {limit: 33554432}' --arg p "$top"
	start_sleeper "$ID-m"
	[ "$(cat "$(group memory "$top/member")/cgroup.procs")" = "$(pid_of "$ID-m" .standIn)" ]
	[ "$(wc -l <"$(group memory "$top/pause")/cgroup.procs")" -ge 5 ]
	hull delete --force "$ID-m"
	run ! groups_left "$top/member"

	config '.linux.resources.blockIO = {throttleReadBpsDevice: [{major: 8, minor: 0, rate: 1000}]}'
	run ! hull create --bundle "$BUNDLE" "$ID-m"
	[[ "$output" == *"linux.resources.blockIO.throttleReadBpsDevice: not supported for a container that joins a pod"* ]]
	hull delete --force "$ID"
	run ! groups_left "$top"
}

@test "blockIO: a throttle of a host's disk acts on what the container reads from it" {
	local disk
	disk=$(stat -c %Hd:%Ld "$BUNDLE")
	[ -e "/sys/dev/block/$disk" ] || skip "the bundle is not on a disk"
	[ -e /sys/fs/cgroup/blkio ] || grep -qw io /sys/fs/cgroup/cgroup.controllers || skip "no such controller"
	dd if=/dev/urandom of="$BUNDLE/rootfs/big" bs=1M count=4 status=none
	sync
	dd if="$BUNDLE/rootfs/big" iflag=nocache count=0 status=none
	config '.linux.resources.blockIO = {throttleReadBpsDevice: [{major: $m, minor: $n, rate: 1048576}]}' \
		--argjson m "${disk%:*}" --argjson n "${disk#*:}"
	args sh -c 'read a b </proc/uptime; cat /big >/dev/null; read c d </proc/uptime; echo $((${c%.*} - ${a%.*}))'
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[ "$output" -ge 2 ]

	# A device that the host does not have is an error by name.
	config '.linux.resources.blockIO.throttleReadBpsDevice[0] |= (.major = 8 | .minor = 65535)'
	run ! hull create --bundle "$BUNDLE" "$ID"
	[[ "$output" == *"linux.resources.blockIO.throttleReadBpsDevice: write"*"No such device"* ]]
}

# ---- further descriptors

@test "preserve-fds: pipes and files arrive as 3, 4, …, and their ends are carried both ways" {
	echo "from a file" >"$WORK/in"
	mkfifo "$WORK/fifo"
	args sh -c 'ls /proc/self/fd | tr "\n" " "; head -n1 <&3; echo "to a pipe" >&4; cat <&5; echo last >&6'
	(sleep 1; echo "from a fifo"; sleep 1; echo more) >"$WORK/fifo" 3>&- &
	run -0 timeout 60 bash -c 'hull=$1 root=$2 bundle=$3 id=$4 work=$5
		{ "$hull" --root "$root" run --preserve-fds 4 --bundle "$bundle" "$id" 3<"$work/in" 5<"$work/fifo" 6>>"$work/out" 7<"$work/in" </dev/null >"$work/stdout"; } 4>&1 | cat' \
		- "$HULL" "$ROOT" "$BUNDLE" "$ID" "$WORK"
	[ "$output" = "to a pipe" ]
	[ "$(cat "$WORK/out")" = last ]
	# Seven would be there, too, if it had been asked for. The last one is ls's own.
	[ "$(cat "$WORK/stdout")" = "0 1 2 3 4 5 6 7 from a file
from a fifo
more" ]
}

@test "preserve-fds: much data out, in, and by exec; a reader that goes away is a broken pipe" {
	start_sleeper
	run -0 bash -c '"$1" --root "$2" exec --preserve-fds 1 "$3" sh -c "dd if=/dev/zero bs=64k count=320 >&3 2>/dev/null" 3>&1 >/dev/null </dev/null | wc -c' - "$HULL" "$ROOT" "$ID"
	[ "$output" -eq 20971520 ]
	run -0 bash -c 'dd if=/dev/zero bs=64k count=320 2>/dev/null | "$1" --root "$2" exec --preserve-fds 1 "$3" sh -c "wc -c <&3" 3<&0 </dev/null' - "$HULL" "$ROOT" "$ID"
	[ "$output" -eq 20971520 ]
	run -0 bash -c '"$1" --root "$2" exec --preserve-fds 1 "$3" sh -c "trap : PIPE; yes >&3 2>/dev/null; echo \$?" 3> >(head -n 2 >/dev/null) </dev/null' - "$HULL" "$ROOT" "$ID"
	[ "$output" -ne 0 ]
}

@test "preserve-fds: a connected socket goes both ways, each with its own end" {
	start_sleeper
	run -0 timeout 60 python3 - "$HULL" "$ROOT" "$ID" <<'PY'
import os, socket, subprocess, sys
hull, root, cid = sys.argv[1:]
ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), 3, inheritable=True)
p = subprocess.Popen([hull, "--root", root, "exec", "--preserve-fds", "1", cid, "sh", "-c", "n=$(wc -c <&3); echo got $n >&3; exec 3>&-; sleep 1"],
                     close_fds=False, stdin=subprocess.DEVNULL)
theirs.close()
os.close(3)
ours.sendall(b"x" * 100000)
ours.shutdown(socket.SHUT_WR)          # the container reads an end and can still answer
answer = b""
while part := ours.recv(4096):
    answer += part
print(answer.decode(), end="")
sys.exit(p.wait())
PY
	[ "$output" = "got 100000" ]
}

@test "preserve-fds: what is no stream of bytes is refused by name" {
	args true
	# refused_fd WHAT PYTHON: the expression's descriptor as 3
	refused_fd() {
		run timeout 60 python3 - "$HULL" "$ROOT" "$BUNDLE" "$ID" "$WORK" <<PY
import ctypes, os, select, socket, subprocess, sys
hull, root, bundle, cid, work = sys.argv[1:]
kept = $2
fd = kept if isinstance(kept, int) else kept.fileno()
os.dup2(fd, 3, inheritable=True)
sys.exit(subprocess.call([hull, "--root", root, "create", "--preserve-fds", "1", "--bundle", bundle, cid], close_fds=False, stdin=subprocess.DEVNULL))
PY
		[ "$status" -ne 0 ]
		[[ "$output" == *"--preserve-fds: descriptor 3 is $1, which cannot be passed into a VM"* ]] || { echo "$output"; return 1; }
	}
	refused_fd "a listening socket" '(lambda s: (s.bind(work + "/s"), s.listen(), s)[2])(socket.socket(socket.AF_UNIX))'
	refused_fd "a socket that keeps the borders of messages" 'socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]'
	refused_fd "a directory" 'os.open(work, os.O_RDONLY)'
	refused_fd "a path that is not open for reading or writing" 'os.open(work, os.O_PATH)'
	refused_fd "a file that is open for reading and writing" 'os.open(work + "/f", os.O_RDWR | os.O_CREAT)'
	refused_fd "a kernel object without a stream of bytes" 'select.epoll()'
	run env LISTEN_FDS=1 sh -c 'export LISTEN_PID=$$; exec "$0" --root "$1" create --bundle "$2" "$3"' "$HULL" "$ROOT" "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"LISTEN_FDS: sockets on which the host listens cannot be passed into a VM"* ]]
	assert_no_traces
}
