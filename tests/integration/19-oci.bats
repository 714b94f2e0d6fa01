#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/oci.md says of config.json and no other file of tests shows: hooks on either side of the VM's border.

bats_require_minimum_version 1.5.0
load lib.bash
load runc.bash
setup() { setup_hull; }
teardown() {
	umount "$WORK/dir/sub" 2>/dev/null || true
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

@test "hooks: one that supplies the program" {
	hook createContainer 'cp bin/busybox bin/busybox-supplied'
	hooks createContainer
	config '.process.args = ["busybox-supplied", "echo", "here"]'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = here ]

	# One that does not, where runc would fail create.
	config '.process.args = ["other"]'
	run -127 hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 127 ]
	[[ "$output" == *'exec: "other": executable file not found in $PATH'* ]]
	assert_no_traces
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
	# Some go with others.
	xargs kill -9 <"$(group memory "$path")/cgroup.procs" || true
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
	config '.linux.cgroupsPath = $p + "/pause" | .annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": $id} | .linux.resources.cpu = {shares: 2}' --arg p "$top" --arg id "$ID"
	start_sleeper
	# A pause that wants nothing does not speak for the pod's VM.
	[ "$(cat "$(group cpu "$top/pause")"/cpu.{shares,weight} 2>/dev/null)" = "$([ -d /sys/fs/cgroup/memory ] && echo 1024 || echo 100)" ]
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

# ---- process

@test "process: scheduler, ioPriority; execCPUAffinity with exec" {
	config '.process.scheduler = {policy: "SCHED_FIFO", priority: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"]}
		| .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6} | .process.execCPUAffinity = {initial: "0", final: "0"}'
	# Of proc(5), stat: rt_priority and policy, in the low bits; behind the name.
	args sh -c 'sed "s/.*) //" /proc/1/stat | cut -d" " -f38,39; ionice -p 1; sleep 1000'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 10 grep -q prio "$WORK/out"
	[ "$(cat "$WORK/out")" = "7 1
best-effort: prio 6" ]
	run -0 hull exec "$ID" grep Cpus_allowed_list /proc/self/status
	[ "$output" = $'Cpus_allowed_list:\t0' ]
	hull delete --force "$ID"
	config '.process.scheduler = {policy: "SCHED_BATCH", nice: 5}'
	args sh -c 'sed "s/.*) //" /proc/1/stat | cut -d" " -f17,39'
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = "5 3" ]
}

@test "process: all five capability sets, of the container and of exec --cap" {
	config '.process.capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID"], permitted: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"],
		effective: ["CAP_KILL"], inheritable: ["CAP_KILL", "CAP_CHOWN"], ambient: ["CAP_KILL"]}'
	args sleep 1000
	start_sleeper
	args sleep 1000
	runc_sleeper
	for who in 0:0 1000:1000; do
		EXEC_ERRORS='' exec_same_as_runc --user "$who" -- grep ^Cap /proc/self/status </dev/null
		EXEC_ERRORS='' exec_same_as_runc --user "$who" --cap CAP_NET_RAW -- grep ^Cap /proc/self/status </dev/null
	done
	exec_same_as_runc -- sh -c 'grep ^Cap /proc/1/status' </dev/null
}

@test "process: personality" {
	config '.linux.personality = {domain: "LINUX32"}'
	args uname -m
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = i686 ]
}

@test "process: consoleSize is the terminal's first size" {
	config '.process.terminal = true | .process.consoleSize = {height: 33, width: 111}'
	args stty size
	cat >"$WORK/console.py" <<'PY'
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
c, _ = s.accept()
_, anc, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(4))
fd = array.array("i", anc[0][2])[0]
out = b""
try:
    while part := os.read(fd, 4096):
        out += part
except OSError:
    pass
sys.stdout.write(out.decode().strip())
PY
	timeout 60 python3 "$WORK/console.py" "$WORK/console" >"$WORK/out" 3>&- &
	eventually 5 test -S "$WORK/console"
	hull run -d --console-socket "$WORK/console" --bundle "$BUNDLE" "$ID"
	wait $!
	[ "$(cat "$WORK/out")" = "33 111" ]
}

# ---- namespaces

@test "namespaces: time offsets" {
	config '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 100000, nanosecs: 5}, monotonic: {secs: -3}}'
	args sh -c 'cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets'
	run hull run --bundle "$BUNDLE" "$ID"
	# A negative offset beyond the guest's short life is the kernel's to refuse.
	if [ "$status" -ne 0 ]; then
		config '.linux.timeOffsets.monotonic = {secs: 3}'
		run -0 hull run --bundle "$BUNDLE" "$ID"
	fi
	[ "${lines[0]}" -ge 100000 ]
	[[ "${lines[2]}" =~ ^boottime\ +100000\ +5$ ]]
}

