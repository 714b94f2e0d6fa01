/* SPDX-License-Identifier: Apache-2.0 */
/* cgroupsPath as engines write it for systemd. Source: runc, docs/systemd.md, libcontainer/cgroups/systemd/common.go. */
#include "resources/hostgroup.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define SUFFIX ".slice"

bool hull_hostgroup_systemd_runs(void)
{
	/* Source: sd_booted(3). */
	struct stat st;
	return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

/* "a-b.slice" lies in "a.slice". Source: systemd.slice(5). */
static int expand_slice(const char *slice, char **ret, struct hull_error *err)
{
	size_t len = strlen(slice);
	bool ok = len > strlen(SUFFIX) && strcmp(slice + len - strlen(SUFFIX), SUFFIX) == 0 && !strchr(slice, '/');
	if (ok && strcmp(slice, "-" SUFFIX) == 0) {
		*ret = hull_strdup("");
		return 0;
	}
	len -= ok ? strlen(SUFFIX) : 0;
	if (!ok || slice[0] == '-' || slice[len - 1] == '-' || strstr(slice, "--"))
		return hull_error_set(err, EINVAL, "config.json: linux.cgroupsPath: invalid slice name \"%s\"", slice);
	char *path = hull_strdup("");
	for (size_t i = 1; i <= len; i++) {
		if (i < len && slice[i] != '-')
			continue;
		char *longer = hull_asprintf("%s/%.*s" SUFFIX, path, (int)i, slice);
		free(path);
		path = longer;
	}
	*ret = path;
	return 0;
}

int hull_hostgroup_systemd_path(const char *cgroups_path, const char *id, char **ret, struct hull_error *err)
{
	_cleanup_free_ char *text = cgroups_path && *cgroups_path ? hull_strdup(cgroups_path) : hull_asprintf(":hull:%s", id);
	_cleanup_free_ char *dir = NULL;
	char *prefix = strchr(text, ':'), *name = prefix ? strchr(prefix + 1, ':') : NULL;
	if (!name || strchr(name + 1, ':') || !name[1] || strchr(text, '/'))
		return hull_error_set(err, EINVAL, "config.json: linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for "
				      "systemd cgroups, got \"%s\" instead", text);
	*prefix++ = '\0';
	*name++ = '\0';
	int r = expand_slice(*text ? text : "system.slice", &dir, err);
	if (r < 0)
		return r;
	size_t len = strlen(name);
	if (len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0)
		*ret = hull_asprintf("%s/%s", dir, name);
	else
		*ret = hull_asprintf("%s/%s%s%s.scope", dir, prefix, *prefix ? "-" : "", name);
	return 0;
}
