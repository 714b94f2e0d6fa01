#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker with Hull as one of its runtimes: dockerd, its containerd and the runc shim of it, in namespaces of their own.

bats_require_minimum_version 1.5.0
load lib.bash

setup_file() {
	command -v dockerd >/dev/null || return 0
	# Short: the sockets of dockerd and containerd lie below.
	D=$(mktemp -d /var/tmp/hull-dk-XXXX)
	export D ROOT=$D/exec/runtime-runc/moby ID=$D
	printf '{"runtimes": {"hull": {"path": "%s"}}, "default-runtime": "hull", "live-restore": true}\n' "$HULL" >"$D/daemon.json"
	unshare -nm --propagation private sleep infinity 3>&- &
	export HOLDER=$!
	eventually 5 eval '[ "$(readlink /proc/$HOLDER/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
	nsenter -t "$HOLDER" -n ip link set lo up
	start_dockerd
	dk import "$DATA/try-rootfs.tar" t >/dev/null
}

# In the namespaces of the holder: a dockerd that is started again finds the mounts of the one before.
start_dockerd() {
	nsenter -t "$HOLDER" -n -m dockerd --config-file "$D/daemon.json" --data-root "$D/root" --exec-root "$D/exec" --pidfile "$D/pid" \
		-H "unix://$D/sock" --bridge=none --iptables=false --ip-forward=false --storage-driver overlay2 \
		--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${D##*/}" >>"$D/log" 2>&1 3>&- &
	eventually 60 eval 'dk info >/dev/null 2>&1'
}

stop_dockerd() {
	local pid
	pid=$(cat "$D/pid")
	kill "$pid"
	eventually 30 is_over "$pid"
}

teardown_file() {
	[ -n "${D:-}" ] || return 0
	local left pid
	remove_all
	stop_dockerd
	eventually 5 nothing_left || true
	left=$(remains)
	# What stayed is reported, but does not stay.
	for pid in $(pgrep -f -- "$D/exec"); do kill -9 "$pid" || true; done
	kill "$HOLDER"
	rm -rf --one-file-system "$D"
	[ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

# What must not outlive dockerd: processes, mounts in any namespace, Hull's state, and cgroups.
remains() {
	traces
	pgrep -af -- "$D/exec" || true
	# With live-restore dockerd leaves these two of its own.
	awk -v d="$D" 'index($0, d) && $2 != d "/root" && $2 != d "/exec/netns/default"' "/proc/$HOLDER/mounts"
	find /sys/fs/cgroup -maxdepth 2 -name "${D##*/}*"
}

nothing_left() { [ -z "$(remains)" ]; }

setup() { [ -n "${D:-}" ] || skip "no dockerd"; }

# After every test no container is left, and nothing of Hull's either.
teardown() {
	remove_all
	eventually 10 no_pods || { pgrep -af -- "--root $ROOT"; find "$ROOT" -mindepth 2; return 1; }
}

no_pods() {
	! pgrep -f -- "--root $ROOT" >/dev/null && [ -z "$(find "$ROOT" -mindepth 2 2>/dev/null)" ]
}

remove_all() {
	local ids
	ids=$(dk ps -aq)
	# shellcheck disable=SC2086
	[ -z "$ids" ] || dk rm -fv $ids >/dev/null
}

dk() { timeout -k 5 "$CALL_TIMEOUT" docker -H "unix://$D/sock" "$@"; }
drun() { dk run --rm --network none "$@"; }
# In the background: up NAME [OPTION...] IMAGE COMMAND...
up() { dk run -d --network none --name "$@" >/dev/null; }
# With a terminal of 31 rows and 99 columns: on_tty ARGUMENT... for docker; stdin is typed.
on_tty() { script -qec "stty rows 31 cols 99 -echo; exec docker -H unix://$D/sock $*" /dev/null; }
of() { dk inspect -f "{{$2}}" "$1"; }
is() { [ "$(of "$1" "$2")" = "$3" ]; }
logged() { dk logs "$1" 2>&1 | grep -q -- "$2"; }

COUNTER='trap "echo bye; exit 7" TERM; trap "echo usr1" USR1; i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.1; done'

@test "docker run: a kernel of its own, exit codes, and what cannot be run" {
	run drun t uname -r
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
	run drun t sh -c 'exit 42'
	[ "$status" -eq 42 ]
	run -127 drun t nosuch
	[[ "$output" == *'exec: "nosuch": executable file not found in $PATH'* ]]
	run drun t /etc/passwd
	[ "$status" -eq 126 ]
	[[ "$output" == *"permission denied"* ]]
}

@test "docker run -i: stdin to its end, stdout and stderr apart" {
	head -c 3000000 /dev/urandom >"$D/in"
	drun -i t sh -c 'tee /dev/fd/2' <"$D/in" >"$D/out" 2>"$D/err"
	cmp "$D/in" "$D/out"
	cmp "$D/in" "$D/err"
	rm "$D/in" "$D/out" "$D/err"
}

@test "docker run -t, -it: a terminal with its size" {
	run on_tty run --rm --network none -t t tty
	[ "$status" -eq 0 ]
	[[ "$output" == */dev/pts/0* ]]
	run on_tty run --rm --network none -it t sh -c "'sleep 0.5; stty size; exit 5'"
	[ "$status" -eq 5 ]
	[[ "$output" == *"31 99"* ]]
}

@test "docker run: user, groups, directory, environment, entrypoint, hostname" {
	run drun --user 1000:2000 --group-add 3000 -w /tmp/new -e A=b -e 'C=d e' --hostname hh t \
		sh -c 'id; pwd; echo "$A-$C"; hostname; grep -c localhost /etc/hosts'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "uid=1000 gid=2000 groups=2000,3000" ]
	[ "${lines[1]}" = /tmp/new ]
	[ "${lines[2]}" = "b-d e" ]
	[ "${lines[3]}" = hh ]
	[ "$(drun --entrypoint /bin/echo t a b)" = "a b" ]
}

@test "docker run -v: directories, files, read-only, named volumes" {
	mkdir "$D/v"
	echo data >"$D/v/f"
	echo file >"$D/vf"
	run drun -v "$D/v:/v" -v "$D/vf:/etc/vf" -v "$D/v:/ro:ro" t sh -c 'cat /v/f /etc/vf; echo new >/v/n; touch /ro/x'
	[ "$status" -eq 1 ]
	[ "${lines[0]} ${lines[1]}" = "data file" ]
	[[ "${lines[2]}" == *"Read-only file system" ]]
	[ "$(cat "$D/v/n")" = new ]
	drun -v vol:/vol t sh -c 'echo kept >/vol/a'
	[ "$(drun --mount type=volume,src=vol,dst=/w,readonly t sh -c 'cat /w/a; touch /w/b 2>/dev/null || echo ro')" = $'kept\nro' ]
	up donor -v vol:/vol t sleep 1000
	[ "$(drun --volumes-from donor t cat /vol/a)" = kept ]
}

@test "docker run: --tmpfs, --read-only, --shm-size, --init, --sysctl" {
	run drun --read-only --tmpfs /t:size=1m,mode=1770 --shm-size 32m --init --sysctl kernel.msgmax=4096 t \
		sh -c 'touch /x; stat -c %a /t; touch /t/y; df /dev/shm | tail -n1; cat /proc/sys/kernel/msgmax; ps -o pid,args'
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == *"Read-only file system" ]]
	[ "${lines[1]}" = 1770 ]
	[[ "${lines[2]}" == shm*32768* ]]
	[ "${lines[3]}" = 4096 ]
	[[ "${lines[5]}" == *" 1 /sbin/docker-init -- "* ]]
}