@test "namespaces: those of the host are refused, whether by absence or by path" {
	args true
	config 'del(.hostname)'
	for ns in pid ipc uts network mount; do
		cp "$BUNDLE/config.json" "$WORK/config.json"
		config ".linux.namespaces |= map(select(.type != \"$ns\"))"
		run ! hull create --bundle "$BUNDLE" "$ID"
		[[ "$output" == *"linux.namespaces: no $ns namespace"* ]]
		cp "$WORK/config.json" "$BUNDLE/config.json"
	done
	config '(.linux.namespaces[] | select(.type == "network")).path = "/proc/1/ns/net"'
	run ! hull create --bundle "$BUNDLE" "$ID"
	[[ "$output" == *"linux.namespaces: network: /proc/1/ns/net"* ]]
}

# ---- mounts

@test "mounts: options of access time, recursive attributes and propagation as runc sets them" {
	mkdir -p "$WORK/dir/sub" "$BUNDLE/rootfs/m"
	mount -t tmpfs tmpfs "$WORK/dir/sub"
	echo file >"$WORK/dir/sub/file"
	cp "$BUNDLE/rootfs/bin/busybox" "$WORK/dir/sub/true"
	config '.root.readonly = false | .linux.rootfsPropagation = "rslave" | .mounts += ([
		["/m/noatime", "bind", "noatime"], ["/m/nodiratime", "bind", "nodiratime"], ["/m/relatime", "bind", "relatime"],
		["/m/strictatime", "bind", "strictatime"], ["/m/strict2", "bind", "ro", "strictatime", "nodiratime"], ["/m/nosuid", "bind", "nosuid"], ["/m/nodev", "bind", "nodev"],
		["/m/noexec", "bind", "noexec"], ["/m/all", "bind", "ro", "nosuid", "nodev", "noexec"], ["/m/last", "bind", "ro", "rw", "noexec", "exec"],
		["/m/flat", "rbind", "ro"], ["/m/rro", "rbind", "rro"], ["/m/rnoexec", "rbind", "rnoexec", "rnosuid", "rnodev"],
		["/m/rnoatime", "rbind", "rnoatime"], ["/m/private", "bind", "rprivate"],
		["/m/unbindable", "bind", "unbindable"]]
		| map({destination: .[0], type: "bind", source: ($w + "/dir"), options: .[1:]})
		+ [{destination: "/m/shared", type: "tmpfs", source: "tmpfs", options: ["rshared"]}])' --arg w "$WORK"
	# Without what the source's file system brings along; of propagation the kind, not the number. What is mounted below a source is not a
	# mount of its own in the guest: "ro" covers it, too.
	probe <<'SH'
awk '$5 ~ "^/m/[^/]*$" { r = $6; p = ""; for (i = 7; $i != "-"; i++) { split($i, a, ":"); p = p " " a[1] } gsub(/,relatime/, "", r); print $5, r, p }' /proc/self/mountinfo
(echo x >>/m/rro/sub/file) 2>/dev/null && echo rro wrote
/m/rnoexec/sub/true 2>/dev/null; echo $?
awk '$5 == "/" { p = ""; for (i = 7; $i != "-"; i++) { split($i, a, ":"); p = p " " a[1] } print "root" p }' /proc/self/mountinfo
SH
	same_as_runc
	seen 126 "/m/shared rw  shared" "/m/private rw "
	[[ "$output" != *"rro wrote"* ]]
}

@test "mounts: mqueue, cgroup read-only and writable, tmpfs with size and mode, a mount over a symbolic link" {
	mkdir "$BUNDLE/rootfs/real"
	ln -s /real "$BUNDLE/rootfs/link"
	config '.process.capabilities |= map_values(. + ["CAP_DAC_OVERRIDE"]) | .mounts |= map(if .type == "cgroup" then .options -= ["ro"] else . end)
		| .mounts += [{destination: "/link/t", type: "tmpfs", source: "tmpfs", options: ["size=1m", "mode=1730", "nr_inodes=100"]}]'
	args sh -c 'mkdir /sys/fs/cgroup/own && echo own; stat -c "%a %n" /real/t; df -k /real/t | tail -n1 | tr -s " " | cut -d" " -f2; df -i /real/t | tail -n1 | tr -s " " | cut -d" " -f2; grep -c "^mqueue /dev/mqueue mqueue" /proc/mounts'
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = "own
1730 /real/t
1024
100
1" ]
}

