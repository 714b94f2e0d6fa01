#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods under the OCI command line: raw bundles with the annotations of each engine, and containers that join namespaces by path.

bats_require_minimum_version 1.5.0
load lib.bash
load containerd.bash

setup() {
	setup_hull
	OWN_ROOT=$ROOT
	mkdir -p "$WORK/shm"
	chmod 1777 "$WORK/shm"
	cp "$BUNDLE/config.json" "$WORK/plain.json"
}

teardown() {
	[ -z "${STRANGER:-}" ] || kill "$STRANGER" || true
	local failed=0
	containerd_down || failed=1
	ROOT=$OWN_ROOT
	teardown_hull && return $failed
}

# A bundle with a rootfs of its own: bundle ID COMMAND... The functions below change it.
bundle() {
	BUNDLE=$WORK/$1
	mkdir -p "$BUNDLE/rootfs"
	tar -C "$BUNDLE/rootfs" -xf "$DATA/try-rootfs.tar"
	cp "$WORK/plain.json" "$BUNDLE/config.json"
	[ ! -x "$WORK/ipc" ] || cp "$WORK/ipc" "$BUNDLE/rootfs/bin/ipc"
	# As engines do: the pod's /dev/shm is a directory of the host.
	config --arg shm "$WORK/shm" '.mounts |= map(if .destination == "/dev/shm"
		then {destination: "/dev/shm", type: "bind", source: $shm, options: ["rbind", "nosuid", "nodev", "noexec"]} else . end)'
	config '.hostname = "own-name" | .root.readonly = false'
	args "${@:2}"
}

# As the engine DIALECT announces it: annotate DIALECT sandbox|container POD
annotate() {
	case $1 in
	containerd) config --arg r "$2" --arg p "$3" '.annotations = {"io.kubernetes.cri.container-type": $r, "io.kubernetes.cri.sandbox-id": $p}' ;;
	cri-o) config --arg r "$2" --arg p "$3" '.annotations = {"io.kubernetes.cri-o.ContainerType": $r, "io.kubernetes.cri-o.SandboxID": $p}' ;;
	podman) config --arg p "$3" '.annotations = {"io.kubernetes.cri-o.SandboxID": $p}' ;;
	docker) config --arg r "${2/#sandbox/podsandbox}" --arg p "$3" '.annotations = {"io.kubernetes.docker.type": $r, "io.kubernetes.sandbox.id": $p}' ;;
	esac
}

# Namespaces of a container that runs: share CONTAINER TYPE...
share() {
	local pid type
	pid=$(pid_of "$1" .standIn)
	for type in "${@:2}"; do
		config --arg t "$type" --arg p "/proc/$pid/ns/${type/network/net}" \
			'.linux.namespaces |= map(if .type == $t then .path = $p else . end)'
	done
}

start() {
	hull run -d --bundle "$BUNDLE" "$1" </dev/null >/dev/null 2>"$WORK/error" || { cat "$WORK/error" >&2; return 1; }
}

# refused ID TEXT...: the container cannot be made, the message has the texts, nothing is left of it.
refused() {
	local text
	run ! hull run -d --bundle "$BUNDLE" "$1" </dev/null
	for text in "${@:2}"; do
		[[ "$output" == *"$text"* ]] || { echo "\"$output\" does not say \"$text\""; return 1; }
	done
	[ ! -e "$ROOT/containers/$1" ]
}

# A pod of DIALECT with pause and the containers a and b that run a sleep.
make_pod() {
	local dialect=$1 id n=2001
	bundle pause sleep 1000
	config '.hostname = "pod-name"'
	annotate "$dialect" sandbox pause
	start pause
	for id in a b; do
		bundle $id sleep $((n++))
		annotate "$dialect" container pause
		share pause network ipc uts
		start $id
	done
}

supervisors() { pgrep -fc -- "hull-pod --root $ROOT" || true; }

cpu_of() { hull events --stats "$1" | jq .data.cpu.usage.total; }

# What the guest has, in MiB and CPUs: size_in CONTAINER
size_in() { hull exec "$1" sh -c 'awk "/MemTotal/ {printf \"%d \", \$2 / 1024}" /proc/meminfo; nproc'; }

