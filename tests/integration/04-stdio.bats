#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The standard streams of a process: bytes, order, ends, readers that do not read, terminals.
# STDIO_MB: MiB that go through a container and back (default 1024).

load lib.bash
setup() {
	setup_hull
	export STDIO_MB=${STDIO_MB:-1024}
}

teardown() {
	local pid
	for pid in $BACKGROUND; do kill "$pid" 2>/dev/null || true; done
	teardown_hull
}

# One of the cases of stdio.py on a hull command.
stdio() {
	local name=$1
	shift
	timeout -k 5 240 python3 "$BATS_TEST_DIRNAME/stdio.py" "$name" "$HULL" --root "$ROOT" "$@"
}

# The container's command: the shell script on stdin.
script() {
	args sh -c "$(cat)"
}

rss_kb() {
	awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

supervisor_of() {
	jq .supervisor.pid "$ROOT/containers/$1/state.json"
}

# A pipe that nobody reads, open for reading and writing as descriptor 7.
stalled_pipe() {
	mkfifo "$WORK/stalled"
	exec 7<>"$WORK/stalled"
}

# ---- bytes

@test "pipes: what goes through cat comes back byte for byte" {
	args cat
	run stdio pump run --bundle "$BUNDLE" "$ID"
	echo "# $output" >&3
	[ "$status" -eq 0 ]
}

@test "pipes: both directions on their own, checked within" {
	head -c 20000000 /dev/urandom >"$WORK/data"
	args sh -c 'md5sum; cat /data | md5sum; cat /data'
	cp "$WORK/data" "$BUNDLE/rootfs/data"
	sum=$(md5sum <"$WORK/data")
	hull run --bundle "$BUNDLE" "$ID" <"$WORK/data" >"$WORK/out"
	[ "$(head -n2 "$WORK/out")" = "$sum"$'\n'"$sum" ]
	tail -n+3 "$WORK/out" | cmp - "$WORK/data"
}

@test "pipes: short lines of a loop arrive in order, none missing, each stream on its own" {
	script <<-'SH'
		i=0
		while [ $i -lt 5000 ]; do
			echo $i
			echo err $i >&2
			i=$((i+1))
		done
	SH
	hull run --bundle "$BUNDLE" "$ID" >"$WORK/out" 2>"$WORK/err" </dev/null
	cmp "$WORK/out" <(seq 0 4999)
	cmp "$WORK/err" <(seq -f 'err %.0f' 0 4999)
}

@test "pipes: every byte value, both ways" {
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 5)' >"$WORK/data"
	args cat
	hull run --bundle "$BUNDLE" "$ID" <"$WORK/data" >"$WORK/out"
	cmp "$WORK/out" "$WORK/data"
}

@test "pipes: a burst larger than every buffer, then the end at once" {
	args sh -c 'head -c 5000000 /dev/zero | tr "\0" x; echo end; exit 3'
	set +e
	hull run --bundle "$BUNDLE" "$ID" </dev/null | cat >"$WORK/out"
	code=${PIPESTATUS[0]}
	set -e
	[ "$code" -eq 3 ]
	[ "$(stat -c %s "$WORK/out")" = 5000004 ]
	[ "$(tail -n1 "$WORK/out" | tail -c 4)" = end ]
}

@test "pipes: all of it arrives when the reader begins late" {
	# More than the pipe and less than all buffers, so that the program has ended long before anybody reads.
	args sh -c 'head -c 250000 /dev/zero | tr "\0" x; head -c 100000 /dev/zero | tr "\0" y >&2'
	hull run --bundle "$BUNDLE" "$ID" </dev/null 2>"$WORK/err" | (sleep 6; cat) >"$WORK/out"
	[ "$(stat -c %s "$WORK/out")" = 250000 ]
	[ "$(stat -c %s "$WORK/err")" = 100000 ]
}

# ---- ends

