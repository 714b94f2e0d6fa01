/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/state.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/paths.h"
#include "pod/role.h"

#define STATE_MAX_BYTES (4u << 20)

static const char *const status_names[] = {
	[HULL_STATUS_CREATING] = "creating", [HULL_STATUS_CREATED] = "created", [HULL_STATUS_RUNNING] = "running",
	[HULL_STATUS_PAUSED] = "paused",     [HULL_STATUS_STOPPED] = "stopped",
};

const char *hull_status_name(enum hull_status status)
{
	return status_names[status];
}

int hull_status_parse(const char *name, enum hull_status *ret)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(status_names); i++) {
		if (strcmp(name, status_names[i]) == 0) {
			*ret = (enum hull_status)i;
			return 0;
		}
	}
	return -EINVAL;
}

static void json_putp(json_object **obj)
{
	json_object_put(*obj);
}
#define _cleanup_json_ _cleanup_(json_putp)

static void add_string(json_object *obj, const char *key, const char *value)
{
	if (value)
		json_object_object_add(obj, key, json_object_new_string(value));
}

static void add_procref(json_object *obj, const char *key, const struct hull_procref *ref)
{
	if (ref->pid <= 0)
		return;
	json_object *o = json_object_new_object();
	json_object_object_add(o, "pid", json_object_new_int(ref->pid));
	json_object_object_add(o, "startTicks", json_object_new_uint64(ref->start_ticks));
	json_object_object_add(obj, key, o);
}

/* Source: the fields of struct hull_hostgroup. */
static void add_group(json_object *obj, const struct hull_hostgroup *group)
{
	if (group->n == 0)
		return;
	json_object *g = json_object_new_object(), *dirs = json_object_new_array();
	for (size_t i = 0; i < group->n; i++) {
		json_object *d = json_object_new_object();
		add_string(d, "controllers", group->v[i].controllers);
		add_string(d, "mount", group->v[i].mount);
		add_string(d, "path", group->v[i].path);
		json_object_object_add(d, "there", json_object_new_int((int)group->v[i].there));
		json_object_array_add(dirs, d);
	}
	json_object_object_add(g, "version", json_object_new_int(group->unified ? 2 : 1));
	json_object_object_add(g, "directories", dirs);
	json_object_object_add(obj, "cgroup", g);
}

static json_object *to_json(const struct hull_state *s)
{
	json_object *obj = json_object_new_object();
	json_object_object_add(obj, "formatVersion", json_object_new_int(1));
	add_string(obj, "id", s->id);
	add_string(obj, "podId", s->pod_id);
	add_string(obj, "bundle", s->bundle);
	add_string(obj, "rootfs", s->rootfs);
	add_string(obj, "ociVersion", s->oci_version);
	add_string(obj, "owner", s->owner);
	add_string(obj, "created", s->created);
	add_string(obj, "status", hull_status_name(s->status));
	add_procref(obj, "standIn", &s->standin);
	add_procref(obj, "creator", &s->creator);
	add_procref(obj, "supervisor", &s->supervisor);
	if (s->keeps_serving)
		json_object_object_add(obj, "keepsServing", json_object_new_boolean(true));
	add_group(obj, &s->group);
	if (s->annotations_json)
		json_object_object_add(obj, "annotations", json_tokener_parse(s->annotations_json));
	if (s->has_exit) {
		json_object *e = json_object_new_object();
		json_object_object_add(e, "code", json_object_new_int(s->exit_code));
		json_object_object_add(e, "signal", json_object_new_int(s->exit_signal));
		json_object_object_add(e, "oomKilled", json_object_new_boolean(s->oom_killed));
		add_string(e, "lost", s->lost);
		json_object_object_add(obj, "exit", e);
	}
	return obj;
}

int hull_state_write(int container_dirfd, const struct hull_state *state, struct hull_error *err)
{
	_cleanup_json_ json_object *obj = to_json(state);
	const char *text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = hull_file_replace(container_dirfd, "state.json", text, strlen(text), 0600);
	return r < 0 ? hull_error_errno(err, r, "write state.json of container %s", state->id) : 0;
}

static char *take_string(json_object *obj, const char *key)
{
	json_object *v;
	if (!json_object_object_get_ex(obj, key, &v) || !json_object_is_type(v, json_type_string))
		return NULL;
	return hull_strdup(json_object_get_string(v));
}

static int take_int(json_object *obj, const char *key)
{
	json_object *v;
	return json_object_object_get_ex(obj, key, &v) ? json_object_get_int(v) : 0;
}

static void take_procref(json_object *obj, const char *key, struct hull_procref *ref)
{
	json_object *o, *v;
	if (!json_object_object_get_ex(obj, key, &o))
		return;
	ref->pid = take_int(o, "pid");
	if (json_object_object_get_ex(o, "startTicks", &v))
		ref->start_ticks = json_object_get_uint64(v);
}