@test "mounts: what the VM cannot do is refused by name" {
	refused_mount() {
		cp "$BUNDLE/config.json" "$WORK/config.json"
		config ".mounts += [$2]"
		run ! hull create --bundle "$BUNDLE" "$ID"
		[[ "$output" =~ mounts\[[0-9]+\].*$1 ]] || { echo "$output"; return 1; }
		cp "$WORK/config.json" "$BUNDLE/config.json"
	}
	refused_mount 'id-mapped' '{destination: "/x", type: "bind", source: "/tmp", options: ["bind", "idmap"], uidMappings: [{containerID: 0, hostID: 1000, size: 1}], gidMappings: [{containerID: 0, hostID: 1000, size: 1}]}'
	refused_mount 'overlay' '{destination: "/x", type: "overlay", source: "overlay", options: ["lowerdir=/tmp"]}'
	refused_mount 'rshared' '{destination: "/x", type: "bind", source: "/tmp", options: ["rbind", "rshared"]}'
	refused_mount 'No such file' '{destination: "/x", type: "bind", source: "/no/such", options: ["bind"]}'
}

# ---- linux

@test "seccomp: every action, comparison, errno and architecture as runc" {
	config '.root.readonly = false | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], syscalls: [
		{names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS"}, {names: ["setdomainname"], action: "SCMP_ACT_KILL_THREAD"},
		{names: ["sync"], action: "SCMP_ACT_TRAP"}, {names: ["acct"], action: "SCMP_ACT_TRACE"}, {names: ["mkdir", "mkdirat"], action: "SCMP_ACT_LOG"},
		{names: ["chroot"], action: "SCMP_ACT_ERRNO"}, {names: ["umount2"], action: "SCMP_ACT_ERRNO", errnoRet: 38},
		{names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 11, args: [{index: 1, value: 10, op: "SCMP_CMP_EQ"}]},
		{names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 12, args: [{index: 1, value: 40, op: "SCMP_CMP_GE"}]}]}'
	probe <<'SH'
hostname x; echo "kill process $?"
sync; echo "trap $?"
mkdir /tmp/logged && echo logged
chroot / true; echo "errno $?"; umount /proc; kill -10 1; kill -42 1; kill -0 1 && echo others
SH
	same_as_runc
	seen "kill process 159" "trap 159" logged others
	config '.linux.seccomp |= . + {defaultErrnoRet: 1, defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]} | del(.linux.seccomp.defaultErrnoRet)'
	args sh -c 'hostname x; echo $?'
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[[ "$output" == *159 ]]
}

@test "resources: burst, idle, huge pages, swap and what only v1 knew" {
	config '.linux.resources |= . + {cpu: {quota: 50000, period: 100000, burst: 20000}, hugepageLimits: [{pageSize: "2MB", limit: 4194304}],
		memory: {limit: 67108864, swap: 67108864, kernel: 1000, swappiness: 60}, network: {classID: 7}, unified: {"memory.low": "1048576"}}'
	args sh -c 'cd /sys/fs/cgroup; cat cpu.max cpu.max.burst memory.max memory.swap.max memory.low; [ ! -e hugetlb.2MB.max ] || cat hugetlb.2MB.max'
	run -0 hull --log-level info run --bundle "$BUNDLE" "$ID"
	seen "50000 100000" 20000 67108864 0 1048576 4194304
	[[ "$output" == *"linux.resources.memory.kernel has no effect"* && "$output" == *"linux.resources.network has no effect"* ]]
	config '.linux.resources = {cpu: {idle: 1}}'
	args cat /sys/fs/cgroup/cpu.idle
	run -0 hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = 1 ]
}

