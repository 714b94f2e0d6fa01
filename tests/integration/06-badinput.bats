#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Whatever Hull is given: a clear error that names what is wrong, at once, and nothing left. Errors of configuration start no VM.

load lib.bash
setup() {
	setup_hull
	# Away from the default ones, as other VMs may run here.
	local base=$((2000000000 - 4194304 * (1 + $$ % 25)))
	VM_UIDS=$base-$((base + 4194304))
	HULL_CONF=$WORK/hull.conf
	printf '[security]\nuid_base = %s\n' "$base" >"$HULL_CONF"
	export HULL_CONFIG=$HULL_CONF
	args true
}
teardown() { teardown_hull; }

# refused PATTERN [ARGUMENT…]: creating fails within two seconds, the message matches, and nothing is left.
refused() {
	local pattern since
	[ "$1" != -- ] || shift
	pattern=$1
	shift
	since=$(now_ms)
	# Not `run`: a container that was made after all would hold its pipe open.
	status=0
	hull create --bundle "$BUNDLE" "$@" "$ID" </dev/null >"$WORK/out" 2>&1 || status=$?
	output=$(cat "$WORK/out")
	mapfile -t lines <"$WORK/out"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] || { echo "status $status: $output" >&2; return 1; }
	took_at_most "${LIMIT_MS:-2000}" "$since"
	[[ "$output" =~ $pattern ]] || { echo "\"$pattern\" is not in: $output" >&2; return 1; }
	# One line, no C-style noise.
	[ "${#lines[@]}" -eq 1 ] || { echo "more than a line: $output" >&2; return 1; }
	assert_no_traces
}

# with_config JQ-PROGRAM PATTERN
with_config() {
	cp "$BUNDLE/config.json" "$WORK/good.json"
	config "$1"
	refused "$2" || { echo "after: $1" >&2; return 1; }
	cp "$WORK/good.json" "$BUNDLE/config.json"
}

@test "config.json: wrong types and missing fields are named" {
	with_config '.ociVersion = 1' 'config\.json: ociVersion'
	with_config 'del(.ociVersion)' 'config\.json: ociVersion'
	with_config '.ociVersion = "9.0.0"' 'ociVersion'
	with_config 'del(.process)' 'config\.json: process'
	with_config '.process = []' 'config\.json: process'
	with_config '.process.args = []' 'process\.args'
	with_config '.process.args = "true"' 'process\.args'
	with_config '.process.args = [1]' 'process\.args\[0\]'
	with_config 'del(.process.args)' 'process\.args'
	with_config '.process.cwd = "relative"' 'process\.cwd'
	with_config 'del(.process.cwd)' 'process\.cwd'
	with_config '.process.env = ["A", 1]' 'process\.env'
	with_config '.process.user.uid = -1' 'process\.user\.uid'
	with_config '.process.user.uid = "root"' 'process\.user\.uid'
	with_config '.process.user.uid = 4294967296' 'process\.user\.uid'
	with_config '.process.rlimits = [{"type":"RLIMIT_X","soft":1,"hard":1}]' 'process\.rlimits'
	with_config '.process.rlimits = [{"type":"RLIMIT_NOFILE","soft":2,"hard":1}]' 'process\.rlimits'
	with_config '.process.terminal = "yes"' 'process\.terminal'
	with_config '.process.noNewPrivileges = "yes"' 'process\.noNewPrivileges'
	with_config 'del(.root)' 'config\.json: root'
	with_config '.root.path = ""' 'root\.path'
	with_config '.root.readonly = "false"' 'root\.readonly'
	with_config '.mounts = {}' 'mounts'
	with_config '.mounts[0].destination = ""' 'mounts\[0\]\.destination'
	with_config '.mounts[0].destination = 7' 'mounts\[0\]\.destination'
	with_config '.mounts[0].options = [7]' 'mounts\[0\]\.options'
	with_config '.linux = []' 'config\.json: linux'
	with_config '.linux.namespaces = [{"type":"nosuch"}]' 'linux\.namespaces\[0\]'
	with_config '.linux.namespaces = [{"type":"pid"},{"type":"pid"}]' 'linux\.namespaces'
	with_config '.linux.resources.memory.limit = "64M"' 'linux\.resources\.memory\.limit'
	with_config '.linux.resources.pids.limit = 1.5' 'linux\.resources\.pids\.limit'
	with_config '.linux.maskedPaths = "x"' 'linux\.maskedPaths'
	with_config '.linux.seccomp = {"defaultAction":"SCMP_ACT_NOSUCH"}' 'linux\.seccomp'
	with_config '.annotations = {"a": 1}' 'annotations'
	with_config '.hooks.prestart = [{"path":"relative"}]' 'hooks\.prestart\[0\]'
	with_config '.hostname = 5' 'hostname'
}

