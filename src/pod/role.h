/* SPDX-License-Identifier: Apache-2.0 */
/* Which part a container plays in a pod, as engines announce it in annotations. */
#pragma once

#include "base/error.h"
#include "oci/spec.h"

/*
 * containerd's ids are unique in one of its namespaces only: Hull calls its container ID of namespace NS "NS+ID". No id of containerd has
 * a plus sign in it.
 */
#define HULL_NAMESPACE_SEPARATOR '+'

enum hull_role {
	HULL_ROLE_SINGLE,              /* a VM of its own */
	HULL_ROLE_SANDBOX,             /* the pause container: its VM is the pod */
	HULL_ROLE_MEMBER,              /* joins a pod that runs */
};

/*
 * Finds the role of container `id`. *ret_pod_id is new memory: the pod's id, which is the container's own for the first two roles.
 * A member without a pod id and an unknown value are errors that name the annotation.
 */
int hull_role_find(const struct hull_oci_spec *spec, const char *id, enum hull_role *ret_role, char **ret_pod_id,
		   struct hull_error *err);