@test "linux: what has no meaning in a VM is refused or noted by name" {
	args true
	refused_linux() {
		cp "$BUNDLE/config.json" "$WORK/config.json"
		config "$1"
		run ! hull create --bundle "$BUNDLE" "$ID"
		[[ "$output" == *"$2"* ]] || { echo "$output"; return 1; }
		cp "$WORK/config.json" "$BUNDLE/config.json"
	}
	refused_linux '.linux.intelRdt = {closID: "x"}' linux.intelRdt
	refused_linux '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}' linux.memoryPolicy
	refused_linux '.linux.netDevices = {eth0: {}}' linux.netDevices
	refused_linux '.linux.resources.rdma = {mlx: {hcaHandles: 1}}' linux.resources.rdma
	refused_linux '.linux.sysctl = {"kernel.core_pattern": "|/x"}' 'linux.sysctl["kernel.core_pattern"]'
	refused_linux '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["read"], action: "SCMP_ACT_NOTIFY"}]}' SCMP_ACT_NOTIFY
	refused_linux '.linux.nonsense = 1' linux.nonsense
	refused_linux '.ociVersion = "2.0.0"' ociVersion
	config '.process.apparmorProfile = "docker-default" | .process.selinuxLabel = "a:b:c:d" | .linux.mountLabel = "a:b:c:d" | .ociVersion = "1.3.0-dev" | .vm = {} | .unknown = 1'
	run -0 hull --log-level info run --bundle "$BUNDLE" "$ID"
	for field in process.apparmorProfile process.selinuxLabel linux.mountLabel; do
		[[ "$output" == *"config.json: $field has no effect in a VM and is ignored"* ]]
	done
}

# ---- the table itself

@test "docs/oci.md: each row names a test that exists" {
	local root rows=0 line cell item
	root=$(dirname "$(dirname "$BATS_TEST_DIRNAME")")
	while IFS= read -r line; do
		cell=$(sed 's/.*| \(.*\) |$/\1/' <<<"$line")
		[ "$cell" != below ] || continue
		rows=$((rows + 1))
		while IFS= read -r item; do
			case $item in
			"unit "*)
				grep -qw -- "${item##* }" "$root/tests/unit/test_$(cut -d' ' -f2 <<<"$item").c" ;;
			[0-9][0-9])
				compgen -G "$BATS_TEST_DIRNAME/$item-*.bats" >/dev/null ;;
			[0-9][0-9]" "*)
				grep -qF -- "@test \"${item#* }" "$BATS_TEST_DIRNAME/${item%% *}"-*.bats ;;
			*)
				false ;;
			esac || { echo "no such test: \"$item\" in: $line"; return 1; }
		done < <(sed 's/; /\n/g' <<<"$cell")
	done < <(awk '/^\| field \| where/ { on = 1; getline; next } /^$/ { on = 0 } on' "$root/docs/oci.md")
	[ "$rows" -ge 70 ]
}

# ---- verbs, side by side with runc

# both VERB…: the same call of either, in $WORK/{hull,runc}.{out,err}; the exit codes agree: 0 with 0, failure with failure.
both() {
	local hull_code=0 runc_code=0
	hull "$@" </dev/null >"$WORK/hull.out" 2>"$WORK/hull.err" 3>&- || hull_code=$?
	timeout -k 5 60 runc --root "$WORK/runc" "$@" </dev/null >"$WORK/runc.out" 2>"$WORK/runc.err" 3>&- || runc_code=$?
	[ $((hull_code != 0)) -eq $((runc_code != 0)) ] || {
		echo "$*: runc $runc_code, hull $hull_code" >&2
		cat "$WORK/runc.err" "$WORK/hull.err" >&2
		return 1
	}
	code=$hull_code
}

# Both failed, and say the same, up to the verb that runc puts in front: engines look for these words.
same_error() {
	[ "$code" -ne 0 ]
	diff -u --label runc --label hull <(message "$WORK/runc.err" | sed 's/^[a-z]* failed: //') \
		<(message "$WORK/hull.err" | sed 's/^[a-z]* failed: //') >&2
}

# The same keys and types: same_shape [FILTER]
same_shape() {
	local shape='[paths(scalars) as $p | ($p | map(if type == "number" then "[]" else . end) | join(".")) + ":" + (getpath($p) | type)] | unique | .[]'
	diff -u --label runc --label hull <(jq -r "${1:-.} | $shape" "$WORK/runc.out") <(jq -r "${1:-.} | $shape" "$WORK/hull.out") >&2
}

@test "verbs as runc's: what is not there" {
	require_runc
	for verb in state start kill delete pause resume ps "events --stats" "exec x"; do
		set -- $verb
		[ "$verb" != "exec x" ] || { both exec "$ID" true; same_error; continue; }
		both "$@" "$ID"
		same_error
		[[ "$(cat "$WORK/hull.err")" == *"container does not exist"* ]]
	done
	both delete --force "$ID"
	[ "$code" -eq 0 ]
	both list -q
	[ ! -s "$WORK/hull.out" ] && [ ! -s "$WORK/runc.out" ]
	both list -f json
	diff <(jq -c . "$WORK/runc.out") <(jq -c . "$WORK/hull.out")
}