@test "config.json: what matters for security and is not there is refused by name" {
	with_config '.mounts += [{"destination":"/x","type":"bind","source":"/tmp","options":["bind"],"uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"gidMappings":[{"containerID":0,"hostID":1000,"size":1}]}]' 'mounts\[[0-9]+\].*(id-mapped|uidMappings)'
	with_config '.linux.resources.rdma = {"mlx5_1":{"hcaHandles":3}}' 'linux\.resources\.rdma'
	for ns in pid ipc uts; do
		with_config "(.linux.namespaces[] | select(.type == \"$ns\")).path = \"/proc/$$/ns/$ns\"" "linux\.namespaces: $ns: /proc/$$/ns/$ns cannot be joined: it is the host's own"
	done
	config 'del(.hostname)'
	for ns in pid ipc uts network mount; do
		with_config ".linux.namespaces |= map(select(.type != \"$ns\"))" "linux\.namespaces: no $ns namespace"
	done
	with_config '.linux.seccomp = {"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x.sock"}' 'linux\.seccomp\.listenerPath'
	with_config '(.linux.namespaces[] | select(.type == "mount")).path = "/proc/1/ns/mnt"' 'linux\.namespaces: mount'
	with_config '.linux.intelRdt = {"closID":"x"}' 'linux\.intelRdt'
}

@test "config.json: not JSON, too deep, too large, duplicate keys, NUL, bad UTF-8" {
	local good
	good=$(cat "$BUNDLE/config.json")
	broken() { refused "$1"; }
	printf '' >"$BUNDLE/config.json"; broken 'config\.json'
	printf '{' >"$BUNDLE/config.json"; broken 'config\.json'
	printf 'null' >"$BUNDLE/config.json"; broken 'config\.json'
	printf '[]' >"$BUNDLE/config.json"; broken 'config\.json'
	printf '%s garbage' "$good" >"$BUNDLE/config.json"; broken 'config\.json'
	python3 -c 'print("["*100000)' >"$BUNDLE/config.json"; broken 'config\.json.*(deep|nest|depth)'
	python3 -c 'print("{\"a\":"*5000 + "1" + "}"*5000)' >"$BUNDLE/config.json"; broken 'config\.json.*(deep|nest|depth)'
	printf '{"ociVersion":"1.0.2","ociVersion":"1.0.2"}' >"$BUNDLE/config.json"; broken 'ociVersion'
	jq -c '.' <<<"$good" | sed 's/"cwd":"\/"/"cwd":"\/","cwd":"\/tmp"/' >"$BUNDLE/config.json"; broken 'cwd'
	jq -c '.hostname = "a\u0000b"' <<<"$good" >"$BUNDLE/config.json"; broken 'hostname|NUL'
	printf '%s\0' "$good" >"$BUNDLE/config.json"; broken 'config\.json'
	jq -c '.hostname = "XX"' <<<"$good" | LC_ALL=C sed 's/XX/\xff\xfe/' >"$BUNDLE/config.json"; broken 'UTF-8'
	python3 -c 'import sys; print(open(sys.argv[1]).read()) if 0 else print("{\"ociVersion\":\"1.0.2\",\"annotations\":{\"a\":\"" + "x"*(5 << 20) + "\"}}")' >"$BUNDLE/config.json"
	broken 'larger than [0-9]+ MiB'
}

