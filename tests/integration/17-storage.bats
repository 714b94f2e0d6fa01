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
	args sh -c 'rm -rf /vol/*; mkdir /w; cd /w && /posix; cd /vol && /posix'
	same_as_runc "$WORK/vol"
	[ "$(grep -c 'flock by another process: Resource temporarily unavailable' <<<"$output")" -eq 2 ]
	[ "$(grep -c '^1000 writes listed: Permission denied' <<<"$output")" -eq 4 ]
}

@test "files: more than virtiofsd has descriptors for" {
	build_posix
	volume "$WORK/vol" /vol
	# shellcheck disable=SC3045
	args sh -c 'cd /vol && /posix many 30000 && /posix deep 200'
	ulimit -n 20000
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$output" = $'30000 files, 30000 seen, 0 bad, rmdir 0\nat the bottom: ok\n200 down and up' ]
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

saw() {
	eventually 20 grep -qxF -- "$1" "$WORK/events" || { cat "$WORK/events" >&2; return 1; }
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
	watch 6 /vol /vol/key
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
	wait $watcher
}

@test "inotify: files made, written, renamed and removed on the host; directories that come later; a single file" {
	build_watcher
	mkdir -p "$WORK/vol/sub/deep"
	echo old >"$WORK/vol/sub/file"
	echo hosts >"$WORK/hosts"
	volume "$WORK/vol" /vol
	volume "$WORK/hosts" /etc/hosts
	watch 6 /vol /vol/sub /vol/sub/deep /vol/sub/file /etc/hosts
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
	wait $watcher
}

@test "inotify: what the container does is told once" {
	build_watcher
	volume "$WORK/vol" /vol
	watch 4 /vol
	hull exec "$ID" sh -c 'echo x >/vol/a; mv /vol/a /vol/b; rm /vol/b'
	saw "/vol/b DELETE"
	wait $watcher
	[ "$(grep -c CREATE "$WORK/events")" -eq 1 ]
	[ "$(grep -c MOVED_TO "$WORK/events")" -eq 1 ]
	[ "$(grep -c DELETE "$WORK/events")" -eq 1 ]
}
