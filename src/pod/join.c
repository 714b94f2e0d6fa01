/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/join.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/units.h"
#include "pod/state.h"

static const struct kind {
	enum hull_oci_ns_type type;
	const char *name, *file;       /* as config.json and as /proc/PID/ns call it */
	int flag;
	bool is_mirrored;              /* stand-ins have one of their own, if the container has */
} kinds[] = {
	{ HULL_NS_NETWORK, "network", "net", CLONE_NEWNET, true },
	{ HULL_NS_IPC, "ipc", "ipc", CLONE_NEWIPC, true },
	{ HULL_NS_UTS, "uts", "uts", CLONE_NEWUTS, true },
	{ HULL_NS_PID, "pid", "pid", CLONE_NEWPID, false },
	{ HULL_NS_USER, "user", "user", CLONE_NEWUSER, false },
};

/* A namespace that is named by a path, and who has it. */
struct wanted {
	const struct kind *kind;
	const char *path;
	struct stat st;
	struct hull_procref process;   /* whose it is, if the path goes by way of a process; else pid 0 */
	bool is_host;                  /* this process' own */
	char *container, *pod;         /* NULL: nobody's */
};

/* The process whose /proc/PID/ns the path goes through: the kernel says which, wherever links and mounts lead. */
static void find_process(const char *path, struct hull_procref *ret)
{
	struct statfs fs;
	_cleanup_free_ char *dir = hull_strdup(path), *text = NULL;
	char *slash = strrchr(dir, '/');
	if (!slash)
		return;
	*slash = '\0';
	_cleanup_close_ int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC || hull_file_read(fd, "../stat", 4096, &text, NULL) < 0)
		return;
	hull_procref_parse(text, ret);
}

static int look_at(struct wanted *w, struct hull_error *err)
{
	struct stat own;
	char path[32];
	_cleanup_close_ int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &w->st) < 0)
		return hull_error_errno(err, errno, "config.json: linux.namespaces: %s: %s", w->kind->name, w->path);
	if (ioctl(fd, NS_GET_NSTYPE) != w->kind->flag)
		return hull_error_set(err, EINVAL, "config.json: linux.namespaces: %s: %s is not a %s namespace", w->kind->name, w->path,
				      w->kind->name);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", w->kind->file);
	w->is_host = stat(path, &own) == 0 && own.st_dev == w->st.st_dev && own.st_ino == w->st.st_ino;
	find_process(w->path, &w->process);
	return 0;
}

static bool is_same_process(const struct hull_procref *a, const struct hull_procref *b)
{
	return a->pid > 0 && a->pid == b->pid && a->start_ticks == b->start_ticks;
}

static bool has_namespace(const struct hull_procref *standin, const struct wanted *w)
{
	char path[48];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)standin->pid, w->kind->file);
	return stat(path, &st) == 0 && st.st_dev == w->st.st_dev && st.st_ino == w->st.st_ino && hull_procref_alive(standin);
}

/* Holds one container against what is wanted. The process itself is a better answer than another one in the same namespace. */
static void compare(const struct hull_state *s, struct wanted *w, size_t n)
{
	/* A `hull run` in the foreground stands for its container in namespaces of its caller. */
	bool is_mirror = s->standin.pid != s->creator.pid;
	for (size_t i = 0; i < n; i++) {
		bool by_process = is_same_process(&s->standin, &w[i].process);
		bool by_inode = w[i].kind->is_mirrored && !w[i].is_host && !w[i].container && is_mirror && has_namespace(&s->standin, &w[i]);
		if (!by_process && !by_inode)
			continue;
		free(w[i].container);
		free(w[i].pod);
		w[i].container = hull_strdup(s->id);
		w[i].pod = hull_strdup(s->pod_id);
	}
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Containers that come and go meanwhile are not running ones. */
static void search(const char *root, struct wanted *w, size_t n)
{
	_cleanup_free_ char *path = hull_asprintf("%s/containers", root);
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		struct hull_error ignored = HULL_ERROR_INIT;
		struct hull_state *state = NULL;
		if (!hull_container_id_valid(entry->d_name) || hull_state_load(root, entry->d_name, NULL, &state, &ignored) < 0)
			continue;
		enum hull_status status = hull_state_effective(state);
		if (status != HULL_STATUS_STOPPED && status != HULL_STATUS_CREATING && hull_procref_alive(&state->standin))
			compare(state, w, n);
		hull_state_free(state);
	}
}