@test "config.json: a fifo, a directory, a device, missing" {
	rm "$BUNDLE/config.json"
	refused 'config\.json: No such file'
	mkfifo "$BUNDLE/config.json"
	refused 'config\.json: not a regular file'
	rm "$BUNDLE/config.json"
	mkdir "$BUNDLE/config.json"
	refused 'config\.json: not a regular file'
	rmdir "$BUNDLE/config.json"
	ln -s /dev/zero "$BUNDLE/config.json"
	refused 'config\.json: not a regular file'
	rm "$BUNDLE/config.json"
	ln -s config.json "$BUNDLE/config.json"
	refused 'config\.json: Too many levels'
	run hull create --bundle "$WORK/nothing" "$ID" </dev/null
	[ "$status" -ne 0 ]
	[[ "$output" == *"$WORK/nothing: No such file"* ]]
	run hull create --bundle "$HULL_CONF" "$ID" </dev/null
	[ "$status" -ne 0 ]
	[[ "$output" == *"Not a directory"* ]]
	run hull create --bundle "$BUNDLE" --config "$WORK/none.json" "$ID" </dev/null
	[[ "$output" == *"none.json: No such file"* ]]
	assert_no_traces
}

@test "rootfs: missing, a file, a loop, the host's own" {
	with_config '.root.path = "nothing"' 'config\.json: root\.path: .*/nothing: No such file'
	with_config '.root.path = "config.json"' 'config\.json: root\.path: .* not a directory'
	ln -s loop "$BUNDLE/loop"
	with_config '.root.path = "loop"' 'config\.json: root\.path: .*loop: Too many levels'
	with_config '.root.path = "/"' "config\.json: root\.path: the host's own root"
	with_config '.root.path = "../../../../../../.."' "config\.json: root\.path: the host's own root"
}

@test "a bind source that is not there, is a loop, or a directory for a file" {
	with_config '.mounts += [{"destination":"/x","type":"bind","source":"/nothing/here","options":["rbind"]}]' \
		'config\.json: mounts\[[0-9]+\]\.source: .*/nothing/here: No such file'
	ln -s loop "$BUNDLE/loop"
	with_config '.mounts += [{"destination":"/x","type":"bind","source":"loop","options":["bind"]}]' \
		'config\.json: mounts\[[0-9]+\]\.source: .*loop: Too many levels'
	with_config '.mounts += [{"destination":"/x","type":"bind","options":["bind"]}]' 'mounts\[[0-9]+\]\.source'
	# Only the guest's kernel can tell.
	LIMIT_MS=10000 with_config '.mounts += [{"destination":"/x","type":"nosuchfs","source":"x"}]' 'error mounting "x" to rootfs at "/x"'
}

@test "a program that is not there or may not run: 127 and 126 with runc's words, at once" {
	local since prog want text
	printf 'no program\n' >"$BUNDLE/rootfs/plain"
	chmod 644 "$BUNDLE/rootfs/plain"
	printf 'garbage' >"$BUNDLE/rootfs/garbage"
	chmod 755 "$BUNDLE/rootfs/garbage"
	while IFS='|' read -r prog want text; do
		args "$prog"
		run hull run --bundle "$BUNDLE" "$ID" </dev/null
		echo "$prog: $status: $output" >&2
		[ "$status" -eq "$want" ]
		[[ "$output" == *"unable to start container process: "*"$text"* ]]
		assert_no_traces
	done <<-TABLE
		nosuch|127|exec: "nosuch": executable file not found in \$PATH
		/bin/nosuch|127|exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory
		/plain|126|exec: "/plain": permission denied
		/etc|126|exec: "/etc": is a directory
		/garbage|126|exec format error
	TABLE
	start_sleeper
	while IFS='|' read -r prog want text; do
		since=$(now_ms)
		run hull exec "$ID" "$prog"
		echo "$prog: $status: $output" >&2
		[ "$status" -eq "$want" ]
		[[ "$output" == *"unable to start container process: "*"$text"* ]]
		run hull exec -d "$ID" "$prog"
		[ "$status" -eq "$want" ]
		took_at_most 2000 "$since"
	done <<-TABLE
		nosuch|127|exec: "nosuch": executable file not found in \$PATH
		/bin/nosuch|127|no such file or directory
		/plain|126|permission denied
		/etc|126|is a directory
		/garbage|126|exec format error
	TABLE
	is_status "$ID" running
}

