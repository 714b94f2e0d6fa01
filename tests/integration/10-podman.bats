#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Podman as root with Hull as its runtime, in namespaces of its own: its locks, networks and caches are not those of the host.

bats_require_minimum_version 1.5.0
load lib.bash

setup_file() {
	command -v podman >/dev/null || return 0
	D=$(mktemp -d /var/tmp/hull-pm-XXXX)
	export D ROOT=$D/hull-state ID=$D
	# Podman gives no --root to its runtime.
	printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$HULL" "$ROOT" >"$D/hull"
	chmod 755 "$D/hull"
	cat >"$D/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		log_driver = "k8s-file"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "hull"
		[engine.runtimes]
		hull = ["$D/hull"]
	CONF
	# Ids for --userns auto.
	echo containers:200000:100000 >"$D/subid"
	: >"$D/ready"
	# shellcheck disable=SC2016
	unshare -nm --propagation private sh -c '
		ip link set lo up
		for dir in /run /dev/shm /var/lib/containers /var/lib/cni; do
			[ ! -d $dir ] || mount -t tmpfs tmpfs $dir
		done
		mount --bind "$D/subid" /etc/subuid && mount --bind "$D/subid" /etc/subgid && echo ready >"$D/ready"
		exec sleep infinity' 3>&- &
	export HOLDER=$!
	eventually 5 grep -q ready "$D/ready"
	pm import "$DATA/try-rootfs.tar" t >/dev/null
}