@test "docker run: capabilities, privileged, no-new-privileges, seccomp" {
	run drun --cap-drop ALL --cap-add NET_RAW --security-opt no-new-privileges t grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status
	[ "$(tr -s '\t\n' '  ' <<<"$output")" = "CapEff: 0000000000002000 NoNewPrivs: 1 Seccomp: 2 " ]
	[[ "$(drun --privileged --security-opt seccomp=unconfined t grep -E 'CapEff|Seccomp:' /proc/self/status)" == *0000003fffffffff*0 ]]
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >"$D/sec.json"
	run drun --security-opt "seccomp=$D/sec.json" t mkdir /q
	[ "$status" -eq 1 ]
	[[ "$output" == *"Permission denied" ]]
}

@test "docker run: limits act in the VM, which grows with them" {
	run drun -m 64m --pids-limit 17 --cpus 0.5 --cpuset-cpus 0 --ulimit nofile=100:200 --oom-score-adj 500 t \
		sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max cpuset.cpus; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj'
	[ "$output" = $'67108864\n17\n50000 100000\n0\n100\n200\n500' ]
	run drun -m 1g --cpus 2 t sh -c 'nproc; free -m | grep Mem'
	[ "${lines[0]}" = 2 ]
	[ "$(awk '{print $2}' <<<"${lines[1]}")" -ge 1024 ]
}