# Memory of A to B MiB and N CPUs (or what the host has): has_size CONTAINER A B N
has_size() {
	local mib cpus
	read -r mib cpus <<<"$(size_in "$1")"
	[ "$mib" -ge "$2" ] && [ "$mib" -le "$3" ] && [ "$cpus" = $(($4 < $(nproc) ? $4 : $(nproc))) ] && return
	echo "$mib MiB, $cpus CPUs" >&2
	return 1
}

# A configuration of the test's own: configure LINE...
configure() {
	printf '%s\n' '[vm]' "$@" >"$WORK/hull.conf"
	export HULL_CONFIG=$WORK/hull.conf
}

build_ipc() {
	command -v gcc >/dev/null || return 0
	gcc -O1 -static -o "$WORK/ipc" "$BATS_TEST_DIRNAME/ipc.c"
}

@test "pod: the containers of each engine's annotations share a VM, network, IPC and host name" {
	build_ipc
	local dialect name
	for dialect in containerd cri-o podman docker; do
		make_pod $dialect
		[ "$(supervisors)" = 1 ]
		[ "$(hull pod inspect pause | jq -c '.containers | sort')" = '["a","b","pause"]' ]
		[ "$(hull exec a hostname)$(hull exec b hostname)" = pod-namepod-name ]
		for name in net ipc uts; do
			[ "$(hull exec a readlink /proc/self/ns/$name)" = "$(hull exec b readlink /proc/self/ns/$name)" ]
		done
		for name in pid mnt cgroup; do
			[ "$(hull exec a readlink /proc/self/ns/$name)" != "$(hull exec b readlink /proc/self/ns/$name)" ]
		done
		hull delete --force pause
		[ "$(status_of a)$(status_of b)" = stoppedstopped ]
		hull delete a
		hull delete b
		[ -z "$(leftovers)" ]
		rm -rf "$WORK/pause" "$WORK/a" "$WORK/b"
	done
}

@test "pod: a semaphore, a message queue, shared memory and a connection from one container to another" {
	build_ipc
	[ -x "$WORK/ipc" ] || skip "no compiler"
	make_pod containerd
	hull exec a ipc sem-make 0x4855 2
	hull exec b ipc sem-take 0x4855
	[ "$(hull exec pause ipc sem-value 0x4855)" = 1 ]
	hull exec b ipc msg-send /queue "from b"
	[ "$(hull exec a ipc msg-receive /queue)" = "from b" ]
	hull exec a ipc shm-write /piece "from a"
	[ "$(hull exec b ipc shm-read /piece)" = "from a" ]
	hull exec -d a sh -c 'echo over tcp | nc -l -p 5000'
	eventually 10 eval '[ "$(hull exec b nc 127.0.0.1 5000 </dev/null)" = "over tcp" ]'
	# A VM is the pod's border.
	bundle other sleep 1000
	start other
	run ! hull exec other ipc sem-value 0x4855
}

@test "pod: containers do not see each other's processes, files, mounts, cgroups and devices" {
	make_pod containerd
	run hull exec a ps
	[[ "$output" == *"sleep 2001"* && "$output" != *"sleep 2002"* && "$output" != *"sleep 1000"* ]]
	hull exec a sh -c 'echo secret >/file; mkdir /dir'
	run ! hull exec b ls /file
	[ ! -e "$WORK/b/rootfs/file" ]
	run hull exec a cat /proc/self/mountinfo
	[[ "$output" != *"/b/"* ]]
	# The host's share and the cgroup tree above the own are out of sight.
	run ! hull exec a ls /run/hull
	[ "$(hull exec a cat /proc/self/cgroup)" = "0::/" ]
	run ! hull exec a sh -c 'echo 1 >/sys/fs/cgroup/cgroup.kill'
	# No device of the VM can be made and used.
	run ! hull exec a sh -c 'mknod /dev/vport b 253 0 && head -c 1 /dev/vport'
	run ! hull exec a sh -c 'mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem'
	# The other container is untouched.
	[ "$(status_of b)" = running ]
}

@test "pod: a shared pid namespace when it is asked for" {
	bundle pause sleep 1000
	annotate podman sandbox pause
	start pause
	bundle a sleep 2001
	annotate podman container pause
	share pause network ipc uts pid
	start a
	bundle b sleep 2002
	annotate podman container pause
	share a network ipc uts pid
	start b
	run hull exec b ps
	[[ "$output" == *"sleep 1000"*"sleep 2001"*"sleep 2002"* ]]
	# Its own cgroup all the same: a kill of one leaves the others.
	hull delete --force a
	run hull exec b ps
	[[ "$output" == *"sleep 1000"* && "$output" != *"sleep 2001"* && "$output" == *"sleep 2002"* ]]
}

