# SPDX-License-Identifier: Apache-2.0
# What the bats files share. HULL_PREFIX is the installed tree under test (scripts/check sets it).

: "${HULL_PREFIX:?set HULL_PREFIX to the installed tree under test, as scripts/check does}"
HULL=$HULL_PREFIX/bin/hull
DATA=$HULL_PREFIX/share/hull

# Deadline of one hull call; generous, because CI machines emulate the guest.
CALL_TIMEOUT=${CALL_TIMEOUT:-120}

hull() {
	timeout -k 5 "$CALL_TIMEOUT" "$HULL" --root "$ROOT" "$@"
}

# A state directory and a bundle of the test's own.
setup_hull() {
	WORK=$(mktemp -d /var/tmp/hull-bats-XXXXXX)
	ROOT=$WORK/state
	BUNDLE=$WORK/bundle
	mkdir -p "$BUNDLE/rootfs"
	tar -C "$BUNDLE/rootfs" -xf "$DATA/try-rootfs.tar"
	(cd "$BUNDLE" && "$HULL" spec)
	config '.process.terminal = false'
	ID=c$$-$BATS_TEST_NUMBER
}

# Whatever the test did: nothing may be left, and a test that left something fails.
teardown_hull() {
	local id left
	for id in $("$HULL" --root "$ROOT" list -q 2>/dev/null); do
		timeout 60 "$HULL" --root "$ROOT" delete --force "$id" || true
	done
	left=$(leftovers)
	rm -rf --one-file-system "$WORK"
	if [ -n "$left" ]; then
		echo "left behind: $left" >&2
		return 1
	fi
}

# Processes, mounts and state that belong to this test's state directory.
leftovers() {
	pgrep -af -- "$ROOT" | grep -v pgrep || true
	grep -F "$ROOT" /proc/self/mounts || true
	find "$ROOT" -mindepth 2 2>/dev/null || true
}

# Polls until the command succeeds: eventually SECONDS COMMAND...
eventually() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "did not happen in time: $*" >&2; return 1; }
		sleep 0.05
	done
}

# Edits the bundle's config.json with a jq program.
config() {
	local edited
	edited=$(jq "$@" <"$BUNDLE/config.json") && printf '%s\n' "$edited" >"$BUNDLE/config.json"
}

# The container's command.
args() {
	config '.process.args = $ARGS.positional' --args -- "$@"
}

status_of() {
	hull state "$1" | jq -r .status
}

is_status() {
	[ "$(status_of "$1")" = "$2" ]
}

pid_of() {
	jq -r "$2.pid" "$ROOT/containers/$1/state.json"
}

# A running container in the background: start_sleeper [ID]
start_sleeper() {
	args sleep 3600
	hull run -d --bundle "$BUNDLE" "${1:-$ID}" </dev/null >/dev/null 2>&1
}