@test "docker run: what a VM cannot do is refused with its name" {
	up other --ipc shareable t sleep 1000
	for option in '--pid host' '--ipc host' '--uts host' '--network host'; do
		# shellcheck disable=SC2086
		run dk run --rm $option ${option/*network*/} t true
		[ "$status" -eq 125 ] || { echo "$option: $status $output"; false; }
		[[ "$output" == *"linux.namespaces: "*"cannot"* ]]
	done
	up another t sleep 1000
	run dk run --rm --pid container:other --network container:another t true
	[ "$status" -eq 125 ]
	[[ "$output" == *"cannot be in two VMs"* ]]
}

@test "docker run: a network of Docker's, whose interface comes by a hook" {
	dk network create --subnet 10.123.0.0/24 net >/dev/null
	dk run -d --network net --name box t sleep 1000 >/dev/null
	[ "$(dk exec box cat /sys/class/net/eth0/address)" = "$(dk inspect box | jq -r '.[0].NetworkSettings.Networks.net.MacAddress')" ]
	dk exec box ip addr show eth0 | grep -q "inet $(dk inspect box | jq -r '.[0].NetworkSettings.Networks.net.IPAddress')/24"
	dk run --rm --network net t ping -c 1 -W 10 10.123.0.1
	# A VM has one network.
	dk run -d --network net --ipc shareable --name other t sleep 1000 >/dev/null
	run dk run --rm --network net --ipc container:other t true
	[ "$status" -eq 125 ]
	[[ "$output" == *"linux.namespaces: network: a container that joins pod "*"has the interface eth0"* ]]
	dk run --rm --network none --ipc container:other t true
	dk rm -f box other >/dev/null
	dk network rm net
}

@test "docker run --network, --ipc, --pid container:NAME: in the VM of NAME" {
	up first --ipc shareable --hostname first t sleep 1111
	dk run -d --runtime hull --name second --network container:first --ipc container:first --pid container:first t sleep 2222 >/dev/null
	[ "$(pgrep -fc -- "hull-pod --root $ROOT")" = 1 ]
	[ "$(dk exec second hostname)" = first ]
	run dk exec second ps
	[[ "$output" == *"sleep 1111"*"sleep 2222"* ]]
	[ "$(dk exec second readlink /proc/self/ns/ipc)" = "$(dk exec first readlink /proc/self/ns/ipc)" ]
	dk exec first touch /dev/shm/seen
	dk exec second ls /dev/shm/seen
	dk exec -d first sh -c 'echo hello | nc -l -p 99'
	eventually 10 eval '[ "$(dk run --rm -i --network container:first t nc 127.0.0.1 99 </dev/null)" = hello ]'
	dk rm -f second >/dev/null
	dk exec first true
}