@test "pod: killing or losing pause ends it and all in it" {
	local pid
	make_pod containerd
	pid=$(pid_of pause .supervisor)
	hull kill pause KILL
	eventually 10 is_status a stopped
	eventually 10 is_status b stopped
	eventually 10 is_over "$pid"
	for id in pause a b; do hull delete $id; done
	[ -z "$(leftovers)" ]
	rm -rf "$WORK/pause" "$WORK/a" "$WORK/b"

	make_pod docker
	pid=$(pid_of pause .supervisor)
	kill -9 "$(pid_of pause .standIn)"
	eventually 10 is_status b stopped
	eventually 10 is_over "$pid"
	for id in b a pause; do hull delete --force $id; done
	[ -z "$(leftovers)" ]
}

@test "pod: service containers come, end, fail and go; pause and the others run on" {
	make_pod cri-o
	hull kill a KILL
	eventually 10 is_status a stopped
	[ "$(status_of pause)$(status_of b)" = runningrunning ]
	hull delete a
	# Again, under the same name.
	BUNDLE=$WORK/a
	start a
	[ "$(hull exec a hostname)" = pod-name ]
	# One that cannot start.
	bundle bad /no/such/program
	annotate cri-o container pause
	share pause network ipc uts
	refused bad 'no such file or directory'
	# One whose program fails at once.
	bundle brief sh -c 'exit 7'
	annotate cri-o container pause
	share pause network ipc uts
	start brief
	eventually 10 is_status brief stopped
	[ "$(jq .exit.code "$ROOT/containers/brief/state.json")" = 7 ]
	hull delete --force brief a b
	[ "$(status_of pause)" = running ]
	[ "$(hull pod inspect pause | jq -c .containers)" = '["pause"]' ]
}

@test "pod: what a member's memory limit kills, it kills in that member" {
	make_pod containerd
	bundle small sh -c 'exec tail /dev/zero'
	annotate containerd container pause
	share pause network ipc uts
	config '.linux.resources.memory = {limit: 33554432, swap: 33554432} | .linux.resources.pids = {limit: 9}'
	start small
	eventually 30 is_status small stopped
	[ "$(jq .exit.code "$ROOT/containers/small/state.json")" = 137 ]
	[ "$(jq .exit.oomKilled "$ROOT/containers/small/state.json")" = true ]
	[ "$(status_of pause)$(status_of a)$(status_of b)" = runningrunningrunning ]
	hull exec a true
	hull delete small
	bundle forks sleep 1000
	annotate containerd container pause
	config '.linux.resources.pids = {limit: 9}'
	share pause network ipc uts
	start forks
	[ "$(hull exec forks cat /sys/fs/cgroup/pids.max)" = 9 ]
	[ "$(hull exec a cat /sys/fs/cgroup/pids.max)" != 9 ]
}

@test "pod: sysctls of the pod hold in every container" {
	bundle pause sleep 1000
	annotate containerd sandbox pause
	config '.linux.sysctl = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "16384", "net.core.somaxconn": "777"}'
	start pause
	bundle a sleep 1000
	annotate containerd container pause
	share pause network ipc uts
	start a
	[ "$(hull exec a sh -c 'cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start kernel/msgmax net/core/somaxconn')" = $'80\n16384\n777' ]
}

@test "pod: a service container without a pod that runs, or with words that mean nothing, is refused" {
	bundle c sleep 1000
	annotate containerd container nowhere
	refused c 'pod nowhere is not running'
	annotate containerd container ''
	refused c 'joins a pod but "io.kubernetes.cri.sandbox-id" does not name it'
	config '.annotations = {"io.kubernetes.cri.container-type": "container"}'
	refused c 'joins a pod but "io.kubernetes.cri.sandbox-id" does not name it'
	annotate containerd container ../../etc
	refused c 'no valid pod id'
	annotate containerd friend c
	refused c '"io.kubernetes.cri.container-type" is "friend": expected "sandbox" or "container"'
	annotate cri-o sand c
	refused c '"io.kubernetes.cri-o.ContainerType" is "sand"'
	annotate docker pod c
	refused c '"io.kubernetes.docker.type" is "pod": expected "podsandbox" or "container"'
	annotate podman '' nowhere
	refused c 'pod nowhere is not running'
	# A pod that is over.
	make_pod docker
	hull kill pause KILL
	eventually 10 is_status pause stopped
	bundle c sleep 1000
	annotate docker container pause
	refused c 'pod pause is not running'
}

