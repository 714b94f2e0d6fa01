/* SPDX-License-Identifier: Apache-2.0 */
/* Where a control group lies. Source: proc(5), mountinfo; cgroups(7); runc, libcontainer/cgroups/fs/paths.go and fs2/defaultpath.go. */
#include "resources/hostgroup.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	return false;
}

/* Whether the mount's options name all of the controllers. */
static bool is_mount_of(const struct hull_mountinfo *m, const char *controllers)
{
	if (controllers[0] == '\0')
		return strcmp(m->type, "cgroup2") == 0;
	if (strcmp(m->type, "cgroup") != 0)
		return false;
	for (const char *p = controllers; *p;) {
		size_t len = strcspn(p, ",");
		if (!has_word(m->options, p, len))
			return false;
		p += len + (p[len] == ',');
	}
	return true;
}

/* The hierarchy's mount point and the root of the mount in it; new memory. */
static bool find_mount(const char *mountinfo, const char *controllers, char **ret_point, char **ret_root)
{
	_cleanup_free_ char *text = hull_strdup(mountinfo);
	char *rest = NULL;
	struct hull_mountinfo m;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (hull_mountinfo_parse(line, &m) && is_mount_of(&m, controllers)) {
			*ret_point = hull_strdup(m.point);
			*ret_root = hull_strdup(m.root);
			return true;
		}
	}
	return false;
}

/* `path` without empty parts, "." and "..", which ends at the root as in a shell: "" or "/a/b". */
static char *clean(const char *path)
{
	char *out = hull_calloc(strlen(path) + 2, 1);
	size_t n = 0;
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && p[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len + (p[len] == '/');
	}
	out[n] = '\0';
	return out;
}

/* What of the caller's own group lies below the mount's root; new memory, "" or "/a/b". */
static char *own_below(const char *own, const char *root, bool parent)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	char *below = strncmp(own, root, len) == 0 && (own[len] == '/' || own[len] == '\0') ? clean(own + len) : hull_strdup("");
	char *slash = strrchr(below, '/');
	if (parent && slash)
		*slash = '\0';
	return below;
}

static void add(struct hull_hostgroup *group, const char *controllers, char *mount, const char *own, const char *path)
{
	group->v = hull_reallocarray(group->v, group->n + 1, sizeof(*group->v));
	group->v[group->n++] = (struct hull_hostgroup_dir){
		.controllers = hull_strdup(controllers),
		.path = hull_asprintf("%s%s%s", mount, own, path),
		.mount = mount,
	};
}

/* Where below the mounts to look. */
struct place {
	const char *path;              /* "" or "/a/b" */
	bool absolute;
	bool beside;                   /* on cgroup v2 at the parent of the own group */
};

/* One line of /proc/self/cgroup, "4:memory:/own". */
static void take_line(char *line, const struct place *place, const char *mountinfo, bool unified, struct hull_hostgroup *ret)
{
	char *controllers = strchr(line, ':'), *own = controllers ? strchr(controllers + 1, ':') : NULL, *mount;
	_cleanup_free_ char *root = NULL;
	if (!own)
		return;
	*controllers++ = '\0';
	*own++ = '\0';
	if ((*controllers == '\0') != unified || !find_mount(mountinfo, controllers, &mount, &root))
		return;
	_cleanup_free_ char *below = place->absolute ? hull_strdup("") : own_below(own, root, unified && place->beside);
	add(ret, controllers, mount, below, place->path);
}

static void take_lines(const char *self_cgroup, const struct place *place, const char *mountinfo, bool unified, struct hull_hostgroup *ret)
{
	_cleanup_free_ char *text = hull_strdup(self_cgroup);
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(line, place, mountinfo, unified, ret);
}

/* Directories of v1 count only if a controller is among them: cgroup v2 may come with a named v1 hierarchy of somebody's. */
static bool has_controller(const struct hull_hostgroup *group)
{
	for (size_t i = 0; i < group->n; i++)
		if (strncmp(group->v[i].controllers, "name=", strlen("name=")) != 0)
			return true;
	return false;
}

static int find(const struct place *place, const char *mountinfo, const char *self_cgroup, struct hull_hostgroup *ret,
		struct hull_error *err)
{
	*ret = (struct hull_hostgroup){ 0 };
	take_lines(self_cgroup, place, mountinfo, false, ret);
	if (!has_controller(ret)) {
		hull_hostgroup_clear(ret);
		ret->unified = true;
		take_lines(self_cgroup, place, mountinfo, true, ret);
	}
	return ret->n > 0 ? 0 : hull_error_set(err, ENOENT, "this host has no control groups mounted");
}

int hull_hostgroup_find(const char *cgroups_path, const char *id, const char *mountinfo, const char *self_cgroup,
			struct hull_hostgroup *ret, struct hull_error *err)
{
	bool named = cgroups_path && *cgroups_path;
	_cleanup_free_ char *path = named ? clean(cgroups_path) : hull_asprintf("/hull-%s", id);
	const struct place place = { .path = path, .absolute = named && cgroups_path[0] == '/', .beside = true };
	if (path[0] == '\0')
		return hull_error_set(err, EINVAL, "config.json: linux.cgroupsPath: \"%s\" names a root, not a group below it", cgroups_path);
	return find(&place, mountinfo, self_cgroup, ret, err);
}

int hull_hostgroup_find_own(const char *mountinfo, const char *self_cgroup, struct hull_hostgroup *ret, struct hull_error *err)
{
	const struct place place = { .path = "" };
	return find(&place, mountinfo, self_cgroup, ret, err);
}

void hull_hostgroup_clear(struct hull_hostgroup *group)
{
	for (size_t i = 0; i < group->n; i++) {
		free(group->v[i].controllers);
		free(group->v[i].path);
		free(group->v[i].mount);
	}
	free(group->v);
	*group = (struct hull_hostgroup){ 0 };
}