@test "exec: bad processes, missing files, stopped and absent containers" {
	run hull exec "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"container does not exist"* ]]
	start_sleeper
	run hull exec "$ID"
	[ "$status" -eq 2 ]
	printf '{"args":[]}' >"$WORK/p.json"
	run hull exec --process "$WORK/p.json" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"process.cwd: missing"* ]]
	printf '{"args":[],"cwd":"/"}' >"$WORK/p.json"
	run hull exec --process "$WORK/p.json" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *process.args* ]]
	printf '{"args":["true"],"cwd":"/","user":{"uid":"x"}}' >"$WORK/p.json"
	run hull exec --process "$WORK/p.json" "$ID"
	[[ "$output" == *uid* ]]
	run hull exec --process "$WORK/none" "$ID"
	[[ "$output" == *"none: No such file"* ]]
	run hull exec --cwd /nowhere "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"/nowhere"* ]]
	run hull exec --user nobody-at-all "$ID" true
	[ "$status" -ne 0 ]
	run hull exec -d --pid-file /nowhere/pid "$ID" sleep 4323
	[ "$status" -ne 0 ]
	[[ "$output" == *"--pid-file: write /nowhere/pid: No such file"* ]]
	eventually 3 eval '! hull ps "$ID" | grep 4323'
	hull kill "$ID" KILL
	eventually 3 is_status "$ID" stopped
	run hull exec "$ID" true
	[ "$status" -ne 0 ]
	[[ "$output" == *"cannot exec in a stopped container"* ]]
}

@test "pid file and console socket that cannot be used: the container is rolled back" {
	LIMIT_MS=10000 refused -- '--pid-file: write /nowhere/pid: No such file' --pid-file /nowhere/pid
	LIMIT_MS=10000 refused -- '--pid-file: write /proc/version' --pid-file /proc/version
	config '.process.terminal = true'
	refused 'without setting console socket'
	refused -- '--console-socket: .*nothing' --console-socket "$WORK/nothing"
	refused -- '--console-socket: .*hull.conf.*(not a socket|refused)' --console-socket "$HULL_CONF"
	refused -- '--console-socket' --console-socket "$WORK"
	refused -- 'too long' --console-socket "$WORK/$(printf 'x%.0s' {1..150})"
	config '.process.terminal = false'
	refused 'console socket' --console-socket "$WORK/nothing"
	refused 'unable to stat preserved-fd 0 \(of 1\): no such file or directory' --preserve-fds 1 3>&- 4>&-
}

@test "the state directory: a file, not writable, no path" {
	local root=$ROOT
	touch "$WORK/file"
	run "$HULL" --root "$WORK/file" create --bundle "$BUNDLE" "$ID" </dev/null
	[ "$status" -ne 0 ]
	[[ "$output" == *"state directory $WORK/file"* ]]
	run "$HULL" --root "$WORK/file" list
	[ "$status" -ne 0 ]
	run "$HULL" --root "$WORK/file" state "$ID"
	[ "$status" -ne 0 ]
	for bad in relative '' ./x; do
		run "$HULL" --root "$bad" list
		[ "$status" -ne 0 ]
		[[ "$output" == *"--root"* ]]
	done
	mkdir "$WORK/ro"
	run unshare -m sh -c "mount -t tmpfs -o ro none '$WORK/ro' && exec '$HULL' --root '$WORK/ro/state' create --bundle '$BUNDLE' '$ID'" </dev/null
	[ "$status" -ne 0 ]
	[[ "$output" == *"state directory $WORK/ro/state"*"Read-only file system"* ]]
	run "$HULL" --root "$WORK/none" list
	[ "$status" -eq 0 ]
}

