#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Further processes in a container, compared with runc's exec in the same container.

bats_require_minimum_version 1.5.0
load lib.bash
load runc.bash
setup() { setup_hull; }
teardown() {
	runc_gone
	teardown_hull
}

# The process as it sees itself.
# (Ignored signals are left out: runc passes on those of whoever runs the tests.)
SEEN='pwd; id -u; id -g; grep -E "^(Groups|Cap|NoNewPrivs|Seccomp:|SigBlk)" /proc/self/status; env | sort; ulimit -n
	cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l; for n in pid mnt uts ipc net; do
	[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo same $n; done; [ -t 0 ] || echo no terminal'

@test "exec: arguments, environment, directory, user, groups, capabilities as runc" {
	mkdir -p "$BUNDLE/rootfs/work dir"
	config '.process.user = {uid: 0, gid: 0, umask: 7, additionalGids: [3]} | .process.cwd = "/tmp"
		| .process.env += ["FROM=config", "OVER=config"] | .process.oomScoreAdj = 77 | .process.noNewPrivileges = false
		| .process.capabilities.bounding += ["CAP_SYS_PTRACE", "CAP_SETUID"] | .process.capabilities.inheritable = ["CAP_KILL"]
		| .process.capabilities.permitted += ["CAP_SYS_PTRACE"] | .process.capabilities.effective += ["CAP_SYS_PTRACE"]'
	start_sleeper
	runc_sleeper
	exec_same_as_runc -- sh -c "$SEEN" </dev/null
	seen /tmp FROM=config OVER=config 77 'same pid' 'same mnt' 'no terminal'
	# The specification's umask is the process', so it is that of an exec too; runc's exec takes the caller's.
	[ "$(hull exec "$ID" sh -c umask)" = 0007 ]
	exec_same_as_runc --env NEW=1 --env 'OVER=a  b' --env EMPTY= --cwd "/work dir" --user 1000:1001 -g 7 -g 8 -- \
		sh -c "$SEEN" </dev/null
	seen '/work dir' 1000 1001 'OVER=a  b' NEW=1
	exec_same_as_runc --user 0 --cap CAP_SYS_ADMIN --cap CAP_KILL --no-new-privs -- sh -c "$SEEN" </dev/null
	seen $'NoNewPrivs:\t1'
	exec_same_as_runc --user 1000 --cap CAP_NET_RAW -- sh -c "$SEEN" </dev/null
	exec_same_as_runc -- sh -c 'for a; do printf "<%s>" "$a"; done' zero '' 'a b' $'new\nline' ünï -x -- --user </dev/null
	exec_same_as_runc -e 'PATH=/nowhere:/bin' -- uname </dev/null
	[ "$output" = Linux ]
	run hull exec --user nobody "$ID" true
	[ "$status" -ne 0 ]
	run hull exec --cap CAP_MADE_UP "$ID" true
	[ "$status" -ne 0 ]
	run hull exec --env 'NAME=VALUE' "$ID"
	[ "$status" -ne 0 ]
}

@test "exec: --process takes a file, and nothing of the container's process" {
	config '.process.env += ["FROM=config"]'
	start_sleeper
	runc_sleeper
	jq -n --arg s "$SEEN" '{args: ["sh", "-c", $s, "zero"], env: ["PATH=/bin", "ONLY=this"], cwd: "/var", user: {uid: 33, gid: 34, additionalGids: [35]},
		capabilities: {bounding: ["CAP_KILL"], effective: [], permitted: ["CAP_KILL"], inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"]},
		rlimits: [{type: "RLIMIT_NOFILE", soft: 55, hard: 66}], noNewPrivileges: true}' >"$WORK/process.json"
	exec_same_as_runc --process "$WORK/process.json" -- </dev/null
	seen /var 33 34 ONLY=this $'CapAmb:\t0000000000000020' 55
	# runc reads oomScoreAdj, but does not use it here.
	jq '.oomScoreAdj = 500 | .args = ["cat", "/proc/self/oom_score_adj"]' "$WORK/process.json" >"$WORK/process2.json"
	[ "$(hull exec --process "$WORK/process2.json" "$ID")" = 500 ]
	for bad in '{' '[]' '{"args": [], "cwd": "/"}' '{"args": ["true"], "cwd": "rel"}' '{"args": ["true"], "cwd": "/", "x": 1}' ''; do
		echo "$bad" >"$WORK/process.json"
		run hull exec --process "$WORK/process.json" "$ID"
		[ "$status" -ne 0 ]
		[[ "$output" == *process* ]]
	done
	run hull exec --process "$WORK/none.json" "$ID"
	[[ "$status" -ne 0 && "$output" == *none.json* ]]
}

@test "exec: exit codes, signals, stdin; programs that cannot be started" {
	mkdir -p "$BUNDLE/rootfs/opt/dir"
	cd "$BUNDLE/rootfs/opt"
	echo data >plain
	printf '#!/no/such/interpreter\n' >script && chmod +x script
	printf 'no format\n' >noformat && chmod +x noformat
	: >empty && chmod +x empty
	printf '#!/bin/sh\necho "script $*"\n' >works && chmod +x works
	ln -s nowhere dangling
	cd -
	start_sleeper
	runc_sleeper
	for code in 0 1 42 255; do
		exec_same_as_runc -- sh -c "exit $code" </dev/null
		[ "$status" -eq "$code" ]
	done
	for sig in 9 15 6 1; do
		exec_same_as_runc -- sh -c "kill -$sig \$\$" </dev/null
		[ "$status" -eq $((128 + sig)) ]
	done
	head -c 300000 /dev/urandom | base64 >"$WORK/in"
	exec_same_as_runc -- cat <"$WORK/in"
	cmp "$WORK/in" "$WORK/hull.out"
	[ "$(hull exec "$ID" sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
	exec_same_as_runc -- /opt/works a 'b c' </dev/null
	[ "$output" = "script a b c" ]

	EXEC_ERRORS=1
	exec_same_as_runc -- nonexist </dev/null
	[[ "$output" == *'exec failed: unable to start container process: exec: "nonexist": executable file not found in $PATH'* ]]
	exec_same_as_runc -- /no/such </dev/null
	exec_same_as_runc -- /opt/dangling </dev/null
	exec_same_as_runc -- /opt/plain/below </dev/null
	exec_same_as_runc -- /opt/plain </dev/null
	# "is a directory" since Go 1.20, "permission denied" before: not compared.
	run -126 hull exec "$ID" /opt/dir
	[[ "$output" == *'exec failed: unable to start container process: exec: "/opt/dir": is a directory' ]]
	# runc says this on the program's own stderr and ends with 1; with Hull it is an error of the call, as the others are.
	run -127 hull exec "$ID" /opt/script
	[[ "$output" == *'exec /opt/script: no such file or directory' ]]
	run -126 hull exec "$ID" /opt/noformat
	[[ "$output" == *'exec /opt/noformat: exec format error' ]]
	run -126 hull exec "$ID" /opt/empty
	[[ "$output" == *'exec /opt/empty: exec format error' ]]
	exec_same_as_runc --cwd /no/such/dir -- true </dev/null
	EXEC_ERRORS=

	# The codes of shells, as runc since 1.2 has them; 255 before.
	for want in 127:nonexist 127:/no/such 126:/opt/plain 126:/opt/dir; do
		SECONDS=0
		run "-${want%%:*}" hull exec "$ID" "${want#*:}"
		[ "$SECONDS" -lt 5 ]
	done
	is_status "$ID" running
	[ "$(hull ps "$ID" | tail -n +2 | wc -l)" = 1 ]
}

@test "run and create: a program that cannot be started leaves nothing behind" {
	echo data >"$BUNDLE/rootfs/plain"
	for want in 127:nonexist 127:/no/such 126:/plain 126:/bin; do
		args "${want#*:}"
		run "-${want%%:*}" hull run --bundle "$BUNDLE" "$ID"
		[[ "$output" == *"unable to start container process"*"exec: \"${want#*:}\": "* ]]
		[ -z "$(hull list -q)" ]
		eventually 5 eval '[ -z "$(leftovers)" ]'
	done
	args nonexist
	run -127 hull create --bundle "$BUNDLE" --pid-file "$WORK/pid" "$ID"
	[ ! -e "$WORK/pid" ]
	eventually 5 eval '[ -z "$(leftovers)" ]'
}

@test "exec: a terminal, its size, its signals; and none" {
	start_sleeper
	run python3 - "$BATS_TEST_DIRNAME" "$HULL" --root "$ROOT" <<'PY'
import os, sys, time
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import stdio
hull, cid = sys.argv[2:], os.listdir(sys.argv[4] + "/containers")[0]

t = stdio.Terminal(hull + ["exec", "-t", "-e", "A=b c", "--user", "1000:5", cid, "sh"], 31, 97)
t.expect(b"$ ")
t.write(b"stty size; echo $((40+2))-$A; id -u; stat -c '%U %a' $(tty); ls -l /dev/console; test -t 2 && echo err\n")
t.expect(b"31 97\r\n")
t.expect(b"42-b c\r\n")
t.expect(b"1000\r\n")
t.expect(b"err\r\n")
t.write(b"cat\n")
time.sleep(0.5)
t.write(b"\x03")
t.expect(b"^C")
# The shell drops what was typed before its prompt.
t.expect(b"$ ")
t.write(b"echo code-$?; exit 9\n")
t.expect(b"code-130\r\n")
t.end(9)

# What does not want to end with its terminal goes on; hull waits for it.
t = stdio.Terminal(hull + ["exec", "-t", cid, "sh", "-c",
    "trap 'echo hup >/dev/shm/hup' HUP; echo ready; while [ ! -e /dev/shm/end ]; do sleep 0.1; done; exit 5"])
t.expect(b"ready")
os.close(t.master)
os.close(t.slave)
def inside(*command):
    return stdio.subprocess.run(hull + ["exec", cid, *command], stdin=stdio.subprocess.DEVNULL, capture_output=True, timeout=60)
end = time.monotonic() + 15
while inside("cat", "/dev/shm/hup").stdout != b"hup\n":
    if time.monotonic() > end:
        stdio.fail("no hang-up")
stdio.check("still there", t.p.poll(), None)
inside("touch", "/dev/shm/end")
stdio.check("exit", t.p.wait(30), 5)
PY
	echo "$output"
	[ "$status" -eq 0 ]
	is_status "$ID" running
	run hull exec -t -d "$ID" true
	[[ "$status" -ne 0 && "$output" == *"cannot allocate tty if hull will detach without setting console socket"* ]]
	run hull exec -d --console-socket /nonexistent "$ID" true
	[ "$status" -ne 0 ]
	run hull exec -t -d --console-socket "$WORK/nonexistent" "$ID" true
	[[ "$status" -ne 0 && "$output" == *console-socket* ]]
	# -t with a stdin that is no terminal.
	run sh -c "echo 'echo got-\$((1+1)); exit 3' | timeout 60 '$HULL' --root '$ROOT' exec -t '$ID' sh"
	[ "$status" -eq 3 ]
	[[ "$output" == *got-2* ]]
}

@test "exec: detached, a stand-in lives and dies with it, either way" {
	start_sleeper
	hull exec -d --pid-file "$WORK/p1" "$ID" sh -c 'while [ ! -e /dev/shm/end ]; do sleep 0.05; done; exit 3' </dev/null >/dev/null 2>&1
	hull exec -d --pid-file "$WORK/p2" "$ID" sleep 4321 </dev/null >/dev/null 2>&1
	hull exec -d --pid-file "$WORK/p3" "$ID" sh -c 'trap "echo term >/dev/shm/term; exit 0" TERM; echo ready; while :; do sleep 0.05; done' \
		</dev/null >"$WORK/out" 2>&1
	p1=$(cat "$WORK/p1") p2=$(cat "$WORK/p2") p3=$(cat "$WORK/p3")
	kill -0 "$p1" "$p2" "$p3"
	[ "$(hull ps "$ID" | grep -c 'sleep 4321')" -eq 1 ]
	grep -q "$ID" "/proc/$p2/cmdline"

	hull exec "$ID" touch /dev/shm/end
	eventually 10 eval "! kill -0 $p1 2>/dev/null"
	kill -KILL "$p2"
	eventually 10 eval '! hull ps "$ID" | grep -q "sleep 4321"'
	eventually 10 grep -q ready "$WORK/out"
	kill -TERM "$p3"
	eventually 10 eval "! kill -0 $p3 2>/dev/null"
	[ "$(hull exec "$ID" cat /dev/shm/term)" = term ]
	is_status "$ID" running
	# A detached one that cannot be started is an error of the call itself.
	run -127 hull exec -d --pid-file "$WORK/p4" "$ID" nonexist
	[ ! -e "$WORK/p4" ]
	# The end of the container is the end of all.
	hull exec -d --pid-file "$WORK/p5" "$ID" sleep 4322 </dev/null >/dev/null 2>&1
	hull kill "$ID" KILL
	eventually 10 eval "! kill -0 $(cat "$WORK/p5") 2>/dev/null"
}

@test "exec: containers that are unknown, created, paused, stopped" {
	run hull exec nobody-knows true
	[ "$status" -ne 0 ]
	[[ "$output" == *"container does not exist"* ]]
	args sleep 3600
	hull create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	# As with runc a created container takes an exec: its namespaces are there.
	run hull exec "$ID" echo early
	[ "$status" -eq 0 ]
	[ "$output" = early ]
	hull start "$ID"
	hull pause "$ID"
	run hull exec "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"cannot exec in a paused container"* ]]
	hull resume "$ID"
	hull exec "$ID" true
	hull kill "$ID" KILL
	eventually 10 is_status "$ID" stopped
	run hull exec "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"cannot exec in a stopped container"* ]]
}

@test "exec: thirty at once, each with its own streams and status" {
	start_sleeper
	for i in $(seq 30); do
		(
			code=0
			echo "in $i" | hull exec "$ID" sh -c "read x; echo \"out $i \$x\"; echo err $i >&2; exit $i" >"$WORK/o$i" 2>"$WORK/e$i" || code=$?
			echo "$code" >"$WORK/c$i"
		) 3>&- &
	done
	wait
	for i in $(seq 30); do
		[ "$(cat "$WORK/o$i")" = "out $i in $i" ]
		[ "$(cat "$WORK/e$i")" = "err $i" ]
		[ "$(cat "$WORK/c$i")" = "$i" ]
	done
	[ "$(hull ps "$ID" | tail -n +2 | wc -l)" = 1 ]
}

@test "exec: seccomp, masks, limits and the user namespace hold for it too" {
	chown -R 100000:200000 "$BUNDLE/rootfs"
	chmod 711 "$WORK" "$BUNDLE"
	config '.linux.namespaces += [{type: "user"}] | del(.process.rlimits) | .mounts |= map(select(.type != "cgroup"))
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 1000}]
		| .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 50, hard: 60}]
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	start_sleeper
	runc_sleeper
	exec_same_as_runc --user 5:6 -- sh -c 'cat /proc/self/uid_map; id -u; id -g; ulimit -n; grep -E "^(Seccomp:|CapB)" /proc/self/status
		mkdir /dev/shm/x 2>&1; ls /sys/firmware; touch /x 2>&1; readlink /proc/self/ns/user | cut -c1-4' </dev/null
	[[ "$output" == *"No space left on device"* ]]
	EXEC_ERRORS=1 exec_same_as_runc --user 1000 -- id </dev/null
}
