#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks: root file systems and volumes on block devices and images, and devices that a container is given. Loop devices stand in.

load lib.bash
setup() {
	setup_hull
	config '.root.readonly = false'
	LOOPS=()
}
teardown() {
	local status=0
	teardown_hull || status=1
	for loop in "${LOOPS[@]}"; do
		eventually 10 losetup -d "$loop" || status=1
	done
	return $status
}

# image NAME SIZE FSTYPE [DIRECTORY]: an image with a file system that holds the directory's files
image() {
	truncate -s "$2" "$WORK/$1"
	case $3 in
	ext4) mkfs.ext4 -q ${4:+-d "$4"} "$WORK/$1" ;;
	xfs) mkfs.xfs -q "$WORK/$1" >/dev/null ;;
	erofs) rm "$WORK/$1" && mkfs.erofs "$WORK/$1" "$4" >/dev/null ;;
	none) ;;
	esac
}

# loop NAME: $LOOP is a loop device of the image, $NUMBERS what config.json calls it
loop() {
	LOOP=$(losetup -f --show "$WORK/$1") || skip "no loop devices here"
	LOOPS+=("$LOOP")
	NUMBERS=$(lsblk -ndo MAJ:MIN "$LOOP" | tr -d ' ')
}

# device PATH [ACCESS]: as an engine's --device
device() {
	config '.linux.devices += [{path: $p, type: "b", major: $a, minor: $b, fileMode: 432, uid: 0, gid: 0}]' \
		--arg p "$1" --argjson a "${NUMBERS%:*}" --argjson b "${NUMBERS#*:}"
	[ -z "${2-rwm}" ] || config '.linux.resources.devices += [{allow: true, type: "b", major: $a, minor: $b, access: $r}]' \
		--arg r "${2-rwm}" --argjson a "${NUMBERS%:*}" --argjson b "${NUMBERS#*:}"
}

run_hull() {
	run hull run --bundle "$BUNDLE" "$ID" </dev/null
}

@test "volume: an image that mounts[] calls ext4 is mounted, written to and clean afterwards" {
	mkdir "$WORK/files"
	echo hello >"$WORK/files/there"
	image vol 32M ext4 "$WORK/files"
	config '.mounts += [{type: "ext4", source: $s, destination: "/vol", options: ["loop", "noatime"]}]' --arg s "$WORK/vol"
	args sh -c 'cat /vol/there; grep " /vol " /proc/mounts; echo new >/vol/new; dd if=/dev/zero of=/vol/big bs=1M count=5 2>/dev/null; df -m /vol | tail -n1'
	run_hull
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = hello ]
	[[ "${lines[1]}" == /dev/vd?\ /vol\ ext4\ rw,noatime* ]]
	e2fsck -fn "$WORK/vol"
	[ "$(debugfs -R 'cat /new' "$WORK/vol" 2>/dev/null)" = new ]
}

@test "volume: read-only holds on the host, whatever the guest does" {
	image vol 16M ext4
	sum=$(sha256sum <"$WORK/vol")
	loop vol
	config '.mounts += [{type: "ext4", source: $s, destination: "/vol", options: ["ro"]}]' --arg s "$LOOP"
	config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_MKNOD"]) | .linux.resources.devices = [{allow: true, access: "rwm"}]'
	args sh -c 'mount -o remount,rw /vol; touch /vol/x; mknod /d b $(mountpoint -x $(readlink -f $(grep " /vol " /proc/mounts | cut -d" " -f1)) | tr : " "); d=$(ls /sys/block | grep vd); cat /sys/block/$d/ro; mknod /disk b $(cat /sys/block/$d/dev | tr : " "); echo x >/disk; grep " /vol " /proc/mounts'
	run_hull
	[[ "$output" == *"ext4 ro"* ]]
	[[ "$output" == *$'\n1\n'* ]]
	[ "$(sha256sum <"$WORK/vol")" = "$sum" ]
}

@test "volume: xfs and erofs" {
	command -v mkfs.xfs mkfs.erofs >/dev/null || skip "no xfsprogs or erofs-utils"
	mkdir "$WORK/files"
	echo hello >"$WORK/files/there"
	image x 300M xfs
	image e 1M erofs "$WORK/files"
	config '.mounts += [{type: "xfs", source: ($w + "/x"), destination: "/x"}, {type: "erofs", source: ($w + "/e"), destination: "/e"}]' --arg w "$WORK"
	args sh -c 'echo x >/x/x && cat /x/x /e/there; touch /e/no'
	run_hull
	[[ "$output" == $'x\nhello\n'*"Read-only file system" ]]
}

