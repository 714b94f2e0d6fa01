# SPDX-License-Identifier: Apache-2.0
# A private containerd for tests: its own root, state, sockets and configuration below one directory, in mount and network
# namespaces of its own. Load lib.bash first.
#
#     containerd_up 1 [CONFIG]        Debian's containerd, or 2: the one that scripts/get-containerd built. CONFIG is appended to config.toml, @CD@ in it is the directory.
#     ctr images ls                   ctr of the same version
#     containerd_stop, _kill, _start  the daemon alone; its containers live on
#     containerd_down                 removes every container and ends all; fails and says what when something is left
#
# Sets CD (the directory), HOLDER (a process in the namespaces: nsenter -t $HOLDER -n -m), ROOT (Hull's state directory), CD_PID.

# containerd 2.x warns of cgroup v1 on every call of ctr.
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1
CONTAINERD2_DIR=${CONTAINERD2_DIR:-/var/cache/hull-tests/containerd-2}

# Whether that version is here: has_containerd VERSION
has_containerd() {
	[ -x "$(containerd_binary "$1")" ]
}

containerd_binary() {
	case $1 in
	1) command -v containerd ;;
	2) echo "$CONTAINERD2_DIR/containerd" ;;
	esac
}

containerd_up() {
	CD_VERSION=$1
	CD_BINARY=$(containerd_binary "$1")
	# Short: sockets lie below.
	CD=$(mktemp -d /var/tmp/hull-cd-XXXX)
	ROOT=$CD/hull
	mkdir "$ROOT"
	export CD CD_VERSION CD_BINARY ROOT ID=$CD
	unshare -nm --propagation private sleep infinity 3>&- &
	export HOLDER=$!
	eventually 5 eval '[ "$(readlink /proc/$HOLDER/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
	nsenter -t "$HOLDER" -n ip link set lo up
	containerd_config >"$CD/config.toml"
	[ $# -lt 2 ] || printf '%s\n' "${2//@CD@/$CD}" >>"$CD/config.toml"
	containerd_start
}

# What both versions understand; plug-ins that would look at the host are off. CD_CRI=1 leaves the CRI ones on.
containerd_config() {
	local version=2 plugins=() off=(io.containerd.internal.v1.tracing io.containerd.snapshotter.v1.{btrfs,zfs,devmapper} io.containerd.nri.v1.nri)
	[ "$CD_VERSION" = 1 ] || version=3
	[ -n "${CD_CRI:-}" ] || off+=(io.containerd.grpc.v1.cri io.containerd.cri.v1.{images,runtime})
	mapfile -t plugins < <(printf '"%s",\n' "${off[@]}")
	cat <<-CONF
		version = $version
		root = "$CD/root"
		state = "$CD/state"
		disabled_plugins = [${plugins[*]}]
		[grpc]
		  address = "$CD/sock"
		[ttrpc]
		  address = "$CD/sock.ttrpc"
	CONF
}

# The shim is found by its name in PATH, its state directory by HULL_ROOT.
containerd_start() {
	HULL_ROOT=$ROOT PATH=$HULL_PREFIX/bin:$(dirname "$CD_BINARY"):$PATH nsenter -t "$HOLDER" -n -m \
		"$CD_BINARY" --config "$CD/config.toml" --log-level "${CD_LOG_LEVEL:-info}" >>"$CD/log" 2>&1 3>&- &
	export CD_PID=$!
	echo "$CD_PID" >"$CD/pid"
	eventually 60 eval 'ctr version >/dev/null 2>&1'
}

containerd_stop() {
	CD_PID=$(cat "$CD/pid")
	kill "$CD_PID"
	eventually 30 is_over "$CD_PID"
}

containerd_kill() {
	CD_PID=$(cat "$CD/pid")
	kill -9 "$CD_PID"
	eventually 10 is_over "$CD_PID"
}

# ctr in the background, so that its pid is in $!: ctr_start ARGS… &
ctr_start() {
	exec nsenter -t "$HOLDER" -n -m "$(dirname "$CD_BINARY")/ctr" --address "$CD/sock" "$@"
}

ctr() {
	timeout -k 5 "${CALL_TIMEOUT:-120}" nsenter -t "$HOLDER" -n -m "$(dirname "$CD_BINARY")/ctr" --address "$CD/sock" "$@"
}

# Removes every task and container of every namespace.
containerd_remove_all() {
	local ns id
	for ns in $(ctr namespaces ls -q); do
		for id in $(ctr -n "$ns" tasks ls -q); do
			ctr -n "$ns" tasks rm --force "$id" >/dev/null || true
		done
		for id in $(ctr -n "$ns" containers ls -q); do
			ctr -n "$ns" containers rm "$id" >/dev/null || true
		done
	done
}

# Everything of Hull's that is left, and containerd's shims: processes, mounts in any namespace, sockets, state.
containerd_traces() {
	traces | grep -vF "$CD_BINARY" || true
	pgrep -af -- 'containerd-shim-hull-v2.*'"$CD" || true
	find "$ROOT" -mindepth 1 ! -path "$ROOT/containers" ! -path "$ROOT/pods" ! -path "$ROOT/s" ! -path "$ROOT/kvm-probe.json"
}

containerd_nothing_left() {
	[ -z "$(containerd_traces)" ]
}

containerd_down() {
	[ -n "${CD:-}" ] || return 0
	local left pid
	containerd_remove_all
	eventually 10 containerd_nothing_left 2>/dev/null || true
	left=$(containerd_traces)
	containerd_stop || true
	# What stayed is reported, but does not stay.
	for pid in $(pgrep -f -- "containerd-shim.*$CD"); do kill -9 "$pid" || true; done
	kill "$HOLDER"
	rm -rf --one-file-system "$CD"
	[ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

# Makes the image `t` (busybox, or the tar file LAYER) known to a namespace (default: default).
containerd_image() {
	local dir=$CD/image
	if [ ! -f "$dir.tar" ]; then
		mkdir -p "$dir"
		python3 - "${LAYER:-$DATA/try-rootfs.tar}" "$dir" <<'PY'
import hashlib, json, os, shutil, sys
layer, out = sys.argv[1:]
os.makedirs(out + "/blobs/sha256")
def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{digest}", "wb").write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
tar = blob(open(layer, "rb").read())
config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]},
    "rootfs": {"type": "layers", "diff_ids": [tar["digest"]]}}).encode())
manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **tar}]}).encode())
open(out + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
open(out + "/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": [
    {"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest, "platform": {"architecture": "amd64", "os": "linux"},
     "annotations": {"io.containerd.image.name": "example.invalid/t:1", "org.opencontainers.image.ref.name": "1"}}]}))
PY
		tar -C "$dir" -cf "$dir.tar" .
	fi
	ctr -n "${1:-default}" images import "$dir.tar" >/dev/null
}
IMAGE=example.invalid/t:1