@test "pod: pause costs less than 1 MiB in the guest and no CPU" {
	local before
	# The pause programs of engines: one process that waits for a signal.
	printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' >"$WORK/pause.c"
	command -v gcc >/dev/null || skip "no compiler"
	gcc -O1 -static -o "$WORK/pause-program" "$WORK/pause.c"
	bundle pause /pause
	cp "$WORK/pause-program" "$BUNDLE/rootfs/pause"
	annotate containerd sandbox pause
	start pause
	# Once it has started.
	eventually 10 eval '[ "$(cpu_of pause)" = "$(sleep 1; cpu_of pause)" ]'
	before=$(cpu_of pause)
	sleep 2
	[ "$(cpu_of pause)" -le $((before + 1000000)) ]
	# Pages of its program that the kernel may drop are not counted, as Kubernetes does not.
	[ "$(hull events --stats pause | jq '.data.memory.usage.usage - .data.memory.raw.inactive_file')" -lt 1048576 ]
}

@test "pod: the infra programs of engines run as pause, and end when they are told" {
	local name
	for name in /usr/libexec/podman/catatonit /usr/bin/catatonit; do
		[ -x $name ] || continue
		bundle pause /catatonit -P
		cp $name "$BUNDLE/rootfs/catatonit"
		annotate podman sandbox pause
		start pause
		bundle a sleep 1000
		annotate podman container pause
		share pause network ipc uts
		start a
		hull kill pause TERM
		eventually 10 is_status a stopped
		hull delete --force a pause
		return
	done
	skip "no catatonit"
}

@test "join: namespaces of a running container make a member of its VM" {
	bundle first sleep 1000
	config '.hostname = "first"'
	start first
	bundle all sleep 2000
	share first network ipc uts pid
	start all
	[ "$(supervisors)" = 1 ]
	[ "$(hull exec all hostname)" = first ]
	run hull exec all ps
	[[ "$output" == *"sleep 1000"*"sleep 2000"* ]]
	# Only the network: everything else is the container's own.
	bundle net sleep 3000
	share first network
	start net
	[ "$(hull exec net hostname)" = own-name ]
	run hull exec net ps
	[[ "$output" != *"sleep 1000"* ]]
	for name in ipc uts pid; do
		[ "$(hull exec net readlink /proc/self/ns/$name)" != "$(hull exec first readlink /proc/self/ns/$name)" ]
	done
	hull exec -d first sh -c 'echo hello | nc -l -p 99'
	eventually 10 eval '[ "$(hull exec net nc 127.0.0.1 99 </dev/null)" = hello ]'
	# Those of a member which has its own, and a network of nobody.
	bundle third sleep 4000
	share net ipc uts pid
	start third
	[ "$(hull exec third hostname)" = own-name ]
	run hull exec third ps
	[[ "$output" == *"sleep 3000"*"sleep 4000"* && "$output" != *"sleep 1000"* ]]
	[ "$(hull exec third readlink /proc/self/ns/ipc)" = "$(hull exec net readlink /proc/self/ns/ipc)" ]
	[ "$(hull exec third readlink /proc/self/ns/net)" != "$(hull exec net readlink /proc/self/ns/net)" ]
	run hull exec third ip addr
	[[ "$output" == *"<LOOPBACK,UP"*"127.0.0.1/8"* ]]
	# The VM is its first container's.
	hull delete --force all
	[ "$(status_of net)" = running ]
	hull kill first KILL
	eventually 10 is_status net stopped
	eventually 10 is_status third stopped
}

@test "join: whose a namespace is, the kernel says and not the path" {
	bundle first sleep 1000
	start first
	ln -s "/proc/$(pid_of first .standIn)/ns/ipc" "$WORK/link"
	bundle second sleep 1000
	config --arg p "$WORK/link" '.linux.namespaces |= map(if .type == "ipc" then .path = $p else . end)'
	start second
	[ "$(hull exec second readlink /proc/self/ns/ipc)" = "$(hull exec first readlink /proc/self/ns/ipc)" ]
	# A link that lies about the kind, and a file that is no namespace.
	bundle third sleep 1000
	config --arg p "$WORK/link" '.linux.namespaces |= map(if .type == "uts" then .path = $p else . end)'
	refused third 'uts: ' 'is not a uts namespace'
	: >"$WORK/file"
	config --arg p "$WORK/file" '.linux.namespaces |= map(if .type == "uts" then .path = $p else . end)'
	refused third 'is not a uts namespace'
	config '.linux.namespaces |= map(if .type == "uts" then .path = "/no/such" else . end)'
	refused third 'uts: /no/such: No such file'
}