@test "a state.json that is damaged: told, listed around, deletable" {
	local text
	start_sleeper
	hull create --bundle "$BUNDLE" "$ID-b" </dev/null >/dev/null 2>&1
	cp "$ROOT/containers/$ID/state.json" "$WORK/state.json"
	for text in '' '{' '[]' '{"id": 1}' '{"status":"nosuch"}' "$(head -c 100 "$WORK/state.json")" \
		"$(jq '.supervisor = "x"' "$WORK/state.json")" "$(jq '.standIn = [] | .status = 7' "$WORK/state.json")"; do
		printf '%s' "$text" >"$ROOT/containers/$ID/state.json"
		for verb in state start kill; do
			run hull $verb "$ID"
			[ "$status" -lt 124 ]
			[[ "$text" == *'"supervisor": "x"'* ]] || [[ "$output" == *"state.json is damaged"* ]]
		done
		run hull list -q
		[ "$status" -eq 0 ]
		[[ "$output" == *"$ID-b"* ]]
	done
	printf '{' >"$ROOT/containers/$ID/state.json"
	run hull delete "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"delete --force"* ]]
	hull delete --force "$ID"
	hull delete --force "$ID-b"
	assert_no_traces
	# A pid in there that is somebody else's is not touched.
	start_sleeper
	sleep 300 &
	bystander=$!
	jq ".supervisor = {pid: $bystander, startTicks: 1} | .standIn = {pid: $bystander, startTicks: 1}" \
		"$ROOT/containers/$ID/state.json" >"$WORK/state.json"
	kill -9 "$(pid_of "$ID" .supervisor)"
	cp "$WORK/state.json" "$ROOT/containers/$ID/state.json"
	hull delete --force "$ID"
	kill -0 $bystander
	kill $bystander
}

@test "long names: ids of 255 characters, a state directory beyond sun_path" {
	local long
	long=$(printf 'i%.0s' {1..247})$$
	long=${long:0:255}
	hull run --bundle "$BUNDLE" "$long" </dev/null
	run hull create --bundle "$BUNDLE" "${long}$(printf 'i%.0s' {1..20})" </dev/null
	[ "$status" -ne 0 ]
	[[ "$output" == *"invalid container ID"* ]]
	ROOT=$WORK/state/$(printf 'd%.0s' {1..100})/$(printf 'e%.0s' {1..100})
	mkdir -p "$ROOT"
	start_sleeper
	[ "$(hull exec "$ID" echo there)" = there ]
	hull kill "$ID" KILL
	eventually 3 is_status "$ID" stopped
	hull delete "$ID"
	assert_no_traces
	ROOT=$WORK/state
	rm -r "$ROOT"
}

@test "every verb: unknown flags and missing arguments" {
	local line want
	while IFS='|' read -r want line; do
		run hull $line </dev/null
		echo "hull $line: $status: $output" >&2
		[ "$status" -eq 2 ]
		[[ "$output" =~ $want ]]
		[[ "$output" == hull:* ]]
	done <<-TABLE
		CONTAINER|create
		CONTAINER|start
		CONTAINER|run
		CONTAINER|exec
		CONTAINER|kill
		CONTAINER|delete
		CONTAINER|state
		CONTAINER|ps
		CONTAINER|pause
		CONTAINER|resume
		pod|pod
		pod|pod inspect
		nothing to run|exec x
		nosuch|create --nosuch x
		nosuch|start --nosuch x
		nosuch|run --nosuch x
		nosuch|exec --nosuch x true
		nosuch|kill --nosuch x
		nosuch|delete --nosuch x
		nosuch|state --nosuch x
		nosuch|list --nosuch
		nosuch|ps --nosuch x
		nosuch|pause --nosuch x
		nosuch|resume --nosuch x
		nosuch|spec --nosuch
		nosuch|features --nosuch
		nosuch|try --nosuch
		nosuch|check --nosuch
		nosuch|env --nosuch
		nosuch|version --nosuch
		nosuch|nosuch
		bundle|create --bundle
		|create a b
		|start a b
		|state a b
		|list x
	TABLE
	run "$HULL" --nosuch list
	[ "$status" -eq 2 ]
	[[ "$output" == *nosuch* ]]
	run "$HULL"
	[ "$status" -eq 2 ]
	run "$HULL" --log-format xml list
	[ "$status" -eq 2 ]
	run "$HULL" --log /nowhere/log list
	[ "$status" -eq 2 ]
	[[ "$output" == *"/nowhere/log"* ]]
}