@test "stdin: its end reaches a program, of run and of exec, and output comes afterwards" {
	args sh -c 'cat; echo; cat; echo after; seq 1 100000 | tail -n1'
	[ "$(printf some | hull run --bundle "$BUNDLE" "$ID")" = $'some\nafter\n100000' ]
	start_sleeper
	[ "$(printf more | hull exec "$ID" sh -c 'cat; echo; echo after')" = $'more\nafter' ]
	[ "$(hull exec "$ID" sh -c 'cat | wc -c' </dev/null)" = 0 ]
	[ "$(head -c 3000000 /dev/zero | hull exec "$ID" wc -c)" = 3000000 ]
	# A program that does not read is no reason to wait for it.
	[ "$(yes | hull exec "$ID" echo done)" = done ]
	[ "$(yes | hull exec "$ID" sh -c 'exec <&-; sleep 1; echo closed')" = closed ]
}

@test "stdout: a pipe that closes ends the program by SIGPIPE, and hull" {
	args sh -c 'yes; echo "code $?" >&2'
	began=$(now_ms)
	[ "$(hull run --bundle "$BUNDLE" "$ID" </dev/null 2>"$WORK/err" | head -n1)" = y ]
	took_at_most 20000 "$began"
	eventually 5 grep -q 'code 141' "$WORK/err"
	start_sleeper "$ID"
	began=$(now_ms)
	[ "$(hull exec "$ID" yes </dev/null | head -n1)" = y ]
	took_at_most 5000 "$began"
	# One that ignores the signal gets the error.
	[[ "$(hull exec "$ID" sh -c 'trap "" PIPE; while echo x; do :; done; echo ended >&2' </dev/null 2>&1 >/dev/full)" == *ended* ]]
}

@test "stdout: a reader sees the end when the program closes it, not when the program ends" {
	args sh -c 'echo last; exec >&- 2>&-; sleep 1000'
	mkfifo "$WORK/fifo"
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/fifo" 2>&1 &
	began=$(now_ms)
	[ "$(cat "$WORK/fifo")" = last ]
	took_at_most 20000 "$began"
	is_status "$ID" running
}

@test "stdio: files, /dev/null, a full device, closed descriptors" {
	printf 'line 1\nline 2\n' >"$WORK/in"
	args sh -c 'cat; echo err >&2; echo end'
	hull run --bundle "$BUNDLE" "$ID" <"$WORK/in" >"$WORK/out" 2>"$WORK/err"
	[ "$(cat "$WORK/out")" = $'line 1\nline 2\nend' ]
	[ "$(cat "$WORK/err")" = err ]
	hull run --bundle "$BUNDLE" "$ID" </dev/null >>"$WORK/out" 2>/dev/null
	[ "$(cat "$WORK/out")" = $'line 1\nline 2\nend\nend' ]

	start_sleeper
	hull exec "$ID" sh -c 'seq 1 50000' </dev/null >"$WORK/out"
	cmp "$WORK/out" <(seq 1 50000)
	hull exec "$ID" sh -c 'seq 1 50000' </dev/null >/dev/null
	hull exec "$ID" sh -c 'seq 1 50000; exit 5' </dev/null >/dev/full && code=0 || code=$?
	[ $code -eq 5 ]
	[ "$(hull exec "$ID" sh -c 'cat | wc -c; readlink /proc/self/fd/0' <&-)" = $'0\n/dev/null' ]
	hull exec "$ID" sh -c 'echo lost; echo lost >&2; exit 6' </dev/null >&- 2>&- && code=0 || code=$?
	[ $code -eq 6 ]
	[ "$(hull exec "$ID" sh -c 'echo seen; echo lost >&2' <&- 2>&-)" = seen ]
	[ "$(hull exec "$ID" sh -c 'echo lost; echo seen >&2' 2>&1 >&-)" = seen ]
}

@test "stdio: one socket for both ways" {
	args cat
	stdio sockets run --bundle "$BUNDLE" "$ID"
}

@test "stdio: what was lent is never made non-blocking" {
	args sh -c 'read a; echo "$a"; read b'
	stdio flags run --bundle "$BUNDLE" "$ID"
	start_sleeper
	stdio flags exec "$ID" sh -c 'read a; echo "$a"; read b'
}