@test "join: two pods, strangers and the host are refused by name" {
	local pid
	bundle one sleep 1000
	start one
	bundle two sleep 1000
	start two
	bundle c sleep 1000
	share one network
	share two ipc
	refused c 'network is pod one' 'ipc is pod two' 'cannot be in two VMs'
	# Namespaces of a process that is not a container of Hull.
	unshare -nui sleep 1000 3>&- &
	STRANGER=$!
	eventually 5 eval '[ "$(readlink /proc/$STRANGER/ns/ipc)" != "$(readlink /proc/self/ns/ipc)" ]'
	local type
	for type in network ipc uts pid user; do
		bundle c sleep 1000
		[ $type != user ] || config '.linux.namespaces += [{type: "user"}]'
		config --arg t $type --arg p "/proc/$STRANGER/ns/${type/network/net}" \
			'.linux.namespaces |= map(if .type == $t then .path = $p else . end)'
		refused c "$type: /proc/$STRANGER/ns/${type/network/net} cannot be joined"
	done
	# A member of one pod and the namespaces of another; a sandbox in another's.
	bundle c sleep 1000
	annotate containerd container one
	share two ipc
	refused c 'ipc: ' 'belongs to pod two' 'joins pod one'
	bundle c sleep 1000
	annotate containerd sandbox c
	share two network
	refused c 'network: ' 'belongs to pod two'
	# One that has ended is nobody's.
	bundle c sleep 1000
	share two uts
	hull delete --force two
	refused c 'uts: '
}

@test "join: a container of containerd's shim joins another's namespaces, and is then that one's shim's" {
	has_containerd 1 || skip "no containerd"
	local pid
	containerd_up 1
	containerd_image
	ctr run -d --runtime io.containerd.hull.v2 $IMAGE one sleep 1000
	pid=$(ctr tasks ls | awk '$1 == "one" { print $2 }')
	ctr run -d --runtime io.containerd.hull.v2 --with-ns "network:/proc/$pid/ns/net" --with-ns "pid:/proc/$pid/ns/pid" $IMAGE two sleep 2000
	[ "$(pgrep -fc -- "containerd-shim-hull-v2.*$CD.*serve")" = 1 ]
	run ctr tasks exec --exec-id e two ps
	[[ "$output" == *"sleep 1000"*"sleep 2000"* ]]
	[ "$(hull pod ls -f json | jq -c '.[] | [.id, .engine, .state, (.containers | length)]')" = '["default+one","containerd","running",2]' ]
	run ! ctr run -d --runtime io.containerd.hull.v2 --with-ns "ipc:/proc/$CD_PID/ns/ipc" $IMAGE three sleep 3000
	[[ "$output" == *"linux.namespaces: ipc: "*"cannot"* ]]
	ctr containers rm three || true
	# The VM is its first container's; containerd learns of the end whoever ends it.
	hull pod rm --force default+one
	eventually 20 eval '[ "$(ctr tasks ls | awk '"'"'$1 == "two" { print $3 }'"'"')" = STOPPED ]'
}

# ---- the size of the VM

@test "size: a pod starts small and grows with its containers' limits, on both kernels" {
	local kernel
	for kernel in tuned debian; do
		[ $kernel = tuned ] || configure "kernel = $DATA/vmlinuz-debian" "initrd = $DATA/initramfs-debian.img"
		bundle pause sleep 1000
		annotate containerd sandbox pause
		start pause
		has_size pause 400 512 1
		bundle a sleep 1000
		annotate containerd container pause
		share pause network ipc uts
		config '.linux.resources.memory = {limit: 734003200} | .linux.resources.cpu = {quota: 110000, period: 100000}
			| .mounts += [{destination: "/big", type: "tmpfs", source: "tmpfs", options: ["size=680m"]}]'
		start a
		# At once: a program that counts CPUs when it starts finds them.
		has_size a 760 828 2
		[ "$(hull pod inspect pause | jq -c '[.memoryBytes / 1048576, .vcpus]')" = "[828,$(($(nproc) > 1 ? 2 : 1))]" ]
		# Without a limit: room of its own.
		bundle b sleep 1000
		annotate containerd container pause
		share pause network ipc uts
		start b
		has_size b 1140 1212 2
		# Memory that a container really gets.
		hull exec a sh -c 'dd if=/dev/zero of=/big/x bs=1M count=650 2>/dev/null; ls -l /big/x' | grep -q 681574400
		hull update --memory 1300M a
		has_size a 1700 1812 2
		[ "$(hull exec a cat /sys/fs/cgroup/memory.max)" = $((1300 << 20)) ]
		hull delete --force pause a b
		rm -rf "$WORK/pause" "$WORK/a" "$WORK/b"
	done
}

