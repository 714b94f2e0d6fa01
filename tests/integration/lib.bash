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

# Every trace of the test's containers outside files in its own directory, one a line: processes that name the state
# directory or the id or run as one of its VMs' users (uids of the test's own: VM_UIDS=FIRST-LAST), mounts in any namespace, open
# files, unix sockets, cgroups, and what lies in the state directory. In the jail of a VM no name is visible, hence the uids.
traces() {
	python3 - "$ROOT" "$ID" "${VM_UIDS:-0-0}" <<'PY'
import os, sys
root, cid, uids = sys.argv[1:]
first, last = map(int, uids.split("-"))
mine, pid = set(), os.getpid()
while pid > 1:                                    # this process and its parents name the test, too
    mine.add(pid)
    pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])

def read(path):
    try:
        return open(path, errors="replace").read()
    except OSError:
        return ""

seen = set()
for p in filter(str.isdigit, os.listdir("/proc")):
    status = read(f"/proc/{p}/status")
    if int(p) in mine or not status or "\nState:\tZ" in status:
        continue
    cmdline = read(f"/proc/{p}/cmdline").replace("\0", " ")
    uid = int(status.split("\nUid:\t")[1].split()[0])
    if root in cmdline or cid in cmdline or first < uid <= last:
        print(f"process {p}: uid {uid}: {cmdline[:160]}")
    try:
        for fd in os.listdir(f"/proc/{p}/fd"):
            link = os.readlink(f"/proc/{p}/fd/{fd}")
            if root in link and "/hull-bats" not in cmdline:
                print(f"descriptor {fd} of {p} ({cmdline[:60]}): {link}")
        ns = os.readlink(f"/proc/{p}/ns/mnt")
        if ns not in seen:
            seen.add(ns)
            for line in read(f"/proc/{p}/mountinfo").splitlines():
                if root in line:
                    print(f"mount in the namespace of {p}: {line}")
    except OSError:
        pass
for line in read("/proc/net/unix").splitlines():
    if root in line or cid in line:
        print("socket", line)
for top in ("/sys/fs/cgroup", "/run", "/tmp", "/var/tmp", "/dev/shm"):
    for where, dirs, files in os.walk(top):
        if where.count("/") > top.count("/") + 3 or where.startswith(os.path.dirname(root)):
            dirs[:] = []
            continue
        for name in dirs + files:
            if cid in name:
                print("path", os.path.join(where, name))
for where, dirs, files in os.walk(root):
    for name in dirs + files:
        if where != root or name not in ("containers", "pods", "s", "kvm-probe.json"):
            print("state", os.path.join(where, name))
PY
}

# The same without what a container has until it is deleted, whatever happened to it: its directory and its cgroup.
traces_but_name() {
	traces | grep -v -e '^state' -e '^path /sys/fs/cgroup/'
}

no_traces() {
	[ -z "$(traces)" ]
}

# Nothing may be left, or be left for longer than the kernel needs to end a killed process.
assert_no_traces() {
	eventually "${1:-3}" no_traces 2>/dev/null && return
	echo "left: $(traces)" >&2
	return 1
}

# A process is over also while its parent has not taken note of that: is_over PID
is_over() {
	! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"
}

# Milliseconds since boot, and a limit on how long something took: took_at_most MS SINCE
now_ms() {
	local up
	read -r up _ </proc/uptime
	echo "${up/./}0"
}

took_at_most() {
	local took=$(($(now_ms) - $2))
	[ $took -le "$1" ] || { echo "took $took ms, not $1 ms at most" >&2; return 1; }
}

# The Debian tree that all tests of a file use, with the tools in it.
setup_debian() {
	local tar=${HULL_DEBIAN_ROOTFS:-$BATS_TEST_DIRNAME/../../build-rootfs/debian.tar}
	mkdir -p "$(dirname "$tar")"
	"$BATS_TEST_DIRNAME/make-debian-rootfs" "$tar" 2>&3
	export DEBIAN_TREE
	DEBIAN_TREE=$(mktemp -d /var/tmp/hull-debian-XXXXXX)
	tar -C "$DEBIAN_TREE" --xattrs -xpf "$tar"
}

teardown_debian() {
	rm -rf --one-file-system "$DEBIAN_TREE"
}
