/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces that config.json names by a path. In a VM such a namespace exists only if it is that of a container in the same VM, so
 * whoever joins a running container's becomes a member of its pod (docker run --network container:X; docs/adr/0006).
 *
 * Whose it is, is asked of the kernel and not of the path's text: the process of /proc/PID/ns/TYPE is held against the stand-ins of
 * the containers that run (pid and start time), and the namespace's inode against theirs. Stand-ins have no pid and user
 * namespaces of their own, so these are known by the process only.
 */
#pragma once

#include "base/error.h"
#include "oci/spec.h"
#include "pod/role.h"

struct hull_joins {
	char *container[HULL_NS_COUNT];        /* whose namespace is joined, or NULL */
};

/*
 * Resolves the paths of network, IPC, PID, UTS and user namespaces against the containers below `root`. `role` and `pod_id` are what
 * hull_role_find() said; a single container that joins one becomes a member of that pod, and *pod_id is replaced. An error names the
 * namespace: of a process that is not Hull's, of two pods, of another pod than the one that the annotations name. The network
 * namespace that an engine made for a container or its pod belongs to nobody and stays.
 */
int hull_joins_resolve(const char *root, const struct hull_oci_spec *spec, enum hull_role *role, char **pod_id,
		       struct hull_joins *ret, struct hull_error *err);
void hull_joins_clear(struct hull_joins *joins);