static int refuse_foreign(const struct wanted *w, struct hull_error *err)
{
	if (w->is_host)
		return hull_error_set(err, ENOTSUP, "config.json: linux.namespaces: %s: %s cannot be joined: it is the host's own %s namespace, "
				      "and a VM is not in it", w->kind->name, w->path, w->kind->name);
	return hull_error_set(err, ENOTSUP, "config.json: linux.namespaces: %s: %s cannot be joined: it is not that of a running container "
			      "of Hull, so it is not in any VM; put containers that share namespaces into one pod", w->kind->name, w->path);
}

/* What the network namespace of a container of its own is, other checks say: an engine makes it, and it is named by a file. */
static bool is_engines_network(const struct wanted *w, enum hull_role role)
{
	return w->kind->type == HULL_NS_NETWORK && role != HULL_ROLE_MEMBER && w->process.pid == 0;
}

/* The pod of all that is joined; NULL when nothing is. */
static int agree(const struct wanted *w, size_t n, const struct wanted **ret_first, struct hull_error *err)
{
	*ret_first = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!w[i].container)
			continue;
		if (!*ret_first)
			*ret_first = &w[i];
		else if (strcmp((*ret_first)->pod, w[i].pod) != 0)
			return hull_error_set(err, ENOTSUP, "config.json: linux.namespaces: %s is pod %s's and %s is pod %s's: a container cannot be "
					      "in two VMs", (*ret_first)->kind->name, (*ret_first)->pod, w[i].kind->name, w[i].pod);
	}
	return 0;
}

static int decide(const struct wanted *w, size_t n, enum hull_role *role, char **pod_id, struct hull_error *err)
{
	const struct wanted *first;
	int r = agree(w, n, &first, err);
	if (r < 0)
		return r;
	if (first && *role == HULL_ROLE_SANDBOX)
		return hull_error_set(err, ENOTSUP, "config.json: linux.namespaces: %s: %s cannot be joined: it belongs to pod %s, and the first "
				      "container of a pod has a VM of its own", first->kind->name, first->path, first->pod);
	if (first && *role == HULL_ROLE_MEMBER && strcmp(first->pod, *pod_id) != 0)
		return hull_error_set(err, ENOTSUP, "config.json: linux.namespaces: %s: %s cannot be joined: it belongs to pod %s, and the "
				      "container joins pod %s", first->kind->name, first->path, first->pod, *pod_id);
	if (first && *role == HULL_ROLE_SINGLE) {
		*role = HULL_ROLE_MEMBER;
		free(*pod_id);
		*pod_id = hull_strdup(first->pod);
	}
	for (size_t i = 0; i < n; i++)
		if (!w[i].container && !is_engines_network(&w[i], *role))
			return refuse_foreign(&w[i], err);
	return 0;
}

int hull_joins_resolve(const char *root, const struct hull_oci_spec *spec, enum hull_role *role, char **pod_id,
		       struct hull_joins *ret, struct hull_error *err)
{
	struct wanted w[HULL_ARRAY_SIZE(kinds)] = { 0 };
	size_t n = 0;
	int r = 0;

	*ret = (struct hull_joins){ 0 };
	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(kinds); i++) {
		if (!spec->namespaces[kinds[i].type].path)
			continue;
		w[n] = (struct wanted){ .kind = &kinds[i], .path = spec->namespaces[kinds[i].type].path };
		r = look_at(&w[n++], err);
	}
	if (r == 0 && n > 0) {
		search(root, w, n);
		r = decide(w, n, role, pod_id, err);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			ret->container[w[i].kind->type] = TAKE_PTR(w[i].container);
		free(w[i].container);
		free(w[i].pod);
	}
	return r;
}

void hull_joins_clear(struct hull_joins *joins)
{
	for (size_t i = 0; i < HULL_NS_COUNT; i++) {
		free(joins->container[i]);
		joins->container[i] = NULL;
	}
}
