#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Kubernetes' side of containerd: what a kubelet asks by CRI, asked by tests/cri, on containerd 1.6 and 2.x, with Hull as the handler.

bats_require_minimum_version 1.5.0
load lib.bash
load containerd.bash
load cri.bash

setup_file() {
	local version
	VERSIONS=
	for version in 1 2; do
		has_cri "$version" || continue
		cri_up "$version"
		cri_save "$version"
		VERSIONS="$VERSIONS $version"
	done
	export VERSIONS
}

teardown_file() {
	local version failed=0
	for version in $VERSIONS; do
		cri_use "$version"
		cri_down || failed=1
	done
	return $failed
}

setup() { [ -n "$VERSIONS" ] || skip "no containerd with CRI, CNI plug-ins or Go here"; }

# After every test no pod is left, and nothing of Hull's either.
teardown() {
	local version
	for version in $VERSIONS; do
		cri_use "$version"
		cri TestRemoveAll >/dev/null
		eventually 10 containerd_nothing_left || { containerd_traces; return 1; }
	done
}

# The test on every version of containerd that is here: on_all TEST
on_all() {
	local version
	for version in $VERSIONS; do
		cri_use "$version"
		cri "$1" || { echo "with containerd $version"; tail -n 20 "$CD/log"; return 1; }
	done
}

@test "sandboxes: status, stop, remove, twice each, with a container inside" { on_all TestPodLifecycle; }
@test "containers: states, times, exit codes, reasons; what cannot start" { on_all TestContainerLifecycle; }
@test "stop: SIGTERM, the grace period, SIGKILL" { on_all TestStop; }
@test "restart: init containers, attempts, a crash loop beside another container" { on_all TestRestart; }
@test "logs: format, partial lines, a rotated file" { on_all TestLogs; }
@test "termination message" { on_all TestTerminationMessage; }
@test "exec, synchronously: exit codes, timeout, a MiB of output" { on_all TestExecSync; }
@test "exec, streaming: stdin, both outputs, a terminal and its size" { on_all TestExec; }
@test "attach, with and without a terminal" { on_all TestAttach; }
@test "port forwarding to the pod's localhost" { on_all TestPortForward; }
@test "security context: user, groups, capabilities, seccomp, read-only root, masked paths, no_new_privs" { on_all TestSecurity; }
@test "privileged: inside the VM" { on_all TestPrivileged; }
@test "sysctls of the pod" { on_all TestSysctls; }
@test "namespaces: what containers of a pod share" { on_all TestNamespaces; }
@test "hostNetwork, hostPID, hostIPC: refused with a reason that kubelet shows" { on_all TestHostNamespaces; }
@test "network: CNI's address, routes, DNS, hosts, a host port, another pod" { on_all TestNetwork; }
@test "network: limits of bandwidth by annotation" { on_all TestBandwidth; }
@test "volumes: hostPath, emptyDir, ConfigMap, read-only, single files" { on_all TestVolumes; }
@test "volumes: propagation" { on_all TestPropagation; }
@test "resources: limits, updates, out of memory" { on_all TestResources; }
@test "annotations of the pod" { on_all TestAnnotations; }
@test "statistics of containers and pods" { on_all TestStats; }