@test "rootfs: on an ext4 image; the directory is not looked at" {
	image root 64M ext4 "$BUNDLE/rootfs"
	rm -rf "$BUNDLE/rootfs" && mkdir "$BUNDLE/rootfs"
	config '.annotations["io.hull.rootfs.block"] = ("ext4:" + $f)' --arg f "$WORK/root"
	args sh -c 'grep " / " /proc/mounts; echo written >/written; cat /etc/passwd | wc -l'
	run_hull
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == /dev/vd?\ /\ ext4\ rw* ]]
	[ -z "$(ls "$BUNDLE/rootfs")" ]
	e2fsck -fn "$WORK/root"
	[ "$(debugfs -R 'cat /written' "$WORK/root" 2>/dev/null)" = written ]

	# The same, read-only, and once more on a device.
	loop root
	config '.root.readonly = true | .annotations["io.hull.rootfs.block"] = ("ext4:" + $f)' --arg f "$LOOP"
	args sh -c 'cat /written; echo more >/written'
	run_hull
	[[ "$output" == written*"Read-only file system"* ]]
}

@test "rootfs: on an erofs image, with a layer in memory when it is to be written to" {
	command -v mkfs.erofs >/dev/null || skip "no erofs-utils"
	chmod 751 "$BUNDLE/rootfs"
	image root 1M erofs "$BUNDLE/rootfs"
	sum=$(sha256sum <"$WORK/root")
	config '.annotations["io.hull.rootfs.block"] = ("erofs:" + $f)' --arg f "$WORK/root"
	args sh -c 'echo written >/written && cat /written && rm /bin/ls && stat -c %a / && echo appended >>/etc/passwd && tail -n1 /etc/passwd'
	run_hull
	[ "$output" = $'written\n751\nappended' ]
	[ "$(sha256sum <"$WORK/root")" = "$sum" ]
	config '.root.readonly = true'
	args sh -c 'echo x >/x'
	run_hull
	[[ "$output" == *"Read-only file system"* ]]
}

@test "rootfs: a pod's container on an image is created again under its name at once" {
	local i pause=$WORK/pause
	cp -a "$BUNDLE" "$pause"
	config '.annotations["io.kubernetes.cri.sandbox-id"] = $id | .annotations["io.kubernetes.cri.container-type"] = "container"' --arg id "$ID"
	image root 64M ext4 "$BUNDLE/rootfs"
	config '.annotations["io.hull.rootfs.block"] = ("ext4:" + $f)' --arg f "$WORK/root"
	args sh -c 'echo once >>/written; wc -l </written'
	BUNDLE=$pause
	config '.annotations["io.kubernetes.cri.sandbox-id"] = $id | .annotations["io.kubernetes.cri.container-type"] = "sandbox"' --arg id "$ID"
	args sleep 1000
	hull run -d --bundle "$pause" "$ID" </dev/null >/dev/null 2>&1
	for i in 1 2 3; do
		run hull run --bundle "$WORK/bundle" "$ID-app" </dev/null
		echo "$output"
		[ "$output" = "$i" ]
	done
	hull create --bundle "$WORK/bundle" "$ID-app" </dev/null >/dev/null 2>&1
	hull delete --force "$ID-app"
	run hull run --bundle "$WORK/bundle" "$ID-app" </dev/null
	[ "$output" = 4 ]
}

@test "device: one that is named is the container's; its numbers are the guest's" {
	image raw 8M none
	loop raw
	device /dev/xvda
	config '.linux.uidMappings = []'
	args sh -c 'stat -c "%A %t" /dev/xvda; printf "from the guest" | dd of=/dev/xvda bs=512 seek=3 conv=notrunc 2>/dev/null; sync; blockdev --getsize64 /dev/xvda'
	run_hull
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == brw-rw----* ]]
	[ "${lines[1]}" = 8388608 ]
	[ "$(dd if="$WORK/raw" bs=1 skip=1536 count=14 2>/dev/null)" = "from the guest" ]
}

@test "device: with a rule for reading it is opened for reading" {
	image raw 8M none
	sum=$(sha256sum <"$WORK/raw")
	loop raw
	device /dev/xvda r
	args sh -c 'head -c 4 /dev/xvda | od -An -tx1; echo x >/dev/xvda; cat /sys/block/vda/ro'
	run_hull
	[[ "$output" == *"00 00 00 00"* ]]
	[ "${lines[-1]}" = 1 ]
	[ "$(sha256sum <"$WORK/raw")" = "$sum" ]
}

@test "device: what only a rule for everything allows stays on the host" {
	image raw 8M none
	loop raw
	device /dev/xvda ""
	config '.linux.resources.devices = [{allow: true, access: "rwm"}]'
	args sh -c 'ls /dev/xvda; ls /sys/block | grep -c vd'
	run_hull
	[[ "$output" == *"No such file"*$'\n0' ]]
}

