/* SPDX-License-Identifier: Apache-2.0 */
/* A container's control group on the host, from its configuration to its state. For whoever creates and deletes containers. */
#pragma once

#include "oci/spec.h"
#include "pod/role.h"
#include "pod/state.h"

/*
 * Makes the group (`systemd`: cgroupsPath names a scope of systemd's), after state.json names it: whoever deletes the container finds it. Without a limit that the host has to keep, a host
 * where no group can be made is no error; then state->group is empty. A limit that cannot act for a member of a pod is one.
 */
int hull_group_begin(struct hull_state *state, int container_dirfd, const struct hull_oci_spec *spec, enum hull_role role, bool systemd,
		     struct hull_error *err);

/*
 * The limits that act on the host and cannot for a container that joins a pod: its reads and writes are done by the pod's virtiofsd, in the
 * group of the pod's first container.
 */
int hull_group_check_member(const struct hull_oci_resources *resources, struct hull_error *err);

/* Moves a process into it; does nothing without a group. */
int hull_group_add(const struct hull_state *state, pid_t pid, struct hull_error *err);

/* Removes it. `spec` (NULL: unknown) tells the place of a container whose state is damaged (NULL). */
int hull_group_end(const struct hull_state *state, const char *id, const struct hull_oci_spec *spec, struct hull_error *err);
