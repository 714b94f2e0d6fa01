#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real programs: a Debian root file system on a bundle from `hull spec`, by `hull run` and `hull exec`.

load lib.bash

setup_file() { setup_debian; }
teardown_file() { teardown_debian; }

setup() {
	setup_hull
	config --arg path "$DEBIAN_TREE" '.root.path = $path | .root.readonly = false |
		.process.capabilities[] += ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]'
}

teardown() { teardown_hull; }

@test "python computes" {
	args python3 -c 'import json, hashlib, math; print(json.dumps({"answer": 6*7, "pi": round(math.pi, 5), "sha": hashlib.sha256(b"hull").hexdigest()[:8]}))'
	run hull run --bundle "$BUNDLE" "$ID"
	[ "$status" -eq 0 ]
	[ "$(jq .answer <<<"$output")" = 42 ]
	[ "$(jq -r .sha <<<"$output")" = "$(printf hull | sha256sum | cut -c1-8)" ]
}

@test "redis answers PING and keeps what it is given" {
	args redis-server --save '' --daemonize no
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 60 grep -q "Ready to accept connections" "$WORK/out"
	[ "$(hull exec "$ID" redis-cli ping)" = PONG ]
	[ "$(hull exec "$ID" redis-cli set ship hull)" = OK ]
	[ "$(hull exec "$ID" redis-cli get ship)" = hull ]
	hull kill "$ID" TERM
	eventually 30 is_status "$ID" stopped
	[ "$(jq .exit.code "$ROOT/containers/$ID/state.json")" = 0 ]
	grep -q "Redis is now ready to exit" "$WORK/out"
}

@test "nginx serves over its loopback" {
	echo "served from a VM" >"$DEBIAN_TREE/var/www/html/index.html"
	args nginx -g 'daemon off;'
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/out" 2>&1
	eventually 60 hull exec "$ID" curl -sf -o /dev/null http://127.0.0.1/
	[ "$(hull exec "$ID" curl -s http://127.0.0.1/)" = "served from a VM" ]
	# Its log is a file of the rootfs, so it is on the host too.
	grep -q "GET / HTTP" "$DEBIAN_TREE/var/log/nginx/access.log"
	[ "$(hull exec "$ID" pgrep -c nginx)" -ge 2 ]
}

@test "a user's shell session: files, pipes, job control, a script" {
	args bash -c 'set -e; cd /root; for i in $(seq 200); do echo "line $i"; done >f; sort -R f | sort -k2n | cmp - f;
		mkdir -p a/b/c; touch a/b/c/d; mv a x; find x -type f; sleep 0.1 & wait; du -s /usr >/dev/null; echo done'
	run hull run --bundle "$BUNDLE" "$ID"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = done ]
	[ -f "$DEBIAN_TREE/root/x/b/c/d" ]
	rm -rf "$DEBIAN_TREE"/root/*
}
