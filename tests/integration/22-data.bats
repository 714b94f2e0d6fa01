#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real programs on real data in volumes: what they write is what the host reads, as with runc. The programs are the host's own, bound
# read-only. HULL_SOAK=1 makes everything larger and longer.

load lib.bash
load runc.bash

setup() {
	setup_hull
	mkdir "$WORK/vol"
	rm -rf "$BUNDLE/rootfs"
	mkdir -p "$BUNDLE/rootfs"/{usr,etc,tmp,var/tmp,var/lib,var/cache,proc,sys,dev,run,root}
	chmod 1777 "$BUNDLE/rootfs/tmp" "$BUNDLE/rootfs/var/tmp"
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$BUNDLE/rootfs/$d"; done
	cp -a /etc/{passwd,group,nsswitch.conf,ld.so.cache,alternatives} "$BUNDLE/rootfs/etc/"
	all='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_SETUID","CAP_SETGID","CAP_SETFCAP","CAP_MKNOD","CAP_KILL","CAP_SYS_CHROOT"]'
	config '.root.readonly = false | del(.process.rlimits) | .process.noNewPrivileges = false
		| .process.capabilities = {bounding: $c, effective: $c, permitted: $c}
		| .mounts += [{type: "bind", source: "/usr", destination: "/usr", options: ["rbind", "ro"]},
			{type: "bind", source: $v, destination: "/vol", options: ["rbind"]}]' --argjson c "$all" --arg v "$WORK/vol"
}
teardown() { teardown_hull; }

need() {
	command -v "$@" >/dev/null || skip "not installed: $*"
}

run_hull() {
	run hull run --bundle "$BUNDLE" "$ID" </dev/null
	[ "$status" -eq 0 ] || { echo "$output" | tail -n 40 >&2; return 1; }
}

@test "git: clone, fsck, gc of a local repository" {
	need git
	git init -q "$WORK/vol/src"
	for i in $(seq $((${HULL_SOAK:+10} + 3))00); do
		mkdir -p "$WORK/vol/src/d$((i % 17))"
		head -c $((i * 37)) /dev/urandom >"$WORK/vol/src/d$((i % 17))/f$i"
	done
	git -C "$WORK/vol/src" add -A
	git -C "$WORK/vol/src" -c user.name=x -c user.email=x@x commit -qm one
	args sh -ec 'cd /vol; export HOME=/root; git config --global --add safe.directory "*"; git clone -q src dst; cd dst; git fsck --full
		git -c user.name=x -c user.email=x@x commit -q --allow-empty -m two; git gc -q; git fsck --full; git status --porcelain'
	run_hull
	diff -r --exclude .git "$WORK/vol/src" "$WORK/vol/dst"
	git -c safe.directory="*" -C "$WORK/vol/dst" fsck --full
	[ "$(git -c safe.directory="*" -C "$WORK/vol/dst" log --oneline | wc -l)" -eq 2 ]
}

@test "tar: a tree goes in and out as with runc, bit by bit" {
	require_runc
	local size=$((${HULL_SOAK:+160} + 40))
	mkdir "$WORK/tree" "$WORK/vol.runc"
	for i in $(seq $((size / 2))); do
		mkdir -p "$WORK/tree/a$((i % 7))/b$((i % 3))"
		head -c 2M /dev/urandom >"$WORK/tree/a$((i % 7))/b$((i % 3))/big$i"
		for j in 1 2 3 4 5; do echo "$i $j" >"$WORK/tree/a$((i % 7))/small$i.$j"; done
		ln "$WORK/tree/a$((i % 7))/small$i.1" "$WORK/tree/a$((i % 7))/hard$i"
		ln -s "small$i.2" "$WORK/tree/a$((i % 7))/soft$i"
	done
	truncate -s 20M "$WORK/tree/sparse"
	chown 12:34 "$WORK/tree/a1"
	setfattr -n user.x -v y "$WORK/tree/a1/small1.1"
	touch -d '2001-02-03 04:05:06.789' "$WORK/tree/a2"
	tar -C "$WORK/tree" --xattrs --sparse -cf "$WORK/vol/in.tar" .
	cp "$WORK/vol/in.tar" "$WORK/vol.runc/"
	args sh -ec 'mkdir /vol/tree; cd /vol/tree; tar --xattrs -xpf ../in.tar; tar --sort=name --xattrs --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf ../out.tar .; sha256sum ../out.tar | cut -d" " -f1'
	run_hull
	theirs=$output
	config '.mounts[-1].source = $v' --arg v "$WORK/vol.runc"
	run runc_run
	[ "$output" = "$theirs" ]
	manifest "$WORK/vol/tree" >"$WORK/hull.manifest"
	manifest "$WORK/vol.runc/tree" | diff "$WORK/hull.manifest" -
	[ "$(stat -c %b "$WORK/vol/tree/sparse")" -lt 100 ]
}

