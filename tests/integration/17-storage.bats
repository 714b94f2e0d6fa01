#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The share: files as on the host, volumes, and changes that come from the other side.

load lib.bash
load runc.bash
setup() {
	setup_hull
	config '.root.readonly = false'
	mkdir "$WORK/vol"
	all='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_MKNOD","CAP_SETUID","CAP_SETGID","CAP_SETFCAP","CAP_KILL","CAP_SYS_ADMIN"]'
	config '.process.capabilities = {bounding: $c, effective: $c, permitted: $c}' --argjson c "$all"
}
teardown() { teardown_hull; }

# volume SOURCE DESTINATION [OPTION...]: one more bind mount
volume() {
	local source=$1 destination=$2
	shift 2
	config '.mounts += [{type: "bind", source: $s, destination: $d, options: (["rbind"] + $ARGS.positional)}]' \
		--arg s "$source" --arg d "$destination" --args "$@"
}

build_posix() {
	[ -n "$(command -v cc)" ] || skip "no compiler"
	cc -static -O1 -Wall -Werror -Wno-unused-result -o "$BUNDLE/rootfs/posix" "$BATS_TEST_DIRNAME/posix.c"
}

# Whether the guest has Hull's own kernel, with its patches.
tuned() {
	[ "$("$HULL" env --json | jq -r .guest.flavour)" = tuned ]
}

# ---- files

@test "files: links, renames, locks, maps, lists, holes, nodes and names, on the rootfs and on a volume" {
	build_posix
	volume "$WORK/vol" /vol
	# Debian's kernel has no access control lists on the share.
	tuned && lists= || lists=nolists
	args sh -c "rm -rf /vol/*; mkdir /w; cd /w && /posix $lists; cd /vol && /posix $lists"
	same_as_runc "$WORK/vol"
	[ "$(grep -c 'flock by another process: Resource temporarily unavailable' <<<"$output")" -eq 2 ]
	[ -n "$lists" ] || [ "$(grep -c '^1000 writes listed: Permission denied' <<<"$output")" -eq 4 ]
}

@test "files: without a name they are refused on the share, where programs fall back, and work on disks and in memory" {
	build_posix
	volume "$WORK/vol" /vol
	truncate -s 16M "$WORK/disk"
	mkfs.ext4 -q "$WORK/disk"
	config '.mounts += [{type: "ext4", source: $d, destination: "/disk"}, {type: "tmpfs", source: "tmpfs", destination: "/mem"}]' --arg d "$WORK/disk"
	args sh -ec 'mkdir -p /tmp; for d in /tmp /vol /disk /mem /dev/shm; do /posix tmpfile $d; done'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = $'/tmp: Operation not supported\n/vol: Operation not supported\n/disk: ok\n/mem: ok\n/dev/shm: ok' ]
}

@test "files: more than virtiofsd has descriptors for" {
	build_posix
	volume "$WORK/vol" /vol
	# shellcheck disable=SC3045
	args sh -c 'cd /vol && /posix many 10000 && /posix deep 200'
	ulimit -n 4000
	run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	[ "$output" = $'10000 files, 10000 seen, 0 bad, rmdir 0\nat the bottom: ok\n200 down and up' ]
}

# ---- inotify

build_watcher() {
	[ -n "$(command -v cc)" ] || skip "no compiler"
	tuned || skip "Debian's kernel cannot be told of the host's changes"
	cc -static -O1 -Wall -Werror -o "$BUNDLE/rootfs/watcher" "$BATS_TEST_DIRNAME/watcher.c"
}

# The container watches in the background; its words are in $WORK/events.
watch() {
	args /watcher "$@"
	hull run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/events" 2>&1 3>&- &
	watcher=$!
	eventually 60 grep -qx watching "$WORK/events"
	sleep 0.5
}

stop_watching() {
	sleep "${1:-0}"
	hull kill "$ID" KILL
	wait $watcher || true
}

