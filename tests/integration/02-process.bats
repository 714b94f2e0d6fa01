#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container sees of its config.json: looked at from within, and compared with runc on the same bundle.

load lib.bash
load runc.bash
setup() { setup_hull; }
teardown() {
	umount "$WORK/dir/sub" 2>/dev/null || true
	teardown_hull
}

# ---- process

@test "process: user, groups, umask, environment, cwd, limits, oom score as runc sets them" {
	printf 'root:x:0:0::/root:/bin/sh\nwho:x:1000:1001::/home/who:/bin/sh\n' >"$BUNDLE/rootfs/etc/passwd"
	config '.root.readonly = false
		| .process.user = {uid: 1000, gid: 1001, umask: 23, additionalGids: [5, 2000]}
		| .process.env += ["EMPTY=", "SPACES=a  b", "LINES=x\ny", "UTF8=ünï→", "TERM=twice"]
		| .process.cwd = "/made/by the/runtime"
		| .process.oomScoreAdj = 321
		| .process.noNewPrivileges = false
		| .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}, {type: "RLIMIT_CORE", soft: 0, hard: 4096},
			{type: "RLIMIT_STACK", soft: 8388608, hard: 16777216}, {type: "RLIMIT_NPROC", soft: 77, hard: 88}]
		| .process.capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID"], permitted: ["CAP_KILL", "CAP_CHOWN"],
			effective: ["CAP_KILL"], inheritable: ["CAP_KILL", "CAP_CHOWN"], ambient: ["CAP_CHOWN"]}'
	probe <<'SH'
id -u; id -g; umask; pwd; stat -c '%a %u:%g %n' /made "/made/by the/runtime"
tr '\0' '\n' </proc/1/environ | sort
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|SigBlk)' /proc/self/status
grep -E 'core|open files|stack|processes' /proc/self/limits
cat /proc/self/oom_score_adj
ls /proc/self/fd | wc -l
cut -d' ' -f1,4-8 /proc/1/stat
SH
	same_as_runc
	[ "${lines[0]}" = 1000 ]
	[ "${lines[1]}" = 1001 ]
	[ "${lines[2]}" = 0027 ]
	[ "${lines[3]}" = "/made/by the/runtime" ]
	seen HOME=/home/who TERM=twice 'SPACES=a  b' UTF8=ünï→ 321 $'NoNewPrivs:\t0' $'Groups:\t5 2000 '
	seen $'CapInh:\t0000000000000021' $'CapPrm:\t0000000000000001' $'CapEff:\t0000000000000001'
	seen $'CapBnd:\t00000000000000a1' $'CapAmb:\t0000000000000001'
}

@test "process: root without capabilities, no new privileges, HOME given, empty and unknown" {
	config '.process.env += ["HOME="] | .process.user.umask = 0 | del(.process.capabilities) | .process.noNewPrivileges = true'
	probe <<'SH'
echo "$HOME"; umask
grep -E '^(Cap|NoNewPrivs)' /proc/self/status
chown 1 /root || echo no chown
SH
	same_as_runc
	[ "${lines[0]}" = /root ]
	[ "${lines[1]}" = 0000 ]
	seen $'CapBnd:\t0000000000000000' $'NoNewPrivs:\t1'
}

@test "process: arguments arrive byte for byte" {
	args sh -c 'for a; do printf "<%s>" "$a"; done; exec cat /proc/1/cmdline' 'zero arg' '' ' a  b ' $'line\nline\n' \
		'ünïcödé→𝄞' '$HOME `id` "quoted" \back' '*' "it's" --help -- $'\t\001\033[0m'
	same_as_runc
	[[ "$output" == '<>'* ]]
}

@test "process: many arguments and a large environment" {
	config '.process.args = ["sh", "-c", "echo $#; echo ${#BIG}; set | grep -c ^V"] + [range(2000) | tostring]
		| .process.env += ["BIG=" + ("x" * 100000)] + [range(500) | "V\(.)=\(.)"]'
	same_as_runc
	[ "$output" = $'1999\n100000\n500' ]
}

@test "process: oomScoreAdj below zero and limits above the host's" {
	config '.process.oomScoreAdj = -500 | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1048576, hard: 1048576}]'
	probe <<'SH'
cat /proc/self/oom_score_adj; ulimit -n
SH
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = $'-500\n1048576' ]
}