@test "sqlite: writers that wait for each other, with a journal and with a log in shared memory" {
	need sqlite3
	args sh -c 'cd /vol; for mode in delete wal; do
			sqlite3 $mode.db "pragma journal_mode=$mode; create table t(i integer primary key, who text);" >/dev/null
			for w in 1 2 3; do
				(i=0; while [ $i -lt 8 ]; do sqlite3 -cmd ".timeout 100000" $mode.db "insert into t(who) values($w)" || echo failed; i=$((i+1)); done) &
			done; wait
			sqlite3 $mode.db "select count(*) from t; pragma integrity_check;"
		done'
	run_hull
	[ "$output" = $'24\nok\n24\nok' ]
	[ "$(sqlite3 "$WORK/vol/wal.db" 'select count(*) from t; pragma integrity_check;')" = $'24\nok' ]
}

@test "fio: what was written reads back, cached, mapped and direct" {
	need fio
	local size=$((${HULL_SOAK:+200} + 12))M
	args sh -ec 'cd /vol; fio="fio --size='$size' --bs=4k --verify_fatal=1 --output=/dev/null"
		$fio --name=a --rw=randrw --verify=crc32c --ioengine=psync --fsync=64
		$fio --name=b --rw=randwrite --verify=md5 --ioengine=mmap
		$fio --name=c --rw=randwrite --verify=crc32c --ioengine=libaio --iodepth=8 --direct=1
		$fio --name=d --rw=write --bs=128k --verify=sha256 --ioengine=io_uring --iodepth=4 || echo no io_uring; echo verified'
	run_hull
	[ "${lines[-1]}" = verified ]
}

@test "stress-ng: files, locks, names and attributes, verified" {
	need stress-ng
	args sh -c 'cd /vol && stress-ng --temp-path /vol --verify -t '$((${HULL_SOAK:+60} + 4))' --hdd 1 --hdd-bytes 8M --fallocate 1 --fallocate-bytes 16M \
		--lockf 2 --flock 2 --xattr 1 --filename 1 --rename 1 --link 1 --dentry 1 --dentries 200 2>&1 && echo passed'
	run_hull
	[ "${lines[-1]}" = passed ]
}