saw() {
	eventually 20 grep -qxF -- "$1" "$WORK/events" || { cat "$WORK/events" "$ROOT"/pods/*/pod.log >&2; return 1; }
}

# As the kubelet writes a ConfigMap: publish VALUE
publish() {
	local dir=..$RANDOM$RANDOM old
	old=$(readlink "$WORK/vol/..data" || true)
	mkdir "$WORK/vol/$dir"
	echo "$1" >"$WORK/vol/$dir/key"
	ln -s "$dir" "$WORK/vol/..data_tmp"
	mv -T "$WORK/vol/..data_tmp" "$WORK/vol/..data"
	[ -e "$WORK/vol/key" ] || ln -s ..data/key "$WORK/vol/key"
	[ -z "$old" ] || rm -r "${WORK:?}/vol/$old"
}

@test "inotify: a ConfigMap that is updated wakes who watches the directory or the file, and they read the new one" {
	build_watcher
	publish one
	volume "$WORK/vol" /vol ro
	watch 60 /vol /vol/key
	publish two
	saw "/vol/..data MOVED_TO"
	saw "/vol/..data_tmp CREATE"
	saw "/vol/..data_tmp MOVED_FROM"
	saw "/vol/key/ DELETE_SELF"
	saw "/vol/key/ IGNORED"
	saw "key is two"
	! grep -q "key is one" "$WORK/events"
	publish three
	saw "key is three"
	stop_watching
}

@test "inotify: files made, written, renamed and removed on the host; directories that come later; a single file" {
	build_watcher
	mkdir -p "$WORK/vol/sub/deep"
	echo old >"$WORK/vol/sub/file"
	echo hosts >"$WORK/hosts"
	volume "$WORK/vol" /vol
	volume "$WORK/hosts" /etc/hosts
	watch 60 /vol /vol/sub /vol/sub/deep /vol/sub/file /etc/hosts
	echo more >>"$WORK/vol/sub/file"
	saw "/vol/sub/file MODIFY"
	saw "/vol/sub/file CLOSE_WRITE"
	saw "/vol/sub/file/ MODIFY"
	chmod 600 "$WORK/vol/sub/file"
	saw "/vol/sub/file ATTRIB"
	echo x >"$WORK/vol/sub/deep/new"
	saw "/vol/sub/deep/new CREATE"
	mv "$WORK/vol/sub/deep/new" "$WORK/vol/sub/moved"
	saw "/vol/sub/deep/new MOVED_FROM"
	saw "/vol/sub/moved MOVED_TO"
	mkdir "$WORK/vol/later"
	saw "/vol/later CREATE ISDIR"
	rm "$WORK/vol/sub/file"
	saw "/vol/sub/file DELETE"
	saw "/vol/sub/file/ DELETE_SELF"
	rm -r "$WORK/vol/sub/deep"
	saw "/vol/sub/deep DELETE ISDIR"
	saw "/vol/sub/deep/ DELETE_SELF"
	echo 127.0.0.1 >>"$WORK/hosts"
	saw "/etc/hosts/ MODIFY"
	stop_watching
}

@test "inotify: what the container does is told once" {
	build_watcher
	volume "$WORK/vol" /vol
	watch 60 /vol
	hull exec "$ID" sh -c 'echo x >/vol/a; mv /vol/a /vol/b; rm /vol/b'
	saw "/vol/b DELETE"
	stop_watching 2
	[ "$(grep -c CREATE "$WORK/events")" -eq 1 ]
	[ "$(grep -c MOVED_TO "$WORK/events")" -eq 1 ]
	[ "$(grep -c DELETE "$WORK/events")" -eq 1 ]
}

# ---- volumes

@test "volume: read-only holds on the host, whatever root of the guest does" {
	mkdir "$WORK/vol/sub"
	echo hello >"$WORK/vol/sub/file"
	volume "$WORK/vol" /vol ro
	volume "$WORK/vol/sub/file" /file ro
	config '.linux.maskedPaths = [] | .linux.readonlyPaths = []'
	args sh -c 'cat /vol/sub/file /file; mount -o remount,rw,bind /vol && echo remounted; mount -o remount,rw,bind /file
		echo x >/vol/new; echo x >>/vol/sub/file; echo x >>/file; rm /vol/sub/file; chmod 777 /vol/sub; touch -d @0 /vol/sub/file; mkdir /vol/d; true'
	run hull run --bundle "$BUNDLE" "$ID"
	seen hello remounted
	[ "$(grep -c 'Read-only file system' <<<"$output")" -ge 6 ]
	[ "$(cat "$WORK/vol/sub/file")" = hello ]
	[ "$(ls "$WORK/vol")" = sub ]
	[ "$(stat -c %a "$WORK/vol/sub")" = 755 ]
}

@test "volume: what the host changes shows in an open file, a map and a listing" {
	build_posix
	echo one >"$WORK/vol/file"
	volume "$WORK/vol" /vol
	# Where no event tells the guest, attributes are trusted for a second.
	tuned && patience=0 || patience=2
	args sh -c "exec 3</vol/file; ls /vol; read a <&3; echo \$a; echo ready
		while [ ! -e /vol/more ]; do sleep 0.1; done; sleep $patience;"'read b <&3; echo $b; wc -c </vol/file; ls /vol; cat /vol/swapped'
	hull run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 3>&- &
	pid=$!
	eventually 60 grep -qx ready "$WORK/out"
	echo new >"$WORK/vol/swapped"
	echo two >>"$WORK/vol/file"
	touch "$WORK/vol/more"
	wait $pid
	[ "$(cat "$WORK/out")" = $'file\none\nready\ntwo\n8\nfile\nmore\nswapped\nnew' ]
}

@test "volume: what the host mounts later shows with slave propagation; shared, and slave read-only, are refused by name" {
	# In a mount namespace of the test's own, with a shared mount in it.
	cat >"$WORK/script" <<'SH'
set -e
mount --make-rprivate /
mount --bind "$WORK/vol" "$WORK/vol"
mount --make-shared "$WORK/vol"
mkdir -p "$WORK/vol/later"
"$HULL" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1 &
for i in $(seq 600); do ! grep -qx ready "$WORK/out" || break; sleep 0.1; done
mount -t tmpfs tmpfs "$WORK/vol/later"
echo there >"$WORK/vol/later/file"
wait
umount "$WORK/vol/later"
SH
	volume "$WORK/vol" /vol rslave
	args sh -c 'ls /vol/later; echo ready; i=0; until cat /vol/later/file 2>/dev/null || [ $i -gt 100 ]; do i=$((i+1)); sleep 0.1; done; echo x >/vol/later/mine'
	export WORK HULL ROOT BUNDLE ID
	unshare -m sh "$WORK/script" 3>&-
	[ "$(cat "$WORK/out")" = $'ready\nthere' ]

	config '.mounts[-1].options = ["rbind", "rshared"]'
	run hull run --bundle "$BUNDLE" "$ID"
	[[ "$output" == *'propagation "rshared" (Kubernetes: Bidirectional) is not supported'* ]]
	config '.mounts[-1].options = ["rbind", "rslave", "ro"]'
	run hull run --bundle "$BUNDLE" "$ID"
	[[ "$output" == *'propagation "rslave" (Kubernetes: HostToContainer) of a read-only mount is not supported'* ]]
}

# A container of the pod $ID, with the volume at /v: member NAME [OPTION...]
member() {
	local name=$1
	shift
	mkdir -p "$WORK/$name"
	jq '.annotations = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": $p}
		| .root.path = $r | .process.args = ["sleep", "3600"] | .mounts += [{type: "bind", source: $v, destination: "/v", options: (["rbind"] + $ARGS.positional)}]' \
		--arg p "$ID" --arg r "$BUNDLE/rootfs" --arg v "$WORK/vol" --args "$@" <"$BUNDLE/config.json" >"$WORK/$name/config.json"
	hull run -d --bundle "$WORK/$name" "$ID-$name" </dev/null >/dev/null 2>&1
}

@test "volume: containers of a pod meet in it: locks, sockets and inotify, also when one has it read-only" {
	build_posix
	build_watcher
	config '.annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": $p}' --arg p "$ID"
	args sleep 3600
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	member a
	member b
	member c ro
	hull exec -d "$ID-a" /posix lock /v/lock </dev/null >/dev/null 2>&1
	eventually 10 hull exec "$ID-a" test -e /v/lock
	run hull exec "$ID-b" /posix try /v/lock
	[ "$output" = "try: Resource temporarily unavailable" ]
	hull exec "$ID-c" /watcher 60 /v </dev/null >"$WORK/events" 2>&1 3>&- &
	watcher=$!
	eventually 20 grep -qx watching "$WORK/events"
	hull exec "$ID-b" touch /v/made
	saw "/v/made CREATE"
	run hull exec "$ID-c" touch /v/no
	[[ "$output" == *"Read-only file system"* ]]
	# Deleting one leaves the others' volume where it is.
	hull delete --force "$ID-a"
	[ "$(hull exec "$ID-b" ls /v | tr '\n' ' ')" = "lock made " ]
	hull delete --force "$ID-b"
	hull delete --force "$ID-c"
	wait $watcher || true
	hull delete --force "$ID"
}

# ---- in the guest

@test "memory: an emptyDir of medium Memory is the guest's, with its size and mode, and one for all containers" {
	mkdir -p "$WORK/kubernetes.io~empty-dir/mem"
	# In a mount namespace of the test's own, as the kubelet would on its host.
	cat >"$WORK/script" <<'SH'
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2m,mode=1777,gid=55 tmpfs "$WORK/kubernetes.io~empty-dir/mem"
"$HULL" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
"$HULL" --root "$ROOT" run --bundle "$WORK/b" "$ID-b" </dev/null >"$WORK/out.b" 2>&1
ls "$WORK/kubernetes.io~empty-dir/mem" >"$WORK/host"
"$HULL" --root "$ROOT" delete --force "$ID"
SH
	volume "$WORK/kubernetes.io~empty-dir/mem" /mem
	config '.annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": $p}' --arg p "$ID"
	args sh -c 'echo here >/mem/file; exec sleep 1000'
	mkdir "$WORK/b"
	jq '.annotations["io.kubernetes.cri.container-type"] = "container" | .root.path = $r
		| .process.args = ["sh", "-c", "until cat /mem/file; do sleep 0.1; done; grep \" /mem \" /proc/mounts; stat -c %a:%g /mem; dd if=/dev/zero of=/mem/big bs=1M count=4; true"]' \
		--arg r "$BUNDLE/rootfs" <"$BUNDLE/config.json" >"$WORK/b/config.json"
	export WORK HULL ROOT BUNDLE ID
	unshare -m sh "$WORK/script" 3>&-
	cat "$WORK/out.b"
	grep -qx here "$WORK/out.b"
	grep -q '^tmpfs /mem tmpfs .*size=2048k' "$WORK/out.b"
	grep -qx 1777:55 "$WORK/out.b"
	grep -q 'No space left' "$WORK/out.b"
	[ ! -s "$WORK/host" ]
}

@test "memory: huge pages up to the container's limit" {
	build_posix
	config '.mounts += [{type: "hugetlbfs", source: "none", destination: "/huge", options: ["pagesize=2M"]}]
		| .linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
	args sh -c '/posix huge 2; /posix huge 3; true'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "${lines[0]}" = "2 huge pages: ok" ]
	[[ "${lines[1]}" == "3 huge pages: Cannot allocate memory" ]]
	# A size that the guest does not have.
	config '.mounts[-1].options = ["pagesize=16M"]'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	echo "$output"
	[[ "$output" == *"/huge"* ]]
}

# ---- limits

@test "limits: reads and synced writes of the share are as slow as hull.conf or a pod's annotation says" {
	local a=io.katacontainers.blkio_cgroup disk
	disk=$(stat -c %Hd:%Ld "$BUNDLE")
	[ -e "/sys/dev/block/$disk" ] || skip "the bundle is not on a disk"
	[ -e /sys/fs/cgroup/blkio ] || grep -qw io /sys/fs/cgroup/cgroup.controllers || skip "no such controller"
	dd if=/dev/urandom of="$WORK/vol/big" bs=1M count=4 conv=fsync status=none
	dd if="$WORK/vol/big" iflag=nocache count=0 status=none
	volume "$WORK/vol" /vol
	printf '[share]\nread_bps = 1M\nwrite_bps = 1M\n' >"$WORK/hull.conf"
	args sh -c 's() { cut -d. -f1 /proc/uptime; }; a=$(s); cat /vol/big >/dev/null; b=$(s); dd if=/dev/zero of=/vol/new bs=1M count=4 conv=fsync 2>/dev/null
		c=$(s); dd if=/dev/zero of=/written bs=1M count=4 conv=fsync 2>/dev/null; echo $((b - a)) $((c - b)) $(($(s) - c))'
	HULL_CONFIG=$WORK/hull.conf run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	read -r reading writing root <<<"$output"
	[ "$reading" -ge 2 ] && [ "$writing" -ge 2 ] && [ "$root" -ge 2 ]

	# The annotation wins; small synced writes count one by one.
	config '.annotations[$a] = $v' --arg a "$a" --arg v '{"blkiocgroup":[{"path":"/dev/sda","limits":[{"type":"throttle_write_iops","value":5}]}]}'
	args sh -c 's() { cut -d. -f1 /proc/uptime; }; a=$(s); for i in $(seq 20); do dd if=/dev/zero of=/vol/small bs=4k count=1 conv=fsync 2>/dev/null; done; echo $(($(s) - a))'
	run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	[ "$output" -ge 2 ]
}

@test "limits: a weight is the host's to honour, or refused by name" {
	local a=io.katacontainers.blkio_cgroup
	config '.annotations[$a] = $v' --arg a "$a" --arg v '{"blkiocgroup":[{"path":"/dev/sda","limits":[{"type":"blkio_weight","value":500}]}]}'
	args true
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ] || [[ "$output" == *"$a: linux.resources.blockIO.weight: this host"* ]]
	config '.annotations[$a] = $v' --arg a "$a" --arg v '{"blkiocgroup":[{"path":"/dev/sda","limits":[{"type":"blkio_weight","value":5}]}]}'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"blkio_weight has to be from 10 to 1000"* ]]
}