@test "size: what the annotations announce the VM has from the start" {
	bundle one sleep 1000
	annotate containerd sandbox one
	config '.annotations += {"io.kubernetes.cri.sandbox-memory": "943718400", "io.kubernetes.cri.sandbox-cpu-quota": "200000",
		"io.kubernetes.cri.sandbox-cpu-period": "100000", "io.kubernetes.cri.sandbox-cpu-shares": "512"}'
	start one
	has_size one 960 1028 2
	# A container whose limit is in the total changes nothing.
	bundle member sleep 1000
	annotate containerd container one
	config '.linux.resources.memory = {limit: 734003200}'
	start member
	[ "$(hull pod inspect one | jq .memoryBytes)" = $((1028 << 20)) ]
	# openEuler's and Kata's, on a single container too.
	bundle two sleep 1000
	config '.annotations = {"io.katacontainers.sandbox_cpu": "1.25", "io.katacontainers.sandbox_mem": "700M"}'
	[ "$(nproc)" -gt 1 ] || config '.annotations["io.katacontainers.sandbox_cpu"] = "0.25"'
	start two
	has_size two 640 700 2
	bundle three sleep 1000
	config '.annotations = {"io.katacontainers.config.hypervisor.default_memory": "256", "io.katacontainers.config.hypervisor.default_vcpus": "1"}'
	start three
	has_size three 200 256 1
	# A request without a limit may burst.
	bundle four sleep 1000
	config '.linux.resources.cpu = {shares: 102}'
	start four
	has_size four 400 512 2
}

@test "size: annotations that mean nothing, more than the host has, or on a member are refused" {
	bundle c sleep 1000
	config '.annotations = {"com.github.containers.virtcontainers.sandbox_mem": "100M"}'
	refused c '"com.github.containers.virtcontainers.sandbox_mem" is "100M": expected a size from 300M to 512G'
	config '.annotations = {"io.katacontainers.sandbox_cpu": "9999"}'
	refused c '"io.katacontainers.sandbox_cpu" is "9999": more than the host'
	config '.annotations = {"io.kubernetes.cri.sandbox-memory": "a lot"}'
	refused c '"io.kubernetes.cri.sandbox-memory" is "a lot"'
	bundle pause sleep 1000
	annotate docker sandbox pause
	start pause
	bundle c sleep 1000
	annotate docker container pause
	config '.annotations += {"io.katacontainers.sandbox_cpu": "1"}'
	refused c '"io.katacontainers.sandbox_cpu" sizes a VM'
}

@test "size: a limit of 64 MiB bounds the container and not the VM" {
	bundle small sh -c 'sleep 1; exec tail /dev/zero'
	config '.linux.resources.memory = {limit: 67108864}'
	start small
	has_size small 400 512 1
	eventually 30 is_status small stopped
	[ "$(jq -c '[.exit.code, .exit.oomKilled, .exit.lost]' "$ROOT/containers/small/state.json")" = '[137,true,null]' ]
}

@test "size: a VM does not grow beyond its configured maximum; update says so" {
	configure "memory_max = 768M" "vcpus_max = 1"
	bundle one sleep 1000
	start one
	run ! hull update --memory 1G one
	[[ "$output" == *"memory.limit: 1073741824 bytes are more than the 768 MiB that the VM can grow to"* ]]
	hull update --memory 600M --cpu-quota 200000 one
	has_size one 690 768 1
}