@test "exec: what is left in the background neither holds it nor loses its output" {
	start_sleeper
	mkfifo "$WORK/go"
	began=$(now_ms)
	hull exec "$ID" sh -c 'sh -c "sleep 2; echo late; echo later >&2" & echo now' </dev/null >"$WORK/out" 2>"$WORK/err"
	took_at_most 1800 "$began"
	[ "$(cat "$WORK/out")" = now ]
	eventually 10 grep -q late "$WORK/out"
	eventually 5 grep -q later "$WORK/err"
	began=$(now_ms)
	hull exec "$ID" sh -c 'head -c 300000 /dev/zero; sleep 1000 &' </dev/null >"$WORK/out"
	took_at_most 1800 "$began"
	[ "$(stat -c %s "$WORK/out")" = 300000 ]
}

@test "exec: output is complete when the container ends under it" {
	args sh -c 'read a'
	mkfifo "$WORK/in"
	exec 8<>"$WORK/in"
	hull run -d --bundle "$BUNDLE" "$ID" <"$WORK/in" >/dev/null 2>&1
	(hull exec "$ID" sh -c 'seq 1 40000; echo all; sleep 1000' </dev/null || true) | (sleep 3; cat) >"$WORK/out" &
	reader=$!
	sleep 1.5
	echo end >&8
	wait $reader
	exec 8>&-
	cmp "$WORK/out" <(seq 1 40000; echo all)
}

# ---- readers that do not read

@test "a stopped reader stops its own stream only, memory stays bounded, and everything arrives afterwards" {
	start_sleeper
	pod=$(supervisor_of "$ID")
	before=$(rss_kb "$pod")
	agent_before=$(hull pod inspect "$ID" | jq .agentRssBytes)
	stalled_pipe
	hull exec "$ID" seq 1 1000000 </dev/null >&7 7<&- &
	BACKGROUND=$!
	hull exec -d "$ID" sh -c 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa >&2; done' </dev/null 2>&7 >&2
	sleep 3
	began=$(now_ms)
	[ "$(hull exec "$ID" echo here </dev/null)" = here ]
	is_status "$ID" running
	hull ps "$ID" | grep -q 'sleep 3600'
	[ "$(head -c 5000000 /dev/zero | hull exec "$ID" wc -c)" = 5000000 ]
	hull kill "$ID" WINCH
	hull pause "$ID"
	hull resume "$ID"
	took_at_most 8000 "$began"
	sleep 2
	after=$(rss_kb "$pod")
	echo "# hull-pod: $before kB before, $after kB while nobody reads" >&3
	[ $((after - before)) -lt 4096 ]
	agent_after=$(hull pod inspect "$ID" | jq .agentRssBytes)
	[ $((agent_after - agent_before)) -lt 2097152 ]

	# The two share a pipe; the lines of the first are complete and in order.
	timeout 60 sh -c "sed -n '/^[0-9]*\$/p; /^1000000\$/q'" <&7 | grep -v '^a' >"$WORK/out"
	exec 7<&-
	tail -n1 "$WORK/out" | grep -qx 1000000
}

@test "a stopped reader: every line arrives when it goes on" {
	start_sleeper
	mkfifo "$WORK/stalled"
	hull exec "$ID" seq 1 300000 </dev/null >"$WORK/stalled" &
	BACKGROUND=$!
	exec 7<"$WORK/stalled"
	sleep 4
	kill -0 $BACKGROUND
	cmp - <(seq 1 300000) <&7
	exec 7<&-
	wait $BACKGROUND
}

@test "a stopped reader of one stream leaves the other of the same process alone" {
	start_sleeper
	stalled_pipe
	mkfifo "$WORK/out"
	hull exec "$ID" sh -c 'yes >&2 & seq 1 30000; wait' </dev/null 2>&7 >"$WORK/out" 7<&- &
	BACKGROUND=$!
	[ "$(timeout 20 head -n 30000 "$WORK/out" | tail -n1)" = 30000 ]
	cat <&7 >/dev/null &
	BACKGROUND+=" $!"
	hull exec "$ID" killall yes
	wait "${BACKGROUND% *}"
	exec 7<&-
}

