#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/oci.md says of config.json and no other file of tests shows: hooks on either side of the VM's border.

load lib.bash
load runc.bash
setup() { setup_hull; }
teardown() {
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