@test "size: a guest that does not take its memory is an error, and the pod goes on" {
	# A guest whose kernel does not drive the device.
	configure 'kernel_params = initcall_blacklist=virtio_mem_driver_init'
	bundle pause sleep 1000
	annotate containerd sandbox pause
	start pause
	hull exec pause grep -q initcall_blacklist /proc/cmdline
	bundle c sleep 1000
	annotate containerd container pause
	config '.linux.resources.memory = {limit: 734003200}'
	refused c 'the VM does not grow to what its containers need' 'the guest did not follow'
	[ "$(status_of pause)" = running ]
	[ "$(hull pod inspect pause | jq .memoryBytes)" = $((512 << 20)) ]
	config 'del(.linux.resources.memory)'
	start c
}

# ---- load

@test "load: pods come and go side by side, containers in one that stays, and nothing is left" {
	run timeout 300 "$BATS_TEST_DIRNAME/../soak/pods" --pods 4 --width 2 --rounds 1 --cycles 25
	echo "$output"
	[ "$status" -eq 0 ]
}

# ---- hull pod

@test "hull pod ls, ps, stats, inspect: what is there" {
	make_pod containerd
	bundle alone sleep 1000
	start alone
	[ "$(hull pod ls -q)" = $'alone\npause' ]
	run hull pod ls
	[[ "${lines[0]}" == POD*STATE*CONTAINERS*ACCEL*MEMORY*CPUS*AGE*ENGINE*ROOT ]]
	[[ "${lines[1]}" == alone*running*1/1*"512.0 MiB"* && "${lines[2]}" == pause*running*3/3*kubernetes* ]]
	hull pod ls -f json | jq -e --arg root "$ROOT" 'length == 2 and .[1].id == "pause" and .[1].state == "running" and .[1].root == $root
		and .[1].containers == ["pause","a","b"] and .[1].ageSeconds >= 0 and .[1].vmmPid > 1 and .[1].vcpus == 1
		and ([.[1].containerStates[].status] | unique) == ["running"]'
	# Found without knowing where.
	[[ "$("$HULL" pod ls -q)" == *alone*pause* ]]
	[ "$("$HULL" pod inspect alone | jq -r .root)" = "$ROOT" ]
	hull kill a KILL
	eventually 10 is_status a stopped
	[ "$(hull pod inspect pause | jq -c '[.containerStates[] | [.id, .status]]')" = '[["pause","running"],["a","stopped"],["b","running"]]' ]
	run hull pod ps pause
	[[ "$output" == *CMD* && "$output" == *"pause "*"sleep 1000"* && "$output" == *"b "*"sleep 2002"* && "$output" != *"sleep 2001"* ]]
	hull pod ps -f json pause | jq -e 'map(.container) == ["pause","b"]'
	hull pod stats -f json pause | jq -e '.[0].pod == "pause" and (.[0].containers | map(.id)) == ["pause","b"] and .[0].hostPssBytes > 1000000
		and (.[0].containers[0].memoryUsageBytes > 0)'
	run hull pod stats
	[[ "$output" == *alone*"on the host: "*pause* ]]
}

@test "hull pod rm: dead pods by name or all, pods that run by force" {
	make_pod docker
	bundle alone sleep 1000
	start alone
	run ! hull pod rm pause
	[[ "$output" == *"pod pause is running; --force ends it"* ]]
	run ! hull pod rm nowhere
	[[ "$output" == *"pod nowhere does not exist"* ]]
	hull pod rm --force nowhere
	kill -9 "$(pid_of alone .supervisor)"
	eventually 5 eval 'hull pod ls | grep -q "^alone .*dead .*0/1"'
	run ! hull pod ps alone
	[[ "$output" == *"pod alone is not running"* ]]
	hull pod rm --dead
	[ "$(hull pod ls -q)" = pause ]
	[ "$(status_of b)" = running ]
	hull pod rm --force pause
	[ -z "$(hull pod ls -q)" ]
	[ -z "$(leftovers)" ]
	run -2 hull pod rm
	run -2 hull pod rm --dead pause
	run -2 hull pod frobnicate
	[[ "$output" == *'unknown verb "frobnicate"'* ]]
	run ! hull pod ls -f yaml
	# A supervisor that does not answer is told, and gone when it has to be.
	bundle alone sleep 1000
	start alone
	STRANGER=$(pid_of alone .supervisor)
	kill -STOP "$STRANGER"
	[ "$(hull pod ls -f json | jq -r '.[0].state')" = silent ]
	hull pod rm --force alone
	STRANGER=
	[ -z "$(leftovers)" ]
}