@test "PostgreSQL: killed hard in the middle of transactions, it recovers what it had confirmed" {
	local bin
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n1)
	[ -x "$bin/postgres" ] || skip "no PostgreSQL"
	chown 1000:1000 "$WORK/vol"
	config '.process.user = {uid: 1000, gid: 1000} | .process.env += ["LC_ALL=C", ("B=" + $b)]' --arg b "$bin"
	echo 'pg:x:1000:1000::/vol:/bin/sh' >>"$BUNDLE/rootfs/etc/passwd"
	# On the host: it takes an emulated guest minutes, and shows nothing that the rest does not.
	chmod 711 "$WORK"
	setpriv --reuid 1000 --regid 1000 --clear-groups "$bin/initdb" -D "$WORK/vol/db" -U pg --no-locale >/dev/null
	args "$bin/postgres" -D /vol/db -k /vol -h '' -c shared_buffers=16MB -c max_connections=10 -c autovacuum=off
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/log" 2>&1
	eventually 120 grep -q "ready to accept connections" "$WORK/log"
	hull exec "$ID" "$bin/psql" -q -h /vol -U pg postgres -c 'create table t(i int)'
	hull exec "$ID" "$bin/pgbench" -q -i -s 1 -h /vol -U pg postgres </dev/null >"$WORK/bench" 2>&1
	hull exec "$ID" sh -c 'i=0; while :; do i=$((i+1)); echo "insert into t values($i) returning i;"; done | $B/psql -qAt -h /vol -U pg postgres' \
		</dev/null >"$WORK/confirmed" 2>/dev/null 3>&- &
	(hull exec "$ID" "$bin/pgbench" -c 2 -T 30 -h /vol -U pg postgres </dev/null >>"$WORK/bench" 2>&1 3>&- || true) &
	eventually 90 eval '[ "$(wc -l <"$WORK/confirmed")" -gt 50 ]'
	kill -9 "$(hull pod inspect "$ID" | jq .vmmPid)"
	wait
	eventually 20 is_status "$ID" stopped
	hull delete --force "$ID"
	last=$(tail -n1 "$WORK/confirmed")
	rm -f "$WORK/vol/db/postmaster.pid"

	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/log" 2>&1
	eventually 120 grep -q "ready to accept connections" "$WORK/log"
	hull exec "$ID" "$bin/psql" -qAt -h /vol -U pg postgres -c 'select max(i), count(*) from t' >"$WORK/found"
	grep -q "automatic recovery in progress" "$WORK/log"
	[ "$(cut -d'|' -f1 "$WORK/found")" -ge "$last" ]
	[ "$(cut -d'|' -f1 "$WORK/found")" = "$(cut -d'|' -f2 "$WORK/found")" ]
	# The books of pgbench balance.
	[ "$(hull exec "$ID" "$bin/psql" -qAt -h /vol -U pg postgres -c \
		'select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches)')" = t ]
}

@test "apt-get install of local packages" {
	[ -f "$BATS_TEST_DIRNAME/../../build-rootfs/debian.tar" ] || [ -n "${HULL_DEBIAN_ROOTFS:-}" ] || skip "no Debian root file system (08-debian.bats makes it)"
	config 'del(.mounts[-2]) | .process.capabilities[] += ["CAP_NET_BIND_SERVICE"]'
	rm -rf "$BUNDLE/rootfs" && mkdir "$BUNDLE/rootfs"
	tar -C "$BUNDLE/rootfs" --xattrs -xpf "${HULL_DEBIAN_ROOTFS:-$BATS_TEST_DIRNAME/../../build-rootfs/debian.tar}"
	# A package of our own: no network, no mirror.
	mkdir -p "$WORK/pkg/DEBIAN" "$WORK/pkg/usr/share/hull-test" "$WORK/pkg/etc"
	printf 'Package: hull-test\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: files\n' >"$WORK/pkg/DEBIAN/control"
	printf '#!/bin/sh\nset -e\necho configured >/etc/hull-test.done\n' >"$WORK/pkg/DEBIAN/postinst"
	chmod 755 "$WORK/pkg/DEBIAN/postinst"
	for i in $(seq 300); do echo "$i" >"$WORK/pkg/usr/share/hull-test/$i"; done
	echo conf >"$WORK/pkg/etc/hull-test.conf"
	dpkg-deb --root-owner-group -b "$WORK/pkg" "$WORK/vol/hull-test.deb" >/dev/null
	args sh -ec 'apt-get install -y -o APT::Sandbox::User=root /vol/hull-test.deb >/tmp/log 2>&1 || { tail /tmp/log; exit 1; }; dpkg -V hull-test; cat /etc/hull-test.done; ls /usr/share/hull-test | wc -l
		apt-get purge -y hull-test >/dev/null 2>&1; [ ! -e /usr/share/hull-test ]; echo purged'
	run_hull
	[ "$output" = $'configured\n300\npurged' ]
}