@test "device: a bind mount of a device node needs a rule or hull.conf" {
	image raw 8M none
	loop raw
	config '.mounts += [{type: "bind", source: $s, destination: "/dev/data", options: ["bind"]}]' --arg s "$LOOP"
	args sh -c 'printf yes | dd of=/dev/data conv=notrunc 2>/dev/null && echo written'
	run_hull
	[ "$status" -ne 0 ]
	[[ "$output" == *"mounts["*"$LOOP is a block device, and neither a rule of linux.resources.devices (--device) nor hull.conf"* ]]

	printf '[disk]\nvolumes = /dev/vg/*, /dev/loop*\ndiscard = no\niothread = yes\n' >"$WORK/hull.conf"
	HULL_CONFIG=$WORK/hull.conf run_hull
	[ "$output" = written ]
	[ "$(head -c 3 "$WORK/raw")" = yes ]

	# A node elsewhere is nobody's word: a container may have made it.
	mknod "$WORK/node" b "${NUMBERS%:*}" "${NUMBERS#*:}"
	config '.mounts[-1].source = $s' --arg s "$WORK/node"
	HULL_CONFIG=$WORK/hull.conf run_hull
	[[ "$output" == *"nor hull.conf ([disk] volumes) names it"* ]]
}

@test "device: refused with the reason: in use, absent, no disk, bad annotation" {
	image vol 16M ext4
	loop vol
	device /dev/xvda
	args true
	mkdir "$WORK/mnt"
	unshare -m sh -c 'mount "$1" "$2" && echo mounted && exec sleep 100' - "$LOOP" "$WORK/mnt" >"$WORK/mounted" 3>&- &
	mounter=$!
	eventually 10 grep -q mounted "$WORK/mounted"
	run_hull
	kill $mounter
	[[ "$output" == *"linux.devices["*"/dev/xvda: $LOOP is in use: the host has it mounted"* ]]
	config 'del(.linux.devices) | .linux.resources.devices = []'

	config '.linux.devices = [{path: "/dev/x", type: "b", major: 511, minor: 99}] | .linux.resources.devices = [{allow: true, type: "b", major: 511, minor: 99, access: "rwm"}]'
	run_hull
	[[ "$output" == *"linux.devices[0]: /dev/x: the host has no block device 511:99"* ]]
	config 'del(.linux.devices)'

	config '.mounts += [{type: "ext4", source: "/dev/null", destination: "/vol"}]'
	run_hull
	[[ "$output" == *"/dev/null: not a block device or a regular file"* ]]
	config '.mounts[-1] = {type: "ext4", source: "relative", destination: "/vol"}'
	run_hull
	[[ "$output" == *"a mount of type ext4 needs the absolute path"* ]]
	config 'del(.mounts[-1]) | .annotations["io.hull.rootfs.block"] = "ntfs:/dev/sda"'
	run_hull
	[[ "$output" == *"io.hull.rootfs.block: expected TYPE:/PATH"* ]]

	# Another container's disk is not a name that a container can use.
	config 'del(.annotations) | .mounts += [{type: "btrfs", source: "/dev/vda", destination: "/vol"}]'
	run_hull
	[[ "$output" == *"/dev/vda is not a disk of this container"* ]]
}

@test "limits: a disk is as slow as hull.conf says" {
	image raw 32M none
	loop raw
	device /dev/xvda
	printf '[disk]\nread_bps = 4M\ncache = none\n' >"$WORK/hull.conf"
	args sh -c 's=$(cut -d. -f1 /proc/uptime); dd if=/dev/xvda of=/dev/null bs=1M count=24 2>/dev/null; echo $(($(cut -d. -f1 /proc/uptime) - s))'
	HULL_CONFIG=$WORK/hull.conf run_hull
	[ "$status" -eq 0 ]
	[ "$output" -ge 4 ]

	# As openEuler's users say it.
	a=io.katacontainers.blkio_cgroup
	config '.annotations[$a] = $v' --arg a "$a" --arg v '{"blkiocgroup":[{"path":"/dev/sda","limits":[{"type":"throttle_read_bps","value":4194304},{"type":"throttle_write_iops","value":100}]}]}'
	run_hull
	[ "$output" -ge 4 ]
	config '.annotations[$a] = $v' --arg a "$a" --arg v '{"blkiocgroup":[{"path":"/dev/sda","limits":[{"type":"nonsense","value":500}]}]}'
	run_hull
	[[ "$output" == *"\"$a\": nonsense is not supported"* ]]
	config '.annotations[$a] = "nonsense"' --arg a "$a"
	run_hull
	[[ "$output" == *"\"$a\": expected {\"blkiocgroup\":"* ]]
	config 'del(.annotations)'
	printf '[disk]\nread_bps = fast\n' >"$WORK/hull.conf"
	HULL_CONFIG=$WORK/hull.conf run_hull
	[[ "$output" == *"read_bps: expected a number a second"* ]]
}