@test "hull.conf: missing, unknown key, bad value, no line: file, line and key are named" {
	local text want
	while IFS='|' read -r text want; do
		printf "$text" >"$HULL_CONF"
		refused "hull\.conf: line [0-9]+: .*$want"
	done <<-'TABLE'
		[vm]\nnosuch = 1\n|nosuch
		[nosuch]\nqemu = /x\n|nosuch
		[vm]\nqemu = relative\n|qemu
		[vm]\nmemory = lots\n|memory
		[vm]\nmemory = 1\n|memory
		[vm]\nvcpus = 0\n|vcpus
		[vm]\nvcpus = 256\n|vcpus
		[vm]\nboot_timeout = -1\n|boot_timeout
		[vm]\naccelerator = warp\n|accelerator
		[vm]\ngarbage\n|key = value
		[security]\nuid_base = 0\n|uid_base
	TABLE
	rm "$HULL_CONF"
	refused 'hull\.conf: No such file'
	mkfifo "$HULL_CONF"
	refused 'hull\.conf: not a regular file'
	rm "$HULL_CONF"
	mkdir "$HULL_CONF"
	refused 'hull\.conf: not a regular file'
	rmdir "$HULL_CONF"
}

@test "hull.conf: programs and files that are not there" {
	local conf
	conf=$(cat "$HULL_CONF")
	with_vm() { printf '%s\n[vm]\n%s\n' "$conf" "$1" >"$HULL_CONF"; }
	with_vm 'qemu = /nowhere/qemu'
	refused 'qemu: /nowhere/qemu: No such file.*install'
	with_vm 'virtiofsd = /nowhere/virtiofsd'
	refused 'virtiofsd: /nowhere/virtiofsd: No such file.*install'
	with_vm "kernel = /nowhere/vmlinuz"$'\n'"initrd = $DATA/initramfs-hull.img"
	refused 'kernel: /nowhere/vmlinuz: No such file'
	with_vm "kernel = $DATA/vmlinuz-debian"
	refused 'initrd'
	with_vm 'qemu = /etc'
	refused 'qemu: /etc'
	with_vm 'qemu = /etc/passwd'
	refused 'qemu: /etc/passwd: Permission denied'
	with_vm 'qemu = /bin/true'
	LIMIT_MS=4000 refused '(qemu|true)'
	with_vm 'virtiofsd = /bin/true'
	LIMIT_MS=4000 refused '/bin/true does not look like a virtiofsd'
}

@test "hull.conf: a kernel or an initramfs that is garbage" {
	local conf
	conf=$(cat "$HULL_CONF")
	head -c 1000000 /dev/urandom >"$WORK/garbage"
	printf '%s\n[vm]\nboot_timeout = 6\nkernel = %s\ninitrd = %s\n' "$conf" "$WORK/garbage" "$DATA/initramfs-hull.img" >"$HULL_CONF"
	LIMIT_MS=10000 refused 'start VM|in time'
	kernel=$DATA/vmlinux-hull
	[ -e "$kernel" ] || kernel=$DATA/vmlinuz-debian
	printf '%s\n[vm]\nboot_timeout = 6\nkernel = %s\ninitrd = %s\n' "$conf" "$kernel" "$WORK/garbage" >"$HULL_CONF"
	LIMIT_MS=10000 refused "panicked|in time"
	# A boot that takes longer than it may: this QEMU stands still.
	printf '%s\n[vm]\nboot_timeout = 3\n' "$conf" >"$HULL_CONF"
	hull create --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
	local creator=$! vmm=
	eventually 5 eval 'vmm=$(traces | sed -n "s/^process \([0-9]*\): uid [1-9].*/\1/p" | head -n1); [ -n "$vmm" ]'
	kill -STOP "$vmm"
	since=$(now_ms)
	status=0
	wait $creator || status=$?
	took_at_most 5000 "$since"
	[ "$status" -eq 1 ]
	grep -q "did not come up in time (hull.conf: boot_timeout)" "$WORK/out"
	assert_no_traces
}

