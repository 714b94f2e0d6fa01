#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# hull try, check and env: what a new user types first.

load lib.bash

setup() {
	setup_hull
	export TMPDIR=$WORK/tmp
	mkdir "$TMPDIR"
}

teardown() {
	# hull try cleans up after itself, whatever happened.
	[ -z "$(ls -A "$TMPDIR")" ] || { echo "left in TMPDIR: $(ls -A "$TMPDIR")" >&2; left=1; }
	teardown_hull
	[ -z "${left:-}" ]
}

# An image in the shape that `podman save` and others write: make_image oci-archive|oci-layout|docker-archive OUT
make_image() {
	python3 "$BATS_TEST_DIRNAME/make_image.py" "$1" "$2" "$DATA/try-rootfs.tar"
}

@test "try: the built-in image, exit code and kernel" {
	run hull try -- sh -c 'exit 42'
	[ "$status" -eq 42 ]
	run hull try -- uname -r
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
}

@test "try: stdin only with -i" {
	run bash -c "echo through | '$HULL' --root '$ROOT' try -i -- cat"
	[ "$output" = through ]
	run bash -c "echo through | '$HULL' --root '$ROOT' try -- cat"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "try: -it gives a terminal" {
	run timeout 60 script -qec "'$HULL' --root '$ROOT' try -it -- sh -c 'test -t 0 && test -t 1 && echo a terminal'" /dev/null
	[ "$status" -eq 0 ]
	[[ "$output" == *"a terminal"* ]]
}

@test "try: a directory is used in place" {
	run hull try "$BUNDLE/rootfs" -- sh -c 'echo kept >/written'
	[ "$status" -eq 0 ]
	[ "$(cat "$BUNDLE/rootfs/written")" = kept ]
}

@test "try: oci archive, oci layout and docker archive say what to run" {
	for kind in oci-archive oci-layout docker-archive; do
		make_image "$kind" "$WORK/image-$kind"
		run hull try -q "$WORK/image-$kind"
		[ "$status" -eq 0 ]
		[[ "$output" == *"hello from the image as 1000:1000 in /work, GREETING=hi, later=yes, gone=no"* ]]
		run hull try -q "$WORK/image-$kind" -- sh -c 'echo other'
		[ "$status" -eq 0 ]
	done
}

@test "try: options win over the image's" {
	make_image oci-archive "$WORK/image"
	run hull try -q -u 0 -w /tmp -e GREETING=hey "$WORK/image"
	[[ "$output" == *"as 0:0 in /tmp, GREETING=hey"* ]]
	run hull try -q -u nobody -- id -u
	[ "$output" = 65534 ]
	run hull try -q -u nosuchuser -- id
	[ "$status" -ne 0 ]
	[[ "$output" == *"no user \"nosuchuser\""* ]]
}

@test "try: --memory limits the container and sizes the VM" {
	run hull try -m 64M -- cat /sys/fs/cgroup/memory.max
	[ "$status" -eq 0 ]
	[ "$output" = $((64 << 20)) ]
	run hull try -m much -- true
	[ "$status" -ne 0 ]
	[[ "$output" == *"--memory"* ]]
}

@test "try: hostile archives are refused and nothing is written outside" {
	for evil in absolute dotdot hardlink-out device symlink-parent; do
		python3 "$BATS_TEST_DIRNAME/make_image.py" "evil-$evil" "$WORK/evil.tar" "$DATA/try-rootfs.tar"
		run hull try -q "$WORK/evil.tar" -- true
		[ "$status" -ne 0 ] || { echo "$evil was accepted"; false; }
		[ ! -e /var/tmp/hull-evil-canary ]
		[ ! -e "$TMPDIR/hull-evil-canary" ]
	done
}

@test "try: what is no image is an error that says what was expected" {
	echo nonsense >"$WORK/file"
	run hull try "$WORK/file" -- true
	[ "$status" -ne 0 ]
	run hull try "$WORK/nowhere" -- true
	[ "$status" -ne 0 ]
	[[ "$output" == *"$WORK/nowhere"* ]]
}

@test "try: terminated and killed, it leaves nothing" {
	for signal in TERM KILL; do
		"$HULL" --root "$ROOT" try -- sleep 1000 3>&- &
		pid=$!
		eventually 20 eval 'hull list | grep -q running'
		# PID 1 of a container ignores what it has not asked for; the second time Hull insists. (Two at once would be one.)
		eventually 20 eval 'kill -s $signal $pid 2>/dev/null; sleep 0.3; ! kill -0 $pid 2>/dev/null'
		wait $pid || true
		eventually 10 eval '! hull list | grep -q running'
		# After a SIGKILL the next try sweeps what the killed one could not.
		hull try -- true
		[ -z "$(ls -A "$TMPDIR")" ]
		[ -z "$(hull list -q)" ]
	done
}

@test "check: says what works, and fails when something is missing" {
	run hull check
	[ "$status" -eq 0 ]
	[[ "$output" == *"This host can run Hull."* ]]
	[[ "$output" == *accelerator* ]]
	hull check --json | jq -e 'map(.check) | index("guest") and index("accelerator")'
	printf '[vm]\nqemu = /nowhere/qemu\n' >"$WORK/hull.conf"
	HULL_CONFIG=$WORK/hull.conf run hull check
	[ "$status" -eq 1 ]
	[[ "$output" == *"FAIL"*"qemu"* ]]
	[[ "$output" == *"install qemu-system-x86"* ]]
}

@test "check: KVM is believed only if guest code runs" {
	# These words hold on every host: with KVM usable it is chosen, without it is not, and why is said either way.
	usable=$(hull env --json | jq -r .host.kvm.usable)
	accelerator=$(hull env --json | jq -r .vm.accelerator)
	if [ "$usable" = true ]; then [ "$accelerator" = kvm ]; else [ "$accelerator" = tcg ]; fi
	[ -n "$(hull env --json | jq -r .vm.why)" ]
	printf '[vm]\naccelerator = kvm\n' >"$WORK/hull.conf"
	if [ "$usable" = false ]; then
		HULL_CONFIG=$WORK/hull.conf run hull try -- true
		[ "$status" -ne 0 ]
		[[ "$output" == *KVM* ]]
	fi
}

@test "env: text and JSON have versions, paths, guest and accelerator" {
	run hull env
	[ "$status" -eq 0 ]
	for key in hull.version guest.version guest.kernel vm.accelerator vm.vmmVersion host.kernel; do
		[[ "$output" == *"$key"* ]]
	done
	hull env --json | jq -e '.guest.version != "unknown" and (.guest.kernel | startswith("/"))'
}

@test "try: Debian's kernel works as well as the tuned one" {
	printf '[vm]\nkernel = %s\ninitrd = %s\n' "$DATA/vmlinuz-debian" "$DATA/initramfs-debian.img" >"$WORK/hull.conf"
	HULL_CONFIG=$WORK/hull.conf run hull try -- uname -r
	[ "$status" -eq 0 ]
	[[ "$output" == *cloud* ]]
}
