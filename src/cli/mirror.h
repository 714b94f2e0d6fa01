/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespaces of a stand-in. Engines look at a container through its pid: `podman cp` enters its mount namespace,
 * Docker puts network interfaces into its network namespace. So the stand-in gets what the container would have on the host: a mount
 * namespace with the rootfs and the bind mounts, and network, IPC and UTS namespaces as config.json says.
 *
 * What the guest mounts itself (tmpfs, proc, sysfs) does not exist here. In its place lies an empty read-only directory, so that nothing
 * is copied to where the container would not see it; /proc shows the stand-in.
 */
#pragma once

#include "cli/bundle.h"

struct hull_mirror;

/* Clones the trees. The bundle is borrowed for as long as the mirror lives. `netns_fd`: the network namespace to join, borrowed for the call; -1: as config.json says. */
int hull_mirror_prepare(const struct hull_bundle *bundle, int netns_fd, struct hull_mirror **ret, struct hull_error *err);

/* In the process that becomes the stand-in: enters the namespaces. 0 or -errno. */
int hull_mirror_enter(const struct hull_mirror *mirror);

/*
 * Then, once the guest has made what is missing in the rootfs: mounts it at root.path, with the bind mounts in it. A mount
 * whose place is not there is left out. 0 or -errno. The host's files are still there, for createContainer hooks.
 */
int hull_mirror_fill(const struct hull_mirror *mirror);

/* At last: makes read-only what is, and the rootfs this process' root. 0 or -errno. */
int hull_mirror_close(const struct hull_mirror *mirror);

void hull_mirror_free(struct hull_mirror *mirror);
