# SPDX-License-Identifier: Apache-2.0
# containerd with its CRI, CNI networks of Debian's plug-ins and the tests' images. Load lib.bash and containerd.bash first.
#
#     cri_up 1|2      containerd_up, with CRI configured; cri_down undoes it
#     cri TEST        runs a test of tests/cri in its namespaces; HANDLER=hull|runc
# shellcheck shell=bash disable=SC2154

CNI_BIN=${CNI_BIN:-/usr/lib/cni}
# The Go program, built once.
CRI_TEST=${CRI_TEST:-/var/cache/hull-tests/cri.test}

has_cri() {
	has_containerd "$1" && [ -x "$CRI_TEST" ] && [ -x "$CNI_BIN/bridge" ]
}

cri_up() {
	export CD_VERSION=$1
	CD_CRI=1 containerd_up "$1" "$(cri_config)"
	# What CNI and runc keep outside containerd's own directories.
	nsenter -t "$HOLDER" -m sh -c 'for d in /var/lib/cni /run/containerd; do mkdir -p $d && mount -t tmpfs none $d; done'
	mkdir -p "$CD/cni" "$CD/kubelet" "$CD/pods"
	cri_network >"$CD/cni/10-test.conflist"
	cri_images
	eventually 30 eval 'nsenter -t "$HOLDER" -n -m env CRI_SOCKET="$CD/sock" "$CRI_TEST" -test.run ^TestReady$ >/dev/null 2>&1'
}

# AppArmor and oom scores below the test's own are not to be had on every machine that runs tests.
cri_config() {
	local server='stream_server_address = "127.0.0.1"
		  stream_server_port = "0"' runtime cni
	if [ "$CD_VERSION" = 1 ]; then
		runtime=io.containerd.grpc.v1.cri cni="bin_dir = \"$CNI_BIN\""
		server="sandbox_image = \"hull.test/pause:1\"
		  $server"
	else
		runtime=io.containerd.cri.v1.runtime cni="bin_dirs = [\"$CNI_BIN\"]"
		cat <<-CONF
			[plugins."io.containerd.grpc.v1.cri"]
			  $server
			[plugins."io.containerd.cri.v1.images".pinned_images]
			  sandbox = "hull.test/pause:1"
		CONF
		server=
	fi
	cat <<-CONF
		[plugins."$runtime"]
		  $server
		  disable_apparmor = true
		  restrict_oom_score_adj = true
		  netns_mounts_under_state_dir = true
		[plugins."$runtime".cni]
		  $cni
		  conf_dir = "@CD@/cni"
		[plugins."$runtime".containerd]
		  default_runtime_name = "runc"
		[plugins."$runtime".containerd.runtimes.runc]
		  runtime_type = "io.containerd.runc.v2"
	CONF
	# What users are told to add.
	grep -v '^version' "$BATS_TEST_DIRNAME/../../deploy/containerd/hull-$CD_VERSION.x.toml"
}

cri_network() {
	cat <<-CONF
		{"cniVersion": "0.4.0", "name": "test", "plugins": [
		  {"type": "bridge", "bridge": "hulltest0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$CD/ipam", "ranges": [[{"subnet": "10.97.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	CONF
}

# A pause that does nothing, and busybox. No registry is asked.
cri_images() {
	mkdir -p "$CD/pause"
	printf '%s\n' '#include <signal.h>' '#include <unistd.h>' \
		'int main(void) { signal(SIGTERM, _exit); signal(SIGINT, _exit); for (;;) pause(); }' >"$CD/pause.c"
	cc -static -Os -w -o "$CD/pause/pause" "$CD/pause.c"
	tar -C "$CD/pause" -cf "$CD/pause.tar" pause
	python3 "$BATS_TEST_DIRNAME/make_cri_image.py" "$CD/pause.tar" hull.test/pause:1 /pause >"$CD/pause.oci"
	python3 "$BATS_TEST_DIRNAME/make_cri_image.py" "$DATA/try-rootfs.tar" hull.test/box:1 >"$CD/box.oci"
	ctr -n k8s.io images import "$CD/pause.oci" >/dev/null
	ctr -n k8s.io images import "$CD/box.oci" >/dev/null
}

# cri TEST [HANDLER]
cri() {
	nsenter -t "$HOLDER" -n -m env CRI_SOCKET="$CD/sock" CRI_WORK="$CD" CRI_HANDLER="${2:-hull}" \
		timeout -k 5 300 "$CRI_TEST" -test.v -test.run "^($1)\$"
}

# More than one at a time: cri_save NAME keeps what containerd_up has set, cri_use NAME brings it back.
cri_save() {
	declare -gx "CRI_SAVED_$1=$(declare -p CD CD_VERSION CD_BINARY ROOT ID HOLDER CD_PID)"
}

cri_use() {
	local saved=CRI_SAVED_$1 name value
	while read -r _ _ name; do
		value=${name#*=\"}
		export "${name%%=*}=${value%\"}"
	done <<<"${!saved}"
}

cri_down() {
	[ -n "${CD:-}" ] || return 0
	cri TestRemoveAll >/dev/null || true
	containerd_down
}