# ---- namespaces

@test "namespaces: /proc is the container's, the host name, domain name and sysctls are its own" {
	config '.hostname = "my-host.example" | .domainname = "my.domain"
		| .linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "22"}'
	probe <<'SH'
hostname; cat /proc/sys/kernel/domainname
cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max
tr '\0' ' ' </proc/1/cmdline; echo
echo pids: $(ls /proc | grep -c '^[0-9]*$')
cat /proc/self/cgroup | grep 0:: | tail -n1 >/tmp/x 2>/dev/null || true
for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n >/dev/null && echo ns $n; done
SH
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = my-host.example ]
	[ "${lines[1]}" = my.domain ]
	[ "${lines[2]} ${lines[3]} ${lines[4]}" = "1 1 22" ]
	[ "${lines[5]}" = "sh /probe " ]
	[ "${lines[6]}" = "pids: 3" ] || [ "${lines[6]}" = "pids: 4" ]
	[ "$(cat /proc/sys/kernel/domainname)" != my.domain ]
}

@test "namespaces: a user namespace with mappings" {
	chown -R 100000:200000 "$BUNDLE/rootfs"
	chmod 711 "$WORK" "$BUNDLE"
	config '.root.readonly = false | .linux.namespaces += [{type: "user"}] | del(.process.rlimits)
		| .mounts |= map(select(.type != "cgroup")) | .process.capabilities.effective += ["CAP_CHOWN", "CAP_SETUID"]
		| .process.capabilities.permitted += ["CAP_CHOWN", "CAP_SETUID"] | .process.capabilities.bounding += ["CAP_CHOWN", "CAP_SETUID"]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 500}, {containerID: 500, hostID: 300000, size: 10}]'
	probe <<'SH'
id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups
grep ^Cap /proc/self/status
stat -c '%u:%g %n' / /proc /dev/null /dev/pts /sys
echo x >/made; chown 5:505 /made; stat -c '%u:%g' /made
chown 1000:0 /made || echo no such id
mknod /node c 1 3 || echo no mknod
head -c 4 /dev/zero | od -An -tx1
echo 1 >/proc/sys/kernel/panic || echo no sysctl
SH
	same_as_runc
	seen 5:505 'no such id' 'no mknod'
	[ "$(stat -c %u:%g "$BUNDLE/rootfs/made")" = 100005:300005 ]
}

# ---- seccomp

@test "seccomp: an errno, a comparison of arguments, and death" {
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], syscalls: [
		{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28},
		{names: ["rmdir", "unlinkat", "no_such_call"], action: "SCMP_ACT_ERRNO"},
		{names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 16, args: [{index: 1, value: 10, op: "SCMP_CMP_EQ"}]},
		{names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 22, args: [{index: 1, value: 15, valueTwo: 15, op: "SCMP_CMP_MASKED_EQ"}]},
		{names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	probe <<'SH'
grep -E '^(Seccomp|NoNewPrivs)' /proc/self/status
mkdir /tmp/x; rmdir /tmp
kill -USR1 1; kill -0 1 && echo zero works; kill -15 1
sh -c 'hostname x'; echo "died $?"
SH
	same_as_runc
	seen $'Seccomp:\t2' 'zero works' 'died 159'
	[[ "$output" == *"No space left on device"* && "$output" == *"Operation not permitted"* && "$output" == *busy* ]]
}

@test "seccomp: a list of what is allowed, death by default; with and without no new privileges" {
	# What busybox needs is not known, so everything but a few calls is allowed in the shape of a default that kills.
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_KILL", syscalls: [{names: $names, action: "SCMP_ACT_ALLOW"}]}' --argjson names '[
		"read","write","open","openat","close","stat","fstat","lstat","newfstatat","mmap","mprotect","munmap","brk","rt_sigaction",
		"rt_sigprocmask","rt_sigreturn","ioctl","access","dup","dup2","fcntl","getpid","getppid","getuid","geteuid","getgid","getegid",
		"clone","fork","vfork","execve","exit","exit_group","wait4","arch_prctl","set_tid_address","set_robust_list","rseq","prlimit64",
		"readlink","getrandom","uname","getcwd","futex","poll","setuid","setgid","setgroups","setresuid","setresgid","chdir","prctl",
		"capset","capget","getdents64","sendfile","lseek","fchdir","statx","faccessat","faccessat2","close_range","pipe","pipe2","epoll_ctl",
		"epoll_pwait","nanosleep","clock_gettime","sched_yield","sigaltstack","tgkill","gettid","writev","recvfrom","sendto","sendmsg",
		"recvmsg","getsockopt","socket","madvise","epoll_create1","eventfd2","rt_sigtimedwait","clone3","unlinkat","umask","execveat","getppid"]'
	# Not compared: the Go runtime of runc itself dies of such filters.
	for nnp in true false; do
		config ".process.noNewPrivileges = $nnp"
		args sh -c 'echo alive; mkdir /tmp/x; echo "child $?"; exec mkdir /tmp/x'
		run hull run --bundle "$BUNDLE" "$ID"
		[ "$status" -eq 159 ]
		[[ "$output" == alive*"child 159"* ]]
	done
}