@test "more memory than the host can give" {
	local conf limit
	conf=$(cat "$HULL_CONF")
	printf '%s\n[vm]\nmemory = 1024G\n' "$conf" >"$HULL_CONF"
	refused '\[vm\] memory: 1048576 MiB, but the host has'
	printf '%s\n' "$conf" >"$HULL_CONF"
	# A limit is no request: engines set such ones, and the container gets what there is.
	args grep MemTotal /proc/meminfo
	for limit in 1099511627776 4611686018427387904; do
		config ".linux.resources.memory.limit = $limit"
		run hull run --bundle "$BUNDLE" "$ID"
		[ "$status" -eq 0 ]
		[ "$(tr -dc 0-9 <<<"$output")" -le "$(sed -n 's/MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)" ]
	done
}

@test "network namespaces: missing, no namespace, the host's, one with interfaces" {
	with_config '(.linux.namespaces[] | select(.type == "network")) += {"path": "/nowhere/net"}' 'network: /nowhere/net: No such file'
	with_config '(.linux.namespaces[] | select(.type == "network")) += {"path": "/etc/passwd"}' 'network: /etc/passwd is not a network namespace'
	with_config '(.linux.namespaces[] | select(.type == "network")) += {"path": "/proc/self/ns/mnt"}' 'is not a network namespace'
	with_config '(.linux.namespaces[] | select(.type == "network")) += {"path": "/proc/self/ns/net"}' "the host's (own )?network"
	with_config '.linux.namespaces |= map(select(.type != "network"))' 'network'
	command -v ip >/dev/null || skip "ip(8) is not installed"
	unshare -n sleep 60 &
	local holder=$!
	eventually 5 eval '[ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
	nsenter -t $holder -n ip link add dummy0 type dummy 2>/dev/null ||
		nsenter -t $holder -n ip link add v0 type veth peer name v1 || { kill $holder; skip "no interface can be made here"; }
	with_config "(.linux.namespaces[] | select(.type == \"network\")) += {\"path\": \"/proc/$holder/ns/net\"}" 'cannot be joined: it is not that of a running container'
	kill $holder
}

@test "another user than root, and root of a user namespace: refused before anything is made" {
	chmod 755 "$WORK" "$BUNDLE"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$HULL" --root "$WORK/other" create --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 1 ]
	[ "$output" = "hull: Hull has to run as root, not as user 65534: it makes mount and network namespaces and jails for the VMs" ]
	unshare -Ur true 2>/dev/null || skip "no user namespaces here"
	for verb in create run; do
		run unshare -Ur "$HULL" --root "$ROOT" $verb --bundle "$BUNDLE" "$ID"
		[ "$status" -eq 1 ]
		[ "$output" = "hull: Hull has to run in the host's own user namespace: rootless engines cannot use it yet" ]
	done
	assert_no_traces
}

@test "ids that are no names of files" {
	for bad in '' . .. a/b ../x 'a b' $'a\nb' ':1:x' "$(printf 'i%.0s' {1..256})"; do
		for verb in create state start kill delete; do
			run hull $verb "$bad" </dev/null
			[ "$status" -ne 0 ]
			[ "${#lines[@]}" -le 2 ]
		done
	done
	assert_no_traces
}

@test "what cannot be printed is no success" {
	local verb
	for verb in list version features "pod ls" "spec --help" --help; do
		status=0
		# shellcheck disable=SC2086
		hull $verb >/dev/full 2>"$WORK/err" || status=$?
		[ "$status" -eq 1 ] || { echo "$verb: status $status" >&2; return 1; }
		grep -q "^hull: write standard output: " "$WORK/err"
	done
	# No noise for a pipe that was read as far as wanted.
	hull features 2>"$WORK/err" | true
	[ ! -s "$WORK/err" ]
}

@test "command line: what is said of the global options and of no verb" {
	status=0; output=$(hull --nosuch 2>&1) || status=$?
	[ "$status" -eq 2 ] && [ "$output" = 'hull: unknown option --nosuch; see `hull --help`' ]
	status=0; output=$(hull --debug 2>&1) || status=$?
	[ "$status" -eq 2 ] && [ "$output" = 'hull: no verb given; `hull --help` lists them' ]
}
