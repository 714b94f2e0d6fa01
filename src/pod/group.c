/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/group.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

int hull_group_check_member(const struct hull_oci_resources *r, struct hull_error *err)
{
	const struct { size_t n; const char *name; } throttles[] = {
		{ r->n_read_bps, "Read" }, { r->n_write_bps, "Write" }, { r->n_read_iops, "ReadIOPS" }, { r->n_write_iops, "WriteIOPS" },
	};
	for (size_t i = 0; i < sizeof(throttles) / sizeof(throttles[0]); i++)
		if (throttles[i].n > 0)
			return hull_error_set(err, ENOTSUP, "linux.resources.blockIO.throttle%s%sDevice: not supported for a container "
					      "that joins a pod: the pod's containers share what reads and writes for them; give the limit to the "
					      "pod's first container", throttles[i].name, i < 2 ? "Bps" : "");
	return 0;
}

static int plan(const char *cgroups_path, const char *id, bool systemd, struct hull_hostgroup *ret, struct hull_error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = systemd ? hull_hostgroup_systemd_path(cgroups_path, id, &path, err) : 0;
	return r < 0 ? r : hull_hostgroup_plan(systemd ? path : cgroups_path, id, ret, err);
}

int hull_group_begin(struct hull_state *state, int container_dirfd, const struct hull_oci_spec *spec, enum hull_role role, bool systemd,
		     struct hull_error *err)
{
	struct hull_error cause = HULL_ERROR_INIT;
	bool member = role == HULL_ROLE_MEMBER, wanted = !member && spec->has_resources && hull_hostgroup_wanted(&spec->resources);
	int r = member && spec->has_resources ? hull_group_check_member(&spec->resources, err) : 0;
	if (r < 0)
		return hull_error_wrap(err, "config.json");
	if (systemd && !hull_hostgroup_systemd_runs())
		return hull_error_set(err, ENOTSUP, "systemd not running on this host, cannot use systemd cgroups manager");
	r = plan(spec->cgroups_path, state->id, systemd, &state->group, &cause);
	if (r == 0) {
		r = hull_state_write(container_dirfd, state, err);
		if (r < 0)
			return r;
		r = hull_hostgroup_make(&state->group, &cause);
	}
	if (r == 0)
		return 0;
	hull_hostgroup_clear(&state->group);
	if (wanted || r == -EINVAL)
		return hull_error_set(err, cause.code, "%s", cause.message);
	hull_log_info("no control group on the host for %s: %s", state->id, cause.message);
	return hull_state_write(container_dirfd, state, err);
}

int hull_group_add(const struct hull_state *state, pid_t pid, struct hull_error *err)
{
	return hull_hostgroup_add(&state->group, pid, err);
}

int hull_group_end(const struct hull_state *state, const char *id, const struct hull_oci_spec *spec, struct hull_error *err)
{
	struct hull_hostgroup group;
	if (state)
		return hull_hostgroup_remove(&state->group, err);
	/* No path for the other manager has colons. */
	if (!spec || plan(spec->cgroups_path, id, spec->cgroups_path && strchr(spec->cgroups_path, ':'), &group, NULL) < 0)
		return 0;
	int r = hull_hostgroup_remove(&group, err);
	hull_hostgroup_clear(&group);
	return r;
}