teardown_file() {
	[ -n "${D:-}" ] || return 0
	local left pid
	pm rm -af -t 0 >/dev/null
	eventually 10 nothing_left || true
	left=$(remains)
	# What stayed is reported, but does not stay.
	for pid in $(pgrep -f -- "$D/"); do kill -9 "$pid" || true; done
	kill "$HOLDER"
	rm -rf --one-file-system "$D"
	[ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

# What must not outlive the containers: processes, Hull's state, mounts but the ones of setup_file() and podman's own.
remains() {
	traces
	pgrep -af -- "$D/" || true
	awk -v d="$D" 'index($2, d) && $2 != d "/root/overlay"' "/proc/$HOLDER/mounts"
}

nothing_left() { [ -z "$(remains)" ]; }

setup() { [ -n "${D:-}" ] || skip "no podman"; }

# After every test no container is left, and nothing of Hull's either.
teardown() {
	[ -n "${D:-}" ] || return 0
	pm pod rm -af -t 0 >/dev/null
	pm rm -af -t 0 >/dev/null
	pm volume prune -f >/dev/null
	eventually 10 no_pods || { pgrep -af -- "--root $ROOT"; find "$ROOT" -mindepth 2; return 1; }
}

no_pods() {
	! pgrep -f -- "--root $ROOT" >/dev/null && [ -z "$(find "$ROOT" -mindepth 2 2>/dev/null)" ]
}

# Without a deadline, for a terminal must stay with its foreground process group.
podman_here() {
	CONTAINERS_CONF=$D/containers.conf TMPDIR=$D nsenter -t "$HOLDER" -n -m "$@"
}
pm() { podman_here timeout -k 5 "$CALL_TIMEOUT" podman --root "$D/root" --runroot "$D/run" --tmpdir "$D/tmp" "$@"; }
prun() { pm run --rm --network none "$@"; }
# In the background: up NAME [OPTION...] IMAGE COMMAND...
up() { pm run -d --network none --name "$@" >/dev/null; }
# With a terminal of 31 rows and 99 columns: on_tty ARGUMENT... for podman; stdin is typed.
on_tty() {
	CONTAINERS_CONF=$D/containers.conf script -qec "stty rows 31 cols 99 -echo; exec nsenter -t $HOLDER -n -m podman --root $D/root \
		--runroot $D/run --tmpdir $D/tmp $*" /dev/null
}
of() { pm inspect -f "{{$2}}" "$1"; }
is() { [ "$(of "$1" "$2")" = "$3" ]; }
logged() { pm logs "$1" 2>&1 | grep -q -- "$2"; }

# What it says is refused: refused MESSAGE ARGUMENT... for podman run.
refused() {
	run prun "${@:2}"
	if [ "$status" -ne 126 ] || [[ "$output" != *"$1"* ]]; then
		echo "${*:2}: $status $output" >&2
		return 1
	fi
}

COUNTER='trap "echo bye; exit 7" TERM; trap "echo usr1" USR1; i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.1; done'

@test "podman run: a kernel of its own, exit codes, and what cannot be run" {
	run prun t uname -r
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
	run prun t sh -c 'exit 42'
	[ "$status" -eq 42 ]
	run -127 prun t nosuch
	[[ "$output" == *'exec: "nosuch": executable file not found in $PATH'* ]]
	run prun t /etc/passwd
	[ "$status" -eq 126 ]
	[[ "$output" == *"permission denied"* ]]
}

@test "podman run -i: stdin to its end, stdout and stderr apart" {
	head -c 3000000 /dev/urandom >"$D/in"
	prun -i t sh -c 'tee /dev/fd/2' <"$D/in" >"$D/out" 2>"$D/err"
	cmp "$D/in" "$D/out"
	cmp "$D/in" "$D/err"
}

@test "podman run -it: a terminal of the right size" {
	run on_tty run -it --rm --network none t sh -c "'sleep 0.5; tty; stty size; exit 3'"
	[ "$status" -eq 3 ]
	[[ "$output" == */dev/pts/*"31 99"* ]]
}

@test "podman run: user, groups, directory, environment, entrypoint, hostname, umask" {
	run prun --user 1000:2000 --group-add 3000 --workdir /tmp --env A=b -e 'C=d e' --hostname hh --umask 027 t \
		sh -c 'id -u; id -g; id -G; pwd; echo "$A-$C"; hostname; grep -c hh /etc/hosts; umask'
	[ "$status" -eq 0 ]
	[ "$output" = $'1000\n2000\n2000 3000\n/tmp\nb-d e\nhh\n1\n0027' ]
	[ "$(prun --entrypoint /bin/echo t a b)" = "a b" ]
}

@test "podman run -v, --mount: directories, files, volumes, :ro, :z, :U" {
	mkdir "$D/v"
	echo data >"$D/v/f"
	echo file >"$D/vf"
	run prun -v "$D/v:/v:z" -v "$D/vf:/etc/vf" -v "$D/v:/ro:ro" t sh -c 'cat /v/f /etc/vf; echo new >/v/n; touch /ro/x'
	[ "$status" -eq 1 ]
	[ "${lines[0]} ${lines[1]}" = "data file" ]
	[[ "${lines[2]}" == *"Read-only file system" ]]
	[ "$(cat "$D/v/n")" = new ]
	run prun --mount "type=bind,src=$D/v,dst=/v,ro" --mount type=tmpfs,dst=/t --mount type=volume,src=vol,dst=/w t \
		sh -c 'cat /v/f; touch /v/x; echo kept >/w/a; grep -c " /t tmpfs" /proc/mounts'
	[[ "$output" == data*"Read-only file system"*1 ]]
	[ "$(prun -v vol:/w:ro t sh -c 'cat /w/a; touch /w/b 2>/dev/null || echo ro')" = $'kept\nro' ]
	[ "$(prun --user 1000 -v owned:/w:U t stat -c %u /w)" = 1000 ]
}

@test "podman run: a supplementary group may write where it may" {
	mkdir "$D/g"
	chown 0:3000 "$D/g"
	chmod 2775 "$D/g"
	prun --user 1000:1000 --group-add 3000 -v "$D/g:/g" t touch /g/new
	[ "$(stat -c %u:%g "$D/g/new")" = 1000:3000 ]
	run prun --user 1000:1000 -v "$D/g:/g" t touch /g/other
	[ "$status" -eq 1 ]
	[[ "$output" == *"Permission denied" ]]
}

@test "podman run: --tmpfs, --read-only, --shm-size, --sysctl, --secret" {
	run prun --read-only --tmpfs /t:size=1m,mode=1770 --shm-size 32m --sysctl kernel.msgmax=4096 t \
		sh -c 'touch /x; touch /run/x; stat -c %a /t; touch /t/y; df -k /dev/shm | tail -n1; cat /proc/sys/kernel/msgmax'
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == *"/x: Read-only file system" ]]
	[ "${lines[1]}" = 1770 ]
	[[ "${lines[2]}" == *32768* ]]
	[ "${lines[3]}" = 4096 ]
	echo hidden | pm secret create s - >/dev/null
	[ "$(prun --secret s t cat /run/secrets/s)" = hidden ]
}

@test "podman run --init" {
	command -v catatonit >/dev/null || skip "no catatonit"
	run prun --init t ps -o pid,args
	[[ "${lines[1]}" == *" 1 /run/podman-init -- ps"* ]]
}

@test "podman run: capabilities, privileged, no-new-privileges, seccomp, masks" {
	run prun --cap-drop all --cap-add net_raw --security-opt no-new-privileges t grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status
	[ "$(tr -s '\t\n' '  ' <<<"$output")" = "CapEff: 0000000000002000 NoNewPrivs: 1 Seccomp: 2 " ]
	[[ "$(prun --privileged --security-opt seccomp=unconfined t grep Seccomp: /proc/self/status)" == *0 ]]
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >"$D/sec.json"
	run prun --security-opt "seccomp=$D/sec.json" --security-opt label=disable --security-opt apparmor=unconfined \
		--security-opt mask=/proc/meminfo t sh -c 'wc -c </proc/meminfo; mkdir /q'
	[ "$status" -eq 1 ]
	[ "${lines[0]}" = 0 ]
	[[ "$output" == *"Permission denied" ]]
}

@test "podman run: limits act in the VM" {
	run prun -m 64m --memory-swap 128m --pids-limit 17 --cpus 0.5 --cpuset-cpus 0 --ulimit nofile=100:200 --oom-score-adj 500 t \
		sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj'
	[ "$output" = $'67108864\n67108864\n17\n50000 100000\n100\n200\n500' ]
	run prun -m 32m t sh -c 'x=a; while :; do x=$x$x; done'
	[ "$status" -eq 137 ]
}

@test "podman run --userns auto, --uidmap: root of the container is another user of the host" {
	run prun --userns auto:size=1000 -v vol:/w:U t sh -c 'cat /proc/self/uid_map; touch /x /w/y; stat -c %u /x /w/y'
	[ "$status" -eq 0 ]
	[ "$(tr -s ' ' <<<"${lines[0]}")" = " 0 200000 1000" ]
	[ "${lines[1]}${lines[2]}" = 00 ]
	[ "$(stat -c %u "$D/root/volumes/vol/_data/y")" = 200000 ]
	[ "$(prun --uidmap 0:300000:2000 --user 7 t sh -c 'id -u; cat /proc/self/uid_map' | tr -s ' ')" = $'7\n 0 300000 2000' ]
	run prun --userns keep-id t true
	[ "$status" -eq 125 ]
	[[ "$output" == *"keep-id is only supported in rootless mode"* ]]
}

@test "podman run: what a VM cannot do is refused with its name" {
	up other --ipc shareable t sleep 1000
	refused 'no pid namespace' --pid host t true
	refused 'no ipc namespace' --ipc host t true
	refused 'no uts namespace' --uts host t true
	up another --ipc shareable t sleep 1000
	run pm run --rm --ipc container:other --network container:another t true
	[ "$status" -eq 126 ]
	[[ "$output" == *"cannot be in two VMs"* ]]
	refused 'has no user namespace to join' --userns container:other t true
	refused '--preserve-fds: descriptor 3 is a directory, which cannot be passed into a VM' --preserve-fds 1 t true 3<"$D"
	mkdir "$D/lower"
	refused 'type overlay is not supported' -v "$D/lower:/o:O" t true
	refused 'type overlay is not supported' --mount type=image,src=t,dst=/o t true
	run pm run --rm --network host t true
	[ "$status" -eq 126 ]
	[[ "$output" == *"linux.namespaces: "*network*" cannot "* ]]
	run pm container checkpoint other
	[ "$status" -ne 0 ]
}

@test "podman run, exec --preserve-fds" {
	echo in >"$D/in"
	rm -f "$D/out"
	run -0 pm run --rm --network none --preserve-fds 2 t sh -c 'cat <&3; echo out >&4' 3<"$D/in" 4>>"$D/out"
	[ "$output" = in ]
	[ "$(cat "$D/out")" = out ]
	up box t sleep 1000
	run -0 pm exec --preserve-fds 2 box sh -c 'cat <&3; echo more >&4' 3<"$D/in" 4>>"$D/out"
	[ "$output" = in ]
	[ "$(cat "$D/out")" = "out
more" ]
}

@test "podman exec: stdin, terminal, user, directory, environment, detached, exit codes" {
	up box t sleep 1000
	run pm exec -u 1000:7 -w /tmp -e X=y box sh -c 'id -u; id -g; pwd; echo $X; exit 9'
	[ "$status" -eq 9 ]
	[ "$output" = $'1000\n7\n/tmp\ny' ]
	[ "$(echo in | pm exec -i box cat)" = in ]
	pm exec -d box sh -c 'echo det >/tmp/det'
	eventually 10 eval '[ "$(pm exec box cat /tmp/det)" = det ]'
	run on_tty exec -it box sh -c "'sleep 0.5; tty; stty size; exit 3'"
	[ "$status" -eq 3 ]
	[[ "$output" == */dev/pts/*"31 99"* ]]
	run -127 pm exec box nosuch
	[[ "$output" == *'exec: "nosuch": executable file not found in $PATH'* ]]
	run -126 pm exec box /etc/passwd
	run -127 pm exec -w /nonexist box pwd
	is box .State.Status running
}

@test "podman stop, restart, kill, wait, rm -f" {
	up polite t sh -c "$COUNTER"
	eventually 10 logged polite 'line 1'
	pm kill -s USR1 polite
	eventually 10 logged polite usr1
	pid=$(of polite .State.Pid)
	pm restart -t 5 polite
	eventually 10 logged polite bye
	[ "$(of polite .State.Pid)" != "$pid" ]
	pm stop polite
	is polite .State.ExitCode 7
	up deaf t sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
	eventually 10 logged deaf up
	pm stop -t 1 deaf
	is deaf .State.ExitCode 137
	up usr --stop-signal USR1 --stop-timeout 60 t sh -c 'trap "exit 5" USR1; echo up; while :; do sleep 0.1; done'
	eventually 10 logged usr up
	pm stop usr
	[ "$(pm wait usr)" = 5 ]
	pm start usr
	run pm rm usr
	[ "$status" -ne 0 ]
	pm kill usr
	[ "$(pm wait usr)" = 137 ]
	pm rm usr
	pm rm -f -t 0 polite deaf
	[ -z "$(pm ps -aq)" ]
}

@test "podman create, start -a, logs, attach, inspect" {
	pm create --name box --network none -i t cat >/dev/null
	[ "$(echo typed | pm start -ai box)" = typed ]
	up all t seq 1 50000
	pm wait all
	[ "$(pm logs all | md5sum)" = "$(seq 1 50000 | md5sum)" ]
	up counter t sh -c "$COUNTER"
	[ "$(timeout 20 bash -c "$(declare -f pm podman_here); CALL_TIMEOUT=20 pm logs -f counter" | head -n5 | tail -n1)" = "line 5" ]
	is counter .OCIRuntime hull
	is counter .State.Running true
	[ "$(cat "/proc/$(of counter .State.Pid)/comm")" = hull-standin ]
	pm run -dit --network none --name shell t sh >/dev/null
	run bash -c "$(declare -f on_tty); (sleep 1; printf 'echo h\$((1+1))\rexit 4\r'; sleep 2) | on_tty attach shell"
	[[ "$output" == *h2* ]]
	[ "$(pm wait shell)" = 4 ]
}

@test "podman pause, unpause, and rm -f while paused" {
	up box t sh -c "$COUNTER"
	eventually 10 logged box 'line 1'
	pm pause box
	is box .State.Status paused
	sleep 0.3
	before=$(pm logs box | wc -l)
	sleep 0.7
	[ "$(pm logs box | wc -l)" = "$before" ]
	run pm exec box true
	[ "$status" -ne 0 ]
	pm unpause box
	eventually 10 eval '[ "$(pm logs box | wc -l)" -gt "$before" ]'
	pm pause box
	pm rm -f -t 0 box
}

@test "podman cp: in and out while it runs sees what the container sees, or fails" {
	mkdir "$D/cp"
	echo in >"$D/f"
	up box -v data:/data -v "$D/cp:/bind" -v "$D/cp:/ro:ro" -v "$D/f:/run/deep/er/f" --tmpfs /run --tmpfs /t t sleep 1000
	for place in /root /data /bind /dev/shm; do
		pm cp "$D/f" "box:$place/f"
	done
	[ "$(pm exec box cat /root/f /data/f /bind/f /dev/shm/f)" = $'in\nin\nin\nin' ]
	[ "$(pm cp box:/run/deep/er/f - | tar -xO)" = in ]
	# What only the guest has: neither written to what lies below, nor read from there.
	for place in /t /ro /dev /proc /run; do
		run pm cp "$D/f" "box:$place/f2"
		[ "$status" -ne 0 ]
		[[ "$output" == *"read-only file system"* ]]
	done
	pm exec box sh -c 'mkdir /root/d; echo out >/root/d/o; echo vout >/data/o; echo tout >/t/o'
	pm cp box:/root/d "$D/d"
	[ "$(cat "$D/d/o")" = out ]
	[ "$(pm cp box:/data/o - | tar -xO)" = vout ]
	run pm cp box:/t/o "$D/o"
	[ "$status" -ne 0 ]
	pm kill box
	pm cp box:/root/d/o "$D/o"
	[ "$(cat "$D/o")" = out ]
	up fixed --read-only t sleep 1000
	run pm cp "$D/f" fixed:/f
	[ "$status" -ne 0 ]
}

@test "podman diff, commit, export" {
	up box t sh -c 'echo mine >/root/f; exec sleep 1000'
	eventually 10 eval 'pm diff box | grep -qx "A /root/f"'
	pm commit -q box t2 >/dev/null
	[ "$(prun t2 cat /root/f)" = mine ]
	pm export box | tar -t | grep -qx root/f
	pm rename box crate
	is crate .Name crate
}

@test "podman top: the host's process says where the others are; with ps options those of the guest" {
	up box t sleep 1000
	run pm top box
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" == root*"$(of box .State.Pid)"*hull-standin*"its processes are in its VM)"* ]]
	run pm top box pid user args
	[ "${#lines[@]}" -eq 2 ]
	run pm top box -ef
	[[ "$output" == *"1 root"*"sleep 1000"* ]]
}

@test "podman stats: what the VM takes on the host" {
	up box -m 64m t sleep 1000
	up other t sleep 1000
	run -0 pm stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.MemUsage}}' box
	# More than the container has, for it is a VM's; a limit that is no container's; threads of QEMU and virtiofsd.
	[[ "$output" =~ ^box\ [0-9.]+%\ ([0-9]+)\ ([0-9]+)[0-9.]*MB\ /\ [0-9.]+(MB|GB)$ ]]
	[ "${BASH_REMATCH[1]}" -gt 4 ] && [ "${BASH_REMATCH[2]}" -ge 20 ]
}

@test "podman run -m: out of memory is 137 and OOMKilled" {
	run pm run --name box --network none -m 32m t sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1; tail /dev/zero'
	[ "$status" -eq 137 ]
	is box .State.OOMKilled true
	run pm run --name other --network none t sh -c 'kill -9 $$'
	is other .State.OOMKilled false
}

@test "podman healthcheck" {
	up box --health-cmd 'test -e /tmp/ok' --health-retries 1 --health-interval disable t sleep 1000
	run pm healthcheck run box
	[ "$status" -eq 1 ]
	is box .State.Healthcheck.Status unhealthy
	pm exec box touch /tmp/ok
	pm healthcheck run box
	is box .State.Healthcheck.Status healthy
}

@test "podman run --restart on-failure:2" {
	up failing --restart on-failure:2 t sh -c 'echo run; exit 3'
	eventually 60 eval 'is failing .RestartCount 2 && is failing .State.Status exited'
	[ "$(pm logs failing | grep -c run)" = 3 ]
}

@test "podman: a VM that dies is a container that dies" {
	up box t sleep 1000
	kill -9 "$(pgrep -P "$(pgrep -f -- "hull-pod --root $ROOT")" qemu)"
	eventually 20 is box .State.ExitCode 137
}

@test "podman pod: one VM, a network namespace and host name for all" {
	pm pod create --name pod --network none >/dev/null
	pm run -d --pod pod --name one t sleep 1000 >/dev/null
	pm run -d --pod pod --name two t sleep 2000 >/dev/null
	[ "$(pgrep -fc -- "hull-pod --root $ROOT")" = 1 ]
	[ "$(pm exec two hostname)" = pod ]
	pm exec -d one sh -c 'while :; do echo hello | nc -l -p 99; done'
	eventually 10 eval '[ "$(pm exec two nc 127.0.0.1 99 </dev/null)" = hello ]'
	pm pod pause pod >/dev/null
	is two .State.Status paused
	pm pod unpause pod >/dev/null
	pm pod stop -t 1 pod >/dev/null
	pm pod start pod >/dev/null
	pm exec one true
}

@test "podman pod: a shared pid namespace, a user namespace" {
	pm pod create --name pids --network none --share pid,net,ipc,uts >/dev/null
	pm run -d --pod pids --name one t sleep 1111 >/dev/null
	pm run -d --pod pids --name two t sleep 2222 >/dev/null
	run pm exec one ps
	[[ "$output" == *"sleep 1111"*"sleep 2222"* ]]
	pm pod create --name mapped --network none --userns auto:size=500 >/dev/null
	[ "$(pm run --rm --pod mapped t cat /proc/self/uid_map | tr -s ' ')" = " 0 200000 500" ]
}

@test "podman run --network, --ipc, --pid, --uts container:NAME: in the VM of NAME" {
	up first --ipc shareable --hostname first t sleep 1111
	pm run -d --name second --network container:first --ipc container:first --pid container:first --uts container:first t sleep 2222 >/dev/null
	[ "$(pgrep -fc -- "hull-pod --root $ROOT")" = 1 ]
	[ "$(pm exec second hostname)" = first ]
	run pm exec second ps
	[[ "$output" == *"sleep 1111"*"sleep 2222"* ]]
	[ "$(pm exec second readlink /proc/self/ns/ipc)" = "$(pm exec first readlink /proc/self/ns/ipc)" ]
	[ "$(pm run --rm --network container:first t sh -c 'ps | grep -c sleep; readlink /proc/self/ns/net' | tail -1)" = "$(pm exec first readlink /proc/self/ns/net)" ]
	pm exec -d first sh -c 'echo hello | nc -l -p 99'
	eventually 10 eval '[ "$(pm run --rm -i --network container:first t nc 127.0.0.1 99 </dev/null)" = hello ]'
	pm rm -f -t 0 second >/dev/null
	pm exec first true
	# The VM is its first container's.
	pm run -d --name third --network container:first t sleep 1000 >/dev/null
	pm kill first >/dev/null
	eventually 20 is third .State.ExitCode 137
}

@test "podman play kube, and all of it down at once" {
	cat >"$D/kube.yaml" <<-YAML
		apiVersion: v1
		kind: Pod
		metadata: {name: kp}
		spec:
		  containers:
		  - {name: a, image: localhost/t:latest, command: [/bin/sleep, "1000"], volumeMounts: [{name: e, mountPath: /e}]}
		  - {name: b, image: localhost/t:latest, command: [/bin/sleep, "1000"], volumeMounts: [{name: e, mountPath: /e}]}
		  volumes: [{name: e, emptyDir: {}}]
	YAML
	for _ in 1 2 3; do
		pm play kube --network none "$D/kube.yaml" >/dev/null
		pm exec kp-a /bin/touch /e/shared
		[ "$(pm exec kp-b /bin/ls /e)" = shared ]
		run pm play kube --down "$D/kube.yaml"
		[ "$status" -eq 0 ]
		[[ "$output" != *[Ee]rror* && "$output" != *"does not answer"* ]]
	done
}

@test "podman build" {
	mkdir "$D/ctx"
	printf 'FROM t\nRUN uname -r >/root/kernel\nRUN exit 3\n' >"$D/ctx/failing"
	printf 'FROM t\nRUN uname -r >/root/kernel\nCMD ["cat", "/root/kernel"]\n' >"$D/ctx/Dockerfile"
	pm build --network none -t built "$D/ctx"
	run prun built
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
	run pm build --network none -f "$D/ctx/failing" "$D/ctx"
	[ "$status" -eq 3 ]
	[[ "$output" == *"exit status 3"* ]]
}