@test "a stopped reader: kill and delete work at once" {
	args yes
	stalled_pipe
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >&7 2>&1 7<&-
	sleep 2
	began=$(now_ms)
	hull kill "$ID" KILL
	eventually 5 is_status "$ID" stopped
	took_at_most 3000 "$began"
	hull delete "$ID"
	took_at_most 5000 "$began"
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >&7 2>&1 7<&-
	sleep 1
	began=$(now_ms)
	hull delete --force "$ID"
	took_at_most 5000 "$began"
	exec 7<&-
}

@test "a stopped reader holds back the end of a program as it would in a pipe, until a kill" {
	args sh -c 'head -c 200000 /dev/zero; exit 4'
	stalled_pipe
	hull run -d --bundle "$BUNDLE" "$ID" </dev/null >&7 2>&1 7<&-
	sleep 4
	is_status "$ID" running
	began=$(now_ms)
	hull kill "$ID" TERM
	eventually 5 is_status "$ID" stopped
	took_at_most 3000 "$began"
	[ "$(jq .exit.code "$ROOT/containers/$ID/state.json")" = 4 ]
	exec 7<&-
}

# ---- terminals

@test "terminal: first size, changes, raw mode given back" {
	config '.process.terminal = true'
	script <<-'SH'
		show() { echo "size $(stty size)"; }
		trap show WINCH
		show
		while read -t 1 a || [ $? -gt 1 ] || [ -z "$a" ]; do [ "$a" = q ] && exit 0; done
	SH
	stdio tty_size run --bundle "$BUNDLE" "$ID"
	stdio tty_resize_during_boot run --bundle "$BUNDLE" "$ID"
}

@test "terminal: keys reach the program, Ctrl-C and Ctrl-D too; run and exec -t" {
	config '.process.terminal = true'
	args sh
	stdio tty_keys run --bundle "$BUNDLE" "$ID"
	config '.process.terminal = false'
	start_sleeper
	stdio tty_keys exec -t "$ID" sh
}

@test "terminal: ten megabytes" {
	config '.process.terminal = true'
	args sh -c 'seq 1 1250000 | cat; seq 1250001 1300000; echo end'
	export STDIO_LINES=1300000
	run stdio tty_flood run --bundle "$BUNDLE" "$ID"
	echo "# $output" >&3
	[ "$status" -eq 0 ]
}

@test "terminal: restored after errors and when the VM dies" {
	config '.process.terminal = true'
	args /no/such/program
	stdio tty_error run --bundle "$BUNDLE" "$ID"
	config '.process.terminal = false'
	start_sleeper
	stdio tty_error exec -t "$ID" /no/such/program
	export STDIO_PID="'$HULL' --root '$ROOT' pod inspect $ID | jq .vmmPid"
	stdio tty_lost exec -t "$ID" sh -c 'echo ready; sleep 1000'
}

@test "terminal: --console-socket of create and exec: size, resize, lines, hang-up" {
	export STDIO_SOCKET=$WORK/console STDIO_HUP=$BUNDLE/rootfs/hup
	talker='trap "echo size \$(stty size)" WINCH; trap "echo hup >/hup; exit 1" HUP; echo "size $(stty size)"
		while :; do read -t 1 a && echo "got $a"; done'
	config '.process.terminal = true | .root.readonly = false'
	args sh -c "$talker"
	export STDIO_START="'$HULL' --root '$ROOT' start $ID"
	stdio console create --bundle "$BUNDLE" --console-socket "$WORK/console" --pid-file "$WORK/pid" "$ID"
	eventually 10 is_status "$ID" stopped
	hull delete "$ID"

	rm "$WORK/console" "$BUNDLE/rootfs/hup"
	unset STDIO_START
	config '.process.terminal = false'
	start_sleeper
	stdio console exec -d -t --console-socket "$WORK/console" "$ID" sh -c "$talker"
}