@test "docker exec: stdin, user, directory, environment, detached, exit codes" {
	up box t sleep 1000
	run dk exec -u 1000:7 -w /tmp -e X=y box sh -c 'id; pwd; echo $X; exit 9'
	[ "$status" -eq 9 ]
	[ "$output" = $'uid=1000 gid=7 groups=7\n/tmp\ny' ]
	[ "$(echo in | dk exec -i box cat)" = in ]
	dk exec -d box sh -c 'echo det >/tmp/det'
	eventually 10 eval '[ "$(dk exec box cat /tmp/det)" = det ]'
	run on_tty exec -it box sh -c "'sleep 0.5; tty; stty size; exit 3'"
	[ "$status" -eq 3 ]
	[[ "$output" == */dev/pts/*"31 99"* ]]
}

@test "docker exec: what cannot be run says so, in time" {
	up box t sleep 1000
	SECONDS=0
	# 126 for both: dockerd 20.10 does not tell them apart, whatever the runtime.
	run dk exec box nosuch
	[ "$status" -eq 126 ]
	[[ "$output" == *'exec: "nosuch": executable file not found in $PATH'* ]]
	run dk exec box /etc/passwd
	[ "$status" -eq 126 ]
	[[ "$output" == *"permission denied"* ]]
	run dk exec -w /nonexist box pwd
	[ "$status" -eq 126 ]
	[ $SECONDS -lt 10 ]
	is box .State.Status running
}

@test "docker exec: ends with its container" {
	up box t sleep 1000
	(code=0; dk exec box sleep 1000 || code=$?; echo $code >"$D/code") 3>&- &
	eventually 10 eval 'dk exec box ps | grep -c "sleep 1000" | grep -q 2'
	dk kill box
	wait $!
	[ "$(cat "$D/code")" = 137 ]
}

@test "docker stop: SIGTERM, SIGKILL after the time, and the image's signal" {
	up polite t sh -c "$COUNTER"
	eventually 10 logged polite 'line 1'
	dk stop polite
	is polite .State.ExitCode 7
	logged polite bye
	up deaf t sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
	eventually 10 logged deaf up
	dk stop -t 1 deaf
	is deaf .State.ExitCode 137
	up usr --stop-signal USR1 t sh -c 'trap "exit 5" USR1; echo up; while :; do sleep 0.1; done'
	eventually 10 logged usr up
	dk stop usr
	is usr .State.ExitCode 5
}

@test "docker kill, wait, rm -f; a name is free again" {
	up box t sh -c "$COUNTER"
	eventually 10 logged box 'line 1'
	dk kill -s USR1 box
	eventually 10 logged box usr1
	dk kill box
	[ "$(dk wait box)" = 137 ]
	dk rm box
	up box t sleep 1000
	run dk rm box
	[ "$status" -ne 0 ]
	dk rm -f box
	[ -z "$(dk ps -aq)" ]
}

@test "docker logs, logs -f, attach and detach" {
	up box t sh -c "$COUNTER"
	[ "$(timeout 20 docker -H "unix://$D/sock" logs -f box | head -n5 | tail -n1)" = "line 5" ]
	run dk logs --tail 2 box
	[ "${#lines[@]}" -eq 2 ]
	up all t seq 1 100000
	dk wait all
	[ "$(dk logs all | md5sum)" = "$(seq 1 100000 | md5sum)" ]
	dk run -dit --network none --name shell t sh
	run bash -c "(sleep 1; printf 'echo h\$((1+1))\rexit 4\r'; sleep 2) | script -qec 'docker -H unix://$D/sock attach shell' /dev/null"
	[ "$status" -eq 4 ]
	[[ "$output" == *h2* ]]
	dk start shell
	(sleep 1; printf '\x10\x11'; sleep 1) | script -qec "docker -H unix://$D/sock attach shell" /dev/null || true
	is shell .State.Status running
}

@test "docker create and start -ai; start again; restart" {
	dk create --name box --network none -i t cat
	[ "$(echo typed | dk start -ai box)" = typed ]
	dk create --name loop --network none t sh -c "$COUNTER"
	dk start loop
	eventually 10 logged loop 'line 2'
	pid=$(of loop .State.Pid)
	dk restart -t 5 loop
	[ "$(of loop .State.Pid)" != "$pid" ]
	is loop .State.Status running
	eventually 10 eval '[ "$(dk logs loop | grep -cx "line 1")" = 2 ]'
}

@test "docker restart policies: on-failure:2, always" {
	up failing --restart on-failure:2 t sh -c 'echo run; exit 3'
	up ending --restart always t sh -c 'echo run'
	eventually 60 eval 'is failing .RestartCount 2 && is failing .State.Status exited'
	is failing .State.ExitCode 3
	[ "$(dk logs failing | grep -c run)" = 3 ]
	eventually 60 eval '[ "$(of ending .RestartCount)" -ge 2 ]'
	dk rm -f ending
}

@test "docker restart always: a VM that dies is a container that dies" {
	up box --restart always t sleep 1000
	pod=$(pgrep -f -- "hull-pod --root $ROOT")
	kill -9 "$(pgrep -P "$pod" qemu)"
	eventually 30 eval 'is box .RestartCount 1 && is box .State.Status running'
	dk exec box true
}

@test "docker: a shim that is killed takes its VM along" {
	up box t sleep 1000
	kill -9 "$(pgrep -f -- "containerd-shim-runc-v2 .*-id $(of box .Id)")"
	eventually 20 is box .State.ExitCode 137
	eventually 10 no_pods
}

@test "docker cp: in and out while it runs, the root, directories and volumes" {
	up box -v data:/data t sleep 1000
	echo in >"$D/f"
	dk cp "$D/f" box:/root/f
	dk cp "$D/f" box:/data/f
	[ "$(dk exec box cat /root/f /data/f)" = $'in\nin' ]
	dk exec box sh -c 'mkdir /root/d; echo out >/root/d/o; echo vout >/data/o'
	dk cp box:/root/d "$D/d"
	[ "$(cat "$D/d/o")" = out ]
	[ "$(dk cp box:/data/o - | tar -xO)" = vout ]
	dk kill box
	[ "$(dk cp box:/root/d/o - | tar -xO)" = out ]
}

@test "docker diff, commit, export, rename, inspect" {
	up box t sh -c 'echo mine >/root/f; exec sleep 1000'
	eventually 10 eval 'dk diff box | grep -qx "A /root/f"'
	dk commit box t2 >/dev/null
	[ "$(drun t2 cat /root/f)" = mine ]
	dk export box | tar -t | grep -qx root/f
	dk rename box crate
	is crate .Name /crate
	is crate .State.Running true
	is crate .HostConfig.Runtime hull
	[ "$(cat "/proc/$(of crate .State.Pid)/comm")" = hull-standin ]
}

@test "docker pause, unpause, and death while paused" {
	up box t sh -c "$COUNTER"
	eventually 10 logged box 'line 1'
	dk pause box
	is box .State.Status paused
	sleep 0.3
	before=$(dk logs box | wc -l)
	sleep 0.7
	[ "$(dk logs box | wc -l)" = "$before" ]
	run dk exec box true
	[ "$status" -ne 0 ]
	dk unpause box
	eventually 10 eval '[ "$(dk logs box | wc -l)" -gt "$before" ]'
	dk pause box
	dk kill box
	eventually 10 is box .State.ExitCode 137
}

@test "docker top names the host's process" {
	up box t sleep 1000
	dk exec -d box sleep 2000
	run dk top box -o pid,args
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" == "$(of box .State.Pid) "*hull-standin* ]]
}

@test "docker stats: what the VM takes on the host, and its limit" {
	up box -m 64m --pids-limit 20 t sleep 1000
	dk stats --no-stream --format '{{json .}}' box >"$D/stats"
	cat "$D/stats"
	# More than the container has, for it is a VM's; a limit that is no container's; threads of QEMU and virtiofsd.
	jq -e '.Name == "box" and (.CPUPerc | endswith("%")) and (.PIDs | tonumber) > 4
		and (.MemUsage | test("^[0-9.]+MiB / [0-9.]+(MiB|GiB)$")) and (.MemUsage | startswith("0") | not)' "$D/stats"
	usage=$(jq -r '.MemUsage | split("MiB")[0] | tonumber | floor' "$D/stats")
	[ "$usage" -ge 20 ]
	group=$(sed -n 's/^[0-9]*:memory:\|^0:://p' "/proc/$(of box .State.Pid)/cgroup" | head -n1)
	[ "$group" = "/${D##*/}/$(dk inspect -f '{{.Id}}' box)" ]
}

@test "docker update" {
	up box -m 256m t sleep 1000
	dk update --memory 128m --memory-swap 256m --cpus 1 --pids-limit 55 box
	[ "$(dk exec box sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max')" = $'134217728\n100000 100000\n55' ]
	run dk update --memory 64g --memory-swap 64g box
	[ "$status" -ne 0 ]
	[[ "$output" == *"that the VM can grow to"* ]]
}

@test "docker health checks: healthy, unhealthy, timeout" {
	up box --health-cmd 'test -e /tmp/ok' --health-interval 1s --health-retries 1 t sleep 1000
	up slow --health-cmd 'sleep 4321' --health-timeout 1s --health-interval 1s --health-retries 1 t sleep 1000
	eventually 20 is box .State.Health.Status unhealthy
	dk exec box touch /tmp/ok
	eventually 20 is box .State.Health.Status healthy
	eventually 20 is slow .State.Health.Status unhealthy
	# The check that took too long was killed in the VM.
	dk update --restart no slow
	eventually 20 eval '[ "$(dk exec slow ps | grep -c "sleep 4321")" -le 1 ]'
}

@test "docker run -m: out of memory is 137, and a child's is its own" {
	run drun -m 32m t sh -c 'x=a; while :; do x=$x$x; done'
	[ "$status" -eq 137 ]
	run drun -m 32m t sh -c 'sh -c "x=a; while :; do x=\$x\$x; done"; echo "child $?"'
	[ "$status" -eq 0 ]
	[[ "$output" == *"child 137"* ]]
}

@test "docker build with Hull as the default runtime" {
	mkdir "$D/ctx"
	printf 'FROM t\nRUN uname -r >/root/kernel\nCMD ["cat", "/root/kernel"]\n' >"$D/ctx/Dockerfile"
	DOCKER_BUILDKIT=0 dk build --network none -t built "$D/ctx"
	run drun built
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
}

@test "dockerd goes and comes: containers live on (live-restore)" {
	up lives t sh -c "$COUNTER"
	up ends t sh -c 'sleep 2; exit 6'
	eventually 10 logged lives 'line 1'
	stop_dockerd
	kill -0 "$(pgrep -f -- "hull-standin .*$(basename "$(find "$ROOT/containers" -mindepth 1 -maxdepth 1 | head -n1)")")"
	sleep 2
	start_dockerd
	is ends .State.ExitCode 6
	is lives .State.Status running
	before=$(dk logs lives | wc -l)
	eventually 10 eval '[ "$(dk logs lives | wc -l)" -gt "$before" ]'
	[ "$(dk exec lives echo yes)" = yes ]
	dk stop -t 5 lives
	is lives .State.ExitCode 7
}
