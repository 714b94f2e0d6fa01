# SPDX-License-Identifier: Apache-2.0
# runc on the same bundle, as the measure of what a container should see.

# Whether runc can run containers on this host at all; asked once per file.
setup_file() {
	local dir
	dir=$(mktemp -d /var/tmp/hull-bats-XXXXXX)
	mkdir -p "$dir/rootfs"
	tar -C "$dir/rootfs" -xf "$DATA/try-rootfs.tar"
	if (cd "$dir" && runc spec && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/' config.json &&
		timeout -k 5 30 unshare -m runc --root "$dir/state" run "hull-bats-$$") </dev/null >/dev/null 2>&1; then
		export HAVE_RUNC=1
	fi
	rm -rf --one-file-system "$dir"
}

require_runc() {
	[ -n "${HAVE_RUNC:-}" ] || skip "runc does not run here"
}

runc_run() {
	timeout -k 5 60 unshare -m runc --root "$WORK/runc" run --bundle "$BUNDLE" "$ID" </dev/null
}

# The script on stdin becomes the container's program.
probe() {
	{ echo 'exec 2>&1'; cat; } >"$BUNDLE/rootfs/probe"
	args sh /probe
}

# Runs the bundle under hull and under runc, each on a fresh copy of the rootfs and of the files given. The output and the status
# must be the same; they are left in $output, $lines and $status, as `run` leaves them. Without runc only hull runs.
same_as_runc() {
	local code=0 runc_code=0
	if [ -n "${HAVE_RUNC:-}" ]; then
		tar -cf "$WORK/before.tar" -C / "${BUNDLE#/}/rootfs" "${@/#\//}"
		runc_run >"$WORK/runc.out" 2>"$WORK/runc.err" || runc_code=$?
		rm -rf --one-file-system "${BUNDLE:?}/rootfs"
		tar -xpf "$WORK/before.tar" -C / --xattrs
	fi
	hull run --bundle "$BUNDLE" "$ID" </dev/null >"$WORK/hull.out" 2>"$WORK/hull.err" || code=$?
	cat "$WORK/hull.err" >&2
	if [ -n "${HAVE_RUNC:-}" ]; then
		cat "$WORK/runc.err" >&2
		diff -a -u --label runc --label hull "$WORK/runc.out" "$WORK/hull.out" >&2
		[ "$code" -eq "$runc_code" ] || { echo "exit status: runc $runc_code, hull $code" >&2; return 1; }
	fi
	run sh -c "tr -d '\\0' <'$WORK/hull.out'; exit $code"
}

# What no tool of the image does: builds the helper of that name, if there is a compiler.
build_oddities() {
	cc -static -O1 -Wall -Werror -o "$1" "$BATS_TEST_DIRNAME/oddities.c" || [ -z "$(command -v cc)" ]
}

# Each argument is a line of the output.
seen() {
	local want line found
	for want in "$@"; do
		found=
		for line in "${lines[@]}"; do
			[ "$line" != "$want" ] || found=1
		done
		[ -n "$found" ] || { echo "not in the output: $want" >&2; printf '%s\n' "${lines[@]}" >&2; return 1; }
	done
}

# Everything about the files below a directory but inode numbers and times of now.
manifest() {
	(
		cd "$1" || exit
		# Times are compared where they were set: up to a second ago is "now".
		find . -mindepth 1 -printf '%P %y %m %U:%G %n %s %l ' \
			\( -newermt '2010-01-01' -printf 'now\n' -o -printf '%T@\n' \) | sort
		find . -type f -links +1 -printf '%i %P\n' | sort | awk '{ g[$1] = g[$1] " " $2 } END { for (i in g) print "linked:" g[i] }' | sort
		find . \( -type b -o -type c \) -exec stat -c '%n %t,%T' {} + | sort
		getfattr -R -h -d -m - . 2>/dev/null | sort
		find . -type f -exec sha256sum {} + | sort -k2
	)
}

# The same container under runc, for exec: runc_sleeper, runc_gone in teardown.
runc_sleeper() {
	[ -n "${HAVE_RUNC:-}" ] || return 0
	timeout -k 5 60 unshare -m runc --root "$WORK/runc" run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
}

runc_gone() {
	[ ! -e "$WORK/runc/$ID" ] || timeout -k 5 60 runc --root "$WORK/runc" delete --force "$ID"
}

# exec_same_as_runc ARGUMENTS OF EXEC...: as same_as_runc, in the container that start_sleeper and runc_sleeper made. stdin goes to
# both. What either says on stderr is compared up to the program's name and time stamps, when EXEC_ERRORS is set.
exec_same_as_runc() {
	local code=0 runc_code=0 front=() args=("$@")
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		front+=("$1")
		shift
	done
	[ $# -gt 0 ] || { echo "exec_same_as_runc: no --" >&2; return 1; }
	shift
	cat >"$WORK/stdin"
	hull exec "${front[@]}" "$ID" "$@" <"$WORK/stdin" >"$WORK/hull.out" 2>"$WORK/hull.err" || code=$?
	if [ -n "${HAVE_RUNC:-}" ]; then
		timeout -k 5 60 runc --root "$WORK/runc" exec "${front[@]}" "$ID" "$@" \
			<"$WORK/stdin" >"$WORK/runc.out" 2>"$WORK/runc.err" || runc_code=$?
		diff -a -u --label runc --label hull "$WORK/runc.out" "$WORK/hull.out" >&2
		# runc ends with 255 when a program cannot be started, Hull as shells and crun do.
		[ "$code" -eq "$runc_code" ] || { [ -n "${EXEC_ERRORS:-}" ] && [ "$runc_code" -eq 255 ] && [[ $code = 1 || $code = 12[67] ]]; } ||
			{ echo "${args[*]}: exit status: runc $runc_code, hull $code" >&2; cat "$WORK/runc.err" "$WORK/hull.err" >&2; return 1; }
		[ -z "${EXEC_ERRORS:-}" ] || diff -u --label runc --label hull <(message "$WORK/runc.err") <(message "$WORK/hull.err") >&2
	fi
	run "-$code" sh -c "cat '$WORK/hull.out' '$WORK/hull.err'; exit $code"
}

# The last error message: runc writes text with time stamps, and its words again.
message() {
	sed -n -e 's/^time=.* msg="\(.*\)"$/\1/p' -e 's/^\(hull: .*\)$/\1/p' "$1" | tail -n1 | sed -e 's/\\"/"/g' -e 's/^hull: //' -e 's/^runc //'
}
