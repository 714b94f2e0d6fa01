/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/role.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

/* Source: the annotation constants of containerd's CRI plugin, CRI-O, Podman and dockershim (iSulad, openEuler). */
static const struct {
	const char *type_key, *sandbox_value, *member_value, *pod_key;
} dialects[] = {
	{ "io.kubernetes.cri.container-type", "sandbox", "container", "io.kubernetes.cri.sandbox-id" },
	{ "io.kubernetes.cri-o.ContainerType", "sandbox", "container", "io.kubernetes.cri-o.SandboxID" },
	{ "io.kubernetes.docker.type", "podsandbox", "container", "io.kubernetes.sandbox.id" },
};

/* A member's pod is of the member's own namespace (HULL_NAMESPACE_SEPARATOR). */
static int member_of(const char *id, const char *pod_id, const char *key, char **ret_pod_id, struct hull_error *err)
{
	const char *separator = strchr(id, HULL_NAMESPACE_SEPARATOR);
	int n = separator ? (int)(separator - id) + 1 : 0;

	if (!pod_id || !*pod_id)
		return hull_error_set(err, EINVAL, "annotations: the container joins a pod but \"%s\" does not name it", key);
	if (!hull_container_id_valid(pod_id))
		return hull_error_set(err, EINVAL, "annotations: \"%s\" is no valid pod id", key);
	*ret_pod_id = hull_asprintf("%.*s%s", n, id, pod_id);
	return 0;
}

int hull_role_find(const struct hull_oci_spec *spec, const char *id, enum hull_role *ret_role, char **ret_pod_id,
		   struct hull_error *err)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(dialects); i++) {
		const char *type = hull_oci_annotation(spec, dialects[i].type_key);
		if (!type)
			continue;
		if (strcmp(type, dialects[i].sandbox_value) == 0) {
			*ret_role = HULL_ROLE_SANDBOX;
			*ret_pod_id = hull_strdup(id);
			return 0;
		}
		if (strcmp(type, dialects[i].member_value) != 0)
			return hull_error_set(err, EINVAL, "annotations: \"%s\" is \"%.64s\": expected \"%s\" or \"%s\"",
					      dialects[i].type_key, type, dialects[i].sandbox_value,
					      dialects[i].member_value);
		*ret_role = HULL_ROLE_MEMBER;
		return member_of(id, hull_oci_annotation(spec, dialects[i].pod_key), dialects[i].pod_key, ret_pod_id, err);
	}

	/* Podman from 4.4 on names the sandbox only: the infra container is the one that names itself. */
	const char *sandbox = hull_oci_annotation(spec, "io.kubernetes.cri-o.SandboxID");
	if (sandbox && strcmp(sandbox, id) != 0) {
		*ret_role = HULL_ROLE_MEMBER;
		return member_of(id, sandbox, "io.kubernetes.cri-o.SandboxID", ret_pod_id, err);
	}
	*ret_role = sandbox ? HULL_ROLE_SANDBOX : HULL_ROLE_SINGLE;
	*ret_pod_id = hull_strdup(id);
	return 0;
}