# ---- what is hidden, what is read-only, devices

@test "paths: masked and read-only, a read-only root, devices" {
	mkdir -p "$BUNDLE/rootfs/opt/secret/sub" "$BUNDLE/rootfs/opt/fixed"
	echo hidden >"$BUNDLE/rootfs/opt/file"
	echo hidden >"$BUNDLE/rootfs/opt/secret/sub/file"
	ln -s /opt/secret "$BUNDLE/rootfs/opt/link"
	mknod "$BUNDLE/rootfs/opt/block" b 7 0
	mknod "$BUNDLE/rootfs/opt/mem" c 1 1
	config '.linux.maskedPaths += ["/opt/file", "/opt/link", "/opt/missing"]
		| .linux.readonlyPaths += ["/opt/fixed", "/dev/shm", "/nowhere"]
		| .process.capabilities.bounding += ["CAP_MKNOD"] | .process.capabilities.effective += ["CAP_MKNOD"]
		| .process.capabilities.permitted += ["CAP_MKNOD"]
		| .linux.devices = [{path: "/dev/own", type: "c", major: 1, minor: 5, fileMode: 420, uid: 7, gid: 8},
			{path: "/dev/deep/pipe", type: "p", fileMode: 384, uid: 1, gid: 2},
			{path: "/dev/disk", type: "b", major: 7, minor: 0, fileMode: 432},
			{path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 292}]
		| .linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "r"}]'
	probe <<'SH'