@test "verbs as runc's: the states created, running, paused, stopped" {
	require_runc
	args sleep 1000
	both create --bundle "$BUNDLE" "$ID"
	[ "$code" -eq 0 ]
	both create --bundle "$BUNDLE" "$ID"
	same_error
	for step in created running paused stopped; do
		case $step in
		running) both start "$ID"; [ "$code" -eq 0 ] ;;
		paused) both pause "$ID"; [ "$code" -eq 0 ] ;;
		stopped)
			both resume "$ID"
			[ "$code" -eq 0 ]
			both kill "$ID" KILL
			[ "$code" -eq 0 ]
			eventually 10 is_status "$ID" stopped
			eventually 10 eval '[ "$(runc --root "$WORK/runc" state "$ID" | jq -r .status)" = stopped ]' ;;
		esac
		both state "$ID"
		same_shape
		[ "$(jq -r .status "$WORK/hull.out") $(jq -r .status "$WORK/runc.out")" = "$step $step" ]
		both list -f json
		same_shape '.[0]'
		both list -q
		diff "$WORK/runc.out" "$WORK/hull.out"
		# What each state does not allow.
		case $step in
		created) both resume "$ID"; [ "$code" -ne 0 ] ;;
		running)
			both start "$ID"
			same_error
			both delete "$ID"
			same_error
			both resume "$ID"
			[ "$code" -ne 0 ]
			both ps -f json "$ID"
			[ "$(jq -c 'map(type)' "$WORK/hull.out") $(jq -c 'map(type)' "$WORK/runc.out")" = '["number"] ["number"]' ]
			both kill "$ID" 0
			[ "$code" -eq 0 ]
			both update --pids-limit 50 "$ID"
			[ "$code" -eq 0 ]
			both update --cpuset-cpus 9999 "$ID"
			[ "$code" -ne 0 ]
			both kill "$ID" NOSUCH
			[ "$code" -ne 0 ]
			both exec --process "$WORK/nosuch" "$ID"
			[ "$code" -ne 0 ]
			both events --stats "$ID"
			for field in type id data.cpu.usage.total data.memory.usage.usage data.pids.current; do
				[ "$(jq -r ".$field | type" "$WORK/hull.out")" = "$(jq -r ".$field | type" "$WORK/runc.out")" ]
			done ;;
		paused)
			both pause "$ID"
			[ "$code" -ne 0 ]
			both exec "$ID" true
			[ "$code" -ne 0 ]
			[[ "$(cat "$WORK/hull.err")" == *"cannot exec in a paused container"* && "$(cat "$WORK/runc.err")" == *"cannot exec in a paused container"* ]] ;;
		stopped)
			for verb in start pause resume; do
				both $verb "$ID"
				[ "$code" -ne 0 ]
			done
			both exec "$ID" true
			same_error
			both kill "$ID" TERM
			same_error
			both kill --all "$ID" TERM
			both delete "$ID"
			[ "$code" -eq 0 ] ;;
		esac
	done
}

@test "verbs as runc's: kill and delete of a created container, features, spec" {
	require_runc
	args sleep 1000
	both create --bundle "$BUNDLE" "$ID"
	both kill "$ID" KILL
	[ "$code" -eq 0 ]
	eventually 10 is_status "$ID" stopped
	eventually 10 eval '[ "$(runc --root "$WORK/runc" state "$ID" | jq -r .status)" = stopped ]'
	both delete "$ID"
	[ "$code" -eq 0 ]
	both create --bundle "$BUNDLE" "$ID"
	both delete --force "$ID"
	[ "$code" -eq 0 ]

	both features
	for field in ociVersionMin ociVersionMax hooks mountOptions linux.namespaces linux.capabilities linux.cgroup linux.seccomp; do
		[ "$(jq -r ".$field | type" "$WORK/hull.out")" = "$(jq -r ".$field | type" "$WORK/runc.out")" ] || { echo "$field"; return 1; }
	done
	jq -e '(.hooks | length) == 6' "$WORK/hull.out"
	mkdir "$WORK/a" "$WORK/b"
	(cd "$WORK/a" && "$HULL" spec)
	(cd "$WORK/b" && runc spec)
	diff <(jq -S 'del(.ociVersion, .process.terminal)' "$WORK/b/config.json") <(jq -S 'del(.ociVersion, .process.terminal)' "$WORK/a/config.json")
	run ! hull --root "$ROOT" spec --bundle "$WORK/a"
}