static int take_group(json_object *obj, struct hull_hostgroup *group)
{
	json_object *g, *dirs;
	if (!json_object_object_get_ex(obj, "cgroup", &g))
		return 0;
	if (!json_object_object_get_ex(g, "directories", &dirs) || !json_object_is_type(dirs, json_type_array))
		return -EBADMSG;
	group->unified = take_int(g, "version") == 2;
	group->v = hull_new(struct hull_hostgroup_dir, json_object_array_length(dirs));
	for (size_t i = 0; i < json_object_array_length(dirs); i++) {
		json_object *d = json_object_array_get_idx(dirs, i);
		struct hull_hostgroup_dir *dir = &group->v[group->n++];
		dir->controllers = take_string(d, "controllers");
		dir->mount = take_string(d, "mount");
		dir->path = take_string(d, "path");
		dir->there = (size_t)take_int(d, "there");
		/* Its path goes on behind the mount's. */
		if (!dir->controllers || !dir->mount || !dir->path || strncmp(dir->path, dir->mount, strlen(dir->mount)) != 0)
			return -EBADMSG;
	}
	return 0;
}

static int from_json(json_object *obj, struct hull_state *s)
{
	json_object *v;
	_cleanup_free_ char *status = take_string(obj, "status");

	s->id = take_string(obj, "id");
	s->pod_id = take_string(obj, "podId");
	s->bundle = take_string(obj, "bundle");
	s->rootfs = take_string(obj, "rootfs");
	s->oci_version = take_string(obj, "ociVersion");
	s->owner = take_string(obj, "owner");
	s->created = take_string(obj, "created");
	if (!s->id || !s->pod_id || !s->bundle || !s->rootfs || !s->created || !status)
		return -EBADMSG;
	if (hull_status_parse(status, &s->status) < 0)
		return -EBADMSG;

	if (take_group(obj, &s->group) < 0)
		return -EBADMSG;
	take_procref(obj, "standIn", &s->standin);
	take_procref(obj, "creator", &s->creator);
	take_procref(obj, "supervisor", &s->supervisor);
	s->keeps_serving = json_object_object_get_ex(obj, "keepsServing", &v) && json_object_get_boolean(v);
	if (json_object_object_get_ex(obj, "annotations", &v))
		s->annotations_json = hull_strdup(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
										    JSON_C_TO_STRING_NOSLASHESCAPE));
	if (json_object_object_get_ex(obj, "exit", &v)) {
		json_object *oom;
		s->has_exit = true;
		s->exit_code = take_int(v, "code");
		s->exit_signal = take_int(v, "signal");
		s->oom_killed = json_object_object_get_ex(v, "oomKilled", &oom) && json_object_get_boolean(oom);
		s->lost = take_string(v, "lost");
	}
	return 0;
}

int hull_state_read(int container_dirfd, struct hull_state **ret, struct hull_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = hull_file_read(container_dirfd, "state.json", STATE_MAX_BYTES, &text, NULL);
	if (r < 0)
		return hull_error_errno(err, r, "read state.json");

	_cleanup_json_ json_object *obj = json_tokener_parse(text);
	struct hull_state *state = hull_new(struct hull_state, 1);
	if (!obj || from_json(obj, state) < 0) {
		hull_state_free(state);
		return hull_error_set(err, EBADMSG, "state.json is damaged; `hull delete --force` removes the container");
	}
	*ret = state;
	return 0;
}

enum hull_status hull_state_effective(const struct hull_state *state)
{
	if (state->status == HULL_STATUS_STOPPED)
		return HULL_STATUS_STOPPED;
	if (hull_procref_alive(&state->supervisor))
		return state->status;
	if (state->status == HULL_STATUS_CREATING && hull_procref_alive(&state->creator))
		return HULL_STATUS_CREATING;
	return HULL_STATUS_STOPPED;
}

const char *hull_state_engine_id(const struct hull_state *state)
{
	const char *separator = state->keeps_serving ? strchr(state->id, HULL_NAMESPACE_SEPARATOR) : NULL;
	return separator ? separator + 1 : state->id;
}

void hull_state_free(struct hull_state *s)
{
	if (!s)
		return;
	free(s->id);
	free(s->pod_id);
	free(s->bundle);
	free(s->rootfs);
	free(s->oci_version);
	free(s->owner);
	free(s->created);
	free(s->annotations_json);
	free(s->lost);
	hull_hostgroup_clear(&s->group);
	free(s);
}

int hull_state_open_dir(const char *root, const char *id, struct hull_error *err)
{
	if (!hull_container_id_valid(id))
		return hull_error_set(err, EINVAL, "invalid container ID \"%s\": letters, digits and _+-. only", id);
	_cleanup_free_ char *path = hull_path_container(root, id);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		/* The text engines look for. Source: runc, libcontainer/error.go. */
		return hull_error_set(err, ENOENT, "container does not exist");
	return hull_error_errno(err, errno, "open %s", path);
}

int hull_state_load(const char *root, const char *id, int *ret_dirfd, struct hull_state **ret, struct hull_error *err)
{
	_cleanup_close_ int dirfd = hull_state_open_dir(root, id, err);
	if (dirfd < 0)
		return dirfd;
	int r = hull_state_read(dirfd, ret, err);
	if (r == -ENOENT)
		/* Removed between the two steps by a delete elsewhere. */
		return hull_error_set(err, ENOENT, "container does not exist");
	if (r < 0)
		return hull_error_wrap(err, "container %s", id);
	if (ret_dirfd)
		*ret_dirfd = TAKE_FD(dirfd);
	return 0;
}