for f in /dev/* /dev/deep/pipe; do [ $f = /dev/core ] || stat -c '%n %F %a %u:%g %t,%T' "$f"; done
for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done
cat /opt/file; ls -a /opt/secret; cat /opt/secret/sub/file
stat -c '%u:%g %F' /opt/secret /opt/file
touch /opt/secret/x; touch /opt/fixed/x; touch /dev/shm/x; touch /x; mkdir /opt/y
echo 1 >/proc/sys/kernel/panic
head -c 1 /proc/kcore 2>/dev/null | wc -c; ls /sys/firmware
head -c 3 /dev/own | od -An -tx1; head -c 2 /dev/zero | od -An -tx1
cat /dev/disk; cat /opt/block; cat /opt/mem; head -c 1 /dev/urandom | wc -c
mknod /dev/shm2 b 7 0 && cat /dev/shm2
mknod /dev/kmsg2 c 1 11 && head -c 0 /dev/kmsg2 && echo x >/dev/kmsg2
mknod /dev/null2 c 1 3 && echo x >/dev/null2 && echo null works
echo x >/dev/full
[ -c /dev/tty ] && echo x >/dev/tty
exec 3<>/dev/ptmx && echo ptmx opens
[ -e /proc/kcore ] || [ ! -L /dev/core ] || echo /dev/core leads nowhere
SH
	same_as_runc
	seen 'null works' 'ptmx opens' '/dev/own character special file 644 7:8 1,5' '/dev/deep/pipe fifo 600 1:2 0,0'
	[ "$(grep -c "can't open.*Operation not permitted" "$WORK/hull.out")" -ge 4 ]
	[ "$(grep -c 'Read-only file system' "$WORK/hull.out")" -ge 6 ]
	[[ "$output" != *hidden* ]]
	run cat "$BUNDLE/rootfs/opt/file"
	[ "$output" = hidden ]
}

# ---- mounts

@test "mounts: tmpfs, binds of directories and files, read-only binds, symbolic links within the root" {
	mkdir -p "$WORK/dir/sub" "$BUNDLE/rootfs/real" "$BUNDLE/rootfs/full"
	chmod 1750 "$BUNDLE/rootfs/full"
	echo below >"$BUNDLE/rootfs/full/file"
	echo dir >"$WORK/dir/file"
	echo file >"$WORK/one"
	ln -s /real "$BUNDLE/rootfs/absolute"
	ln -s real/../real "$BUNDLE/rootfs/relative"
	config '.root.readonly = false | .process.capabilities.effective += ["CAP_DAC_OVERRIDE", "CAP_CHOWN"]
		| .process.capabilities.permitted += ["CAP_DAC_OVERRIDE", "CAP_CHOWN"]
		| .process.capabilities.bounding += ["CAP_DAC_OVERRIDE", "CAP_CHOWN"]
		| .mounts += [
		{destination: "/t1", type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec", "size=2m", "mode=1711", "uid=3", "gid=4"]},
		{destination: "/full", type: "tmpfs", source: "tmpfs", options: ["nodev", "size=64k"]},
		{destination: "/t3", type: "tmpfs", source: "tmpfs", options: ["ro"]},
		{destination: "/bin2", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]},
		{destination: "/d/deep", type: "bind", source: ($w + "/dir"), options: ["bind", "nosuid", "noatime"]},
		{destination: "/ro", type: "bind", source: ($w + "/dir"), options: ["rbind", "ro", "nodev"]},
		{destination: "/f/file", type: "bind", source: ($w + "/one"), options: ["bind"]},
		{destination: "/f/rofile", source: ($w + "/one"), options: ["bind", "ro"]},
		{destination: "/absolute/a", type: "bind", source: ($w + "/dir"), options: ["bind"]},
		{destination: "/relative/b", type: "bind", source: ($w + "/one"), options: ["bind"]},
		{destination: "/over", type: "bind", source: ($w + "/dir"), options: ["bind"]},
		{destination: "/over/sub", type: "tmpfs", source: "tmpfs"}]' --arg w "$WORK"
	mkdir "$BUNDLE/rootfs/bin2"
	echo copied >"$BUNDLE/rootfs/bin2/file"
	probe <<'SH'
exec 2>&1
mi() { awk '{ i = 7; while ($i != "-") i++; t = $(i+1); s = $(NF);
	o = ""; n = split(s, a, ","); for (k = 1; k <= n; k++) if (a[k] ~ /^(size|mode|uid|gid)=/) o = o " " a[k];
	r = $6; gsub(/,relatime/, "", r); if (t == "ext4" || t == "virtiofs" || t == "overlay" || t == "xfs" || t == "btrfs" || t == "fuse") { t = "bind" }
	if (t != "tmpfs") o = ""; if ($5 ~ "^/(proc|sys)/") next; print $5, t, r, o }' /proc/self/mountinfo; }
mi
for d in /t1 /full /t3 /d /d/deep /ro /f /f/file /f/rofile /real /real/a /real/b /over/sub /bin2/file; do stat -c '%n %a %u:%g %F' $d; done
df -k /t1 /full | awk 'NR > 1 { print $2, $6 }'
ls -a /full; cat /bin2/file /d/deep/file /ro/file /f/file /real/a/file /real/b
echo x >/t3/x; echo x >/ro/x; echo x >/ro/file; echo x >/f/rofile; rm /ro/file; mkdir /ro/y; chown 1 /ro/file
dd if=/dev/zero of=/full/big bs=1k count=100 | tail -n1
echo new >/d/deep/new; echo changed >/f/file; echo unseen >/over/sub/x
cp /bin/busybox /t1/sh && /t1/sh true
SH
	same_as_runc "$WORK/dir" "$WORK/one"
	[ "$(cat "$WORK/dir/new")" = new ]
	[ "$(cat "$WORK/one")" = changed ]
	[ ! -e "$WORK/dir/sub/x" ]
	[ "$(cat "$WORK/dir/file")" = dir ]
	[ "$(grep -c 'Read-only file system' "$WORK/hull.out")" -ge 6 ]
}

@test "mounts: bind leaves out what is mounted below, rbind brings it; read-only binds are read-only on the host" {
	mkdir -p "$WORK/dir/sub"
	echo file >"$WORK/one"
	mount -t tmpfs tmpfs "$WORK/dir/sub"
	echo submount >"$WORK/dir/sub/file"
	config '.mounts += [{destination: "/flat", type: "bind", source: ($w + "/dir"), options: ["bind"]},
		{destination: "/deep", type: "bind", source: ($w + "/dir"), options: ["rbind", "ro"]},
		{destination: "/deeprw", type: "bind", source: ($w + "/dir"), options: ["rbind"]},
		{destination: "/file", type: "bind", source: ($w + "/one"), options: ["bind", "ro"]}]' --arg w "$WORK"
	mkdir "$BUNDLE/rootfs/flat" "$BUNDLE/rootfs/deep" "$BUNDLE/rootfs/deeprw"
	touch "$BUNDLE/rootfs/file"
	probe <<'SH'
ls /flat/sub /deep/sub /deeprw/sub; cat /deep/sub/file
echo x >/deep/x; echo more >>/deeprw/sub/file && echo wrote; echo x >/file
SH
	same_as_runc "$WORK/dir/sub/file"
	seen submount wrote
	[ "$(cat "$WORK/dir/sub/file")" = $'submount\nmore' ]
	start_sleeper
	virtiofsd=$(pgrep -f "virtiofsd.*$ROOT" | head -n1)
	[ -n "$virtiofsd" ] || virtiofsd=$(pgrep -P "$(jq .supervisor.pid "$ROOT/containers/$ID/state.json")" virtiofsd | head -n1)
	grep -v -- " - proc" "/proc/$virtiofsd/mountinfo" >"$WORK/mounts"
	cat "$WORK/mounts"
	# The root (read-only in this bundle), /deep and /file; /flat and /deeprw are not.
	[ "$(awk '$6 ~ /^ro/' "$WORK/mounts" | wc -l)" -ge 3 ]
	# Even root of the guest could not write: the server's own mount refuses.
	ro=$(awk '$6 ~ /^ro/ && $4 ~ /\/one$/ { print $5 }' "$WORK/mounts")
	[ -n "$ro" ]
}

@test "mounts: kernel file systems are the guest's" {
	mkdir "$BUNDLE/rootfs/over"
	# As runc since 1.1.8: a mode that is given is not overridden by that of the directory.
	config '.mounts += [{destination: "/over", type: "tmpfs", source: "tmpfs", options: ["mode=710"]}]'
	probe <<'SH'
stat -c '%n %a' /over
awk '{ i = 7; while ($i != "-") i++; if ($5 ~ "^/(proc|sys|dev)") print $5, $(i+1), $6 }' /proc/self/mountinfo | grep -E '^(/proc|/sys|/dev|/dev/pts|/dev/mqueue|/dev/shm|/sys/fs/cgroup) '
grep -c . /sys/fs/cgroup/cgroup.controllers; cat /proc/self/cgroup
stat -c '%n %a %u:%g %F' /dev/pts /dev/shm /dev/mqueue /dev/pts/ptmx /sys /proc
ls /sys/class/net
SH
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	seen '/over 710' '/proc proc rw,relatime' '/dev/mqueue mqueue rw,nosuid,nodev,noexec,relatime' 0::/ lo
	seen '/sys sysfs ro,nosuid,nodev,noexec,relatime' '/dev/pts devpts rw,nosuid,noexec,relatime'
	seen '/sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec,relatime'
	seen '/dev/pts/ptmx 666 0:0 character special file' '/dev/shm 1777 0:0 directory'
}

@test "rootfs: symbolic links that lead out change nothing on the host" {
	mkdir "$WORK/outside" "$WORK/source"
	echo precious >"$WORK/outside/file"
	echo mine >"$WORK/source/file"
	up=../../../../../../../../../..
	rm -rf "$BUNDLE/rootfs/etc" "$BUNDLE/rootfs/dev"
	ln -s "/$up/etc" "$BUNDLE/rootfs/etc"
	ln -s "$up$WORK/outside" "$BUNDLE/rootfs/relative"
	ln -s "$WORK/outside" "$BUNDLE/rootfs/absolute"
	ln -s "/$up/$WORK/outside/../outside" "$BUNDLE/rootfs/dev"
	ln -s "$WORK/outside/file" "$BUNDLE/rootfs/tofile"
	ln -s loop "$BUNDLE/rootfs/loop"
	before=$(find "$WORK/outside" /etc -xdev -printf '%p %s %T@ %C@\n' | sort)
	config '.root.readonly = false | .process.cwd = "/absolute/cwd" | .mounts += [
		{destination: "/etc/hull-bats", type: "bind", source: ($w + "/source"), options: ["bind"]},
		{destination: "/relative/a", type: "bind", source: ($w + "/source"), options: ["bind"]},
		{destination: "/absolute/b", type: "tmpfs", source: "tmpfs"},
		{destination: "/tofile", type: "bind", source: ($w + "/source/file"), options: ["bind"]}]
		| .linux.devices = [{path: "/relative/null", type: "c", major: 1, minor: 3}]
		| .linux.maskedPaths += ["/relative", "/tofile", "/loop"] | .linux.readonlyPaths += ["/absolute"]' --arg w "$WORK"
	probe <<'SH'
cat /etc/hull-bats/file; ls -d /etc/passwd; pwd; ls /
SH
	run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	[ "$(find "$WORK/outside" /etc -xdev -printf '%p %s %T@ %C@\n' | sort)" = "$before" ]
	[ "$(cat "$WORK/outside/file")" = precious ]
	# With a link that never ends and /dev elsewhere it may start or be refused, as long as nothing got out.
	config 'del(.linux.maskedPaths[] | select(. == "/loop"))'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$(find "$WORK/outside" /etc -xdev -printf '%p %s %T@ %C@\n' | sort)" = "$before" ]
	rm -rf "$BUNDLE/rootfs/proc"
	ln -s tmp "$BUNDLE/rootfs/proc"
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *'must be mounted on ordinary directory'* ]]
}

# ---- limits

@test "resources: the container's cgroup shows them" {
	config '.linux.resources += {memory: {limit: 67108864, reservation: 33554432, swap: 100663296},
		cpu: {shares: 512, quota: 50000, period: 100000, cpus: "0"}, pids: {limit: 44},
		unified: {"memory.high": "60000000", "pids.max": "43"}}'
	probe <<'SH'
cd /sys/fs/cgroup && for f in memory.max memory.low memory.high pids.max cpu.max cpu.weight cpuset.cpus; do echo "$f=$(cat $f)"; done
[ -e memory.swap.max ] && echo "swap=$(cat memory.swap.max)" || echo swap=33554432
SH
	run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	[ "$status" -eq 0 ]
	seen memory.max=67108864 memory.low=33554432 memory.high=59998208 pids.max=43 'cpu.max=50000 100000' cpuset.cpus=0 swap=33554432
	# Source: runc 1.1, ConvertCPUSharesToCgroupV2Value(): 1 + (512 - 2) * 9999 / 262142
	seen cpu.weight=20
}

@test "resources: a container above its memory limit is killed, and state.json says why" {
	config '.linux.resources.memory = {limit: 25165824, swap: 25165824}'
	args dd if=/dev/zero of=/dev/null bs=200M count=1
	run hull run --keep --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 137 ]
	jq -e '.exit.oomKilled == true and .exit.code == 137' "$ROOT/containers/$ID/state.json"
	hull delete "$ID"
	# A child is killed, the container goes on.
	args sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1; echo "child $?"'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"child 137"* ]]
}

@test "resources: a fork bomb leaves the pod responsive" {
	config '.linux.resources.pids = {limit: 30}'
	args sh -c 'sh -c "b() { b | b & }; b" & sh -c "while :; do sleep 1000 & done" & exec sleep 1000'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	sleep 2
	CALL_TIMEOUT=30
	is_status "$ID" running
	[ "$(hull ps "$ID" | tail -n +2 | wc -l)" -le 31 ]
	# Full: an exec is refused or gets its turn, but does not hang.
	run hull exec "$ID" true
	[ "$status" -ne 124 ]
	hull pause "$ID"
	hull resume "$ID"
	hull kill --all "$ID" KILL
	eventually 15 is_status "$ID" stopped
}

# ---- hooks

# hook NAME [FIRST LINES]: a script that notes its name, where it runs and its state, and what it was called with.
hook() {
	printf '#!/bin/sh\n%s\nprintf "%%s %%s %%s\\n" "%s" "$PWD" "$*" >>"%s/order"\ncat >"%s/state.%s"\n' \
		"${2:-}" "$1" "$WORK" "$WORK" "$1" >"$WORK/$1"
	chmod +x "$WORK/$1"
}

@test "hooks: order, state and environment on the host; startContainer inside" {
	for h in prestart createRuntime poststart poststop; do hook "$h"; done
	printf '#!/bin/sh\ncat >/tmp/state; echo "$0 $* $E" >/tmp/inside; tr "\\0" " " </proc/1/cmdline >>/tmp/inside\n' >"$BUNDLE/rootfs/tmp/hook"
	chmod +x "$BUNDLE/rootfs/tmp/hook"
	config '.root.readonly = false | .annotations = {"a.b": "c d"} | .hooks = {
		prestart: [{path: ($w + "/prestart"), args: ["arg0", "one", "two words"]}],
		createRuntime: [{path: ($w + "/createRuntime"), env: ["E=f"], timeout: 10}],
		startContainer: [{path: "/tmp/hook", args: ["hook", "x y"], env: ["E=f", "PATH=/bin"]}],
		poststart: [{path: ($w + "/poststart")}], poststop: [{path: ($w + "/poststop")}]}' --arg w "$WORK"
	args sh -c 'echo "container" >/tmp/ran; cat /tmp/inside; sleep 1000'
	hull create --bundle "$BUNDLE" --pid-file "$WORK/pid" "$ID" </dev/null >"$WORK/out" 2>&1
	[ "$(cut -d' ' -f1 "$WORK/order" | tr '\n' ' ')" = "prestart createRuntime " ]
	[ ! -e "$BUNDLE/rootfs/tmp/inside" ]
	hull start "$ID"
	[ "$(cut -d' ' -f1 "$WORK/order" | tr '\n' ' ')" = "prestart createRuntime poststart " ]
	eventually 10 grep -q 'x y' "$WORK/out"
	[ "$(head -n1 "$WORK/out")" = "/tmp/hook x y f" ]
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	hull delete "$ID"
	[ "$(cut -d' ' -f1 "$WORK/order" | tr '\n' ' ')" = "prestart createRuntime poststart poststop " ]
	grep -qx "prestart $BUNDLE one two words" "$WORK/order"

	# The state: runc's fields; the pid is the one that the engine knows.
	for h in prestart:creating createRuntime:creating poststart:running poststop:stopped; do
		jq -e --arg id "$ID" --arg b "$BUNDLE" --arg s "${h#*:}" --argjson pid "$(cat "$WORK/pid")" \
			'.id == $id and .bundle == $b and .status == $s and .ociVersion and .annotations["a.b"] == "c d"
			and (.pid == $pid or $s == "stopped")' "$WORK/state.${h%:*}"
	done
	jq -e --arg id "$ID" '.id == $id and .status == "created"' "$BUNDLE/rootfs/tmp/state"
}

@test "hooks: one that fails or hangs undoes the creation" {
	hook createRuntime 'echo "went wrong"; exit 9'
	hook poststop
	config '.hooks = {createRuntime: [{path: ($w + "/createRuntime")}], poststop: [{path: ($w + "/poststop")}]}' --arg w "$WORK"
	start=$SECONDS
	run hull create --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"error running createRuntime hook #0"*"exit status 9"*"went wrong"* ]]
	[ -e "$WORK/state.poststop" ]
	run hull state "$ID"
	[[ "$output" == *"does not exist"* ]]
	eventually 5 eval '[ -z "$(leftovers)" ]'

	hook createRuntime 'sleep 100'
	config '.hooks.createRuntime[0].timeout = 1'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *createRuntime* ]]
	[ $((SECONDS - start)) -lt 60 ]
	eventually 5 eval '[ -z "$(leftovers)" ]'

	config '.hooks = {startContainer: [{path: "/bin/false"}]}'
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	run hull start "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"hook"* ]]
}

# ---- the rootfs afterwards

@test "rootfs: what the container writes is there afterwards as runc would leave it" {
	require_runc
	mkdir "$WORK/rootfs.runc"
	all='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_MKNOD","CAP_SETUID","CAP_SETGID","CAP_SETFCAP","CAP_KILL"]'
	config '.root.readonly = false | .process.capabilities = {bounding: $c, effective: $c, permitted: $c}' --argjson c "$all"
	build_oddities "$BUNDLE/rootfs/oddities"
	cp -a "$BUNDLE/rootfs/." "$WORK/rootfs.runc/"
	probe <<'SH'
mkdir -p /w/dir && cd /w
[ ! -e /oddities ] || (mkdir odd && cd odd && /oddities)
umask 022; echo plain >plain; umask 077; echo private >private; umask 0; echo open >open; mkdir open.d; umask 022
echo x >mode; chmod 4755 mode; echo x >gid; chmod 2755 gid; mkdir sticky; chmod 1777 sticky; mkdir setgid; chown 0:33 setgid; chmod 2775 setgid
echo in >setgid/file; mkdir setgid/sub
echo owned >owned; chown 1234:5678 owned; chmod 640 owned
echo suid >suid; chmod 6755 suid; chown 5:6 suid
echo lost >lost; chmod 6755 lost; setpriv --reuid 1000 true 2>/dev/null; echo more >>lost
ln plain hard; ln -s ../w/plain soft; ln -s /nowhere dangling; ln -s "$(printf 'odd\nname')" odd; chown -h 7:8 soft
mkfifo fifo; chmod 620 fifo; chown 9:9 fifo; mknod char c 1 3; chmod 666 char; mknod block b 7 9
touch -d '2001-02-03 04:05:06' old; touch -h -d '1999-01-01 00:00:00' dangling 2>/dev/null
touch -d '1980-01-01 00:00:00' dir
printf '0123456789' >short; truncate -s 5 short; truncate -s 1000000 sparse; dd if=/dev/zero of=seek bs=1 seek=5000 count=1 2>/dev/null
echo a >moved; mv moved renamed; mkdir a; mv a b; echo gone >gone; rm gone; : >empty
touch "sp ace" 'quo"te' "$(printf 'new\nline')" ünï .hidden -- -dash
n=$(printf '%0255d' 0); touch "$n"
mkdir -p deep/deep/deep/deep; echo d >deep/deep/deep/deep/d
cp -p owned copied; cp /bin/busybox bb; rm /bin/ar; ln -sf /w /bin/ls2; chmod 711 /home; echo appended >>/etc/new
i=0; while [ $i -lt 200 ]; do echo $i >many.$i; i=$((i+1)); done; rm many.1??
sync
(exec 3<>opened; rm opened; echo still >&3)
chmod 000 sticky/../private; sed -i s/plain/edited/ plain
SH
	hull run --bundle "$BUNDLE" "$ID" </dev/null
	hull_tree=$BUNDLE/rootfs
	cp "$hull_tree/probe" "$WORK/rootfs.runc/probe"
	(cd "$BUNDLE" && jq '.root.path = $r' --arg r "$WORK/rootfs.runc" config.json >config.runc && mv config.runc config.json)
	runc_run
	manifest "$hull_tree" >"$WORK/hull.manifest"
	manifest "$WORK/rootfs.runc" >"$WORK/runc.manifest"
	grep -q '^w/suid ' "$WORK/hull.manifest"
	diff "$WORK/runc.manifest" "$WORK/hull.manifest"
	[ "$(stat -c %a:%u "$hull_tree/w/mode")" = 4755:0 ]
	[ "$(stat -c %i "$hull_tree/w/hard")" != "$(stat -c %i "$hull_tree/w/plain")" ]
}

@test "rootfs: access control lists work with Hull's kernel, and are refused, not lost, with Debian's" {
	# The container's root is a submount of the share, and fuse_fill_super_submount() of Linux 6.1 does not hand SB_POSIXACL on;
	# guest/kernel-patches has the line. 17-storage.bats looks at what the lists do.
	build_oddities "$BUNDLE/rootfs/oddities"
	[ -x "$BUNDLE/rootfs/oddities" ] || skip "no compiler"
	config '.root.readonly = false'
	args sh -c 'mkdir /w; cd /w; /oddities acl'
	run hull run --bundle "$BUNDLE" "$ID"
	if [ "$("$HULL" env --json | jq -r .guest.flavour)" = tuned ]; then
		seen 'acl: ok'
		[ "$(stat -c %a "$BUNDLE/rootfs/w/acl.d/inherits")" = 640 ]
		getfacl -cnp "$BUNDLE/rootfs/w/acl.d/inherits" | grep -q '^user:1:r-x'
	else
		seen 'acl: Operation not supported'
		[ "$(stat -c %a "$BUNDLE/rootfs/w/acl.d/inherits")" = 644 ]
	fi
}
