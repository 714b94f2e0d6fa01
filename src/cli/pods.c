/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pods.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "pod/paths.h"

/* One that hangs must not keep the others from being shown for long. */
#define ASK_TIMEOUT_MS 3000

const char *hull_pod_state_name(enum hull_pod_state state)
{
	static const char *const names[] = {
		[HULL_POD_STARTING] = "starting", [HULL_POD_RUNNING] = "running", [HULL_POD_SILENT] = "silent", [HULL_POD_DEAD] = "dead",
	};
	return names[state];
}

/* ---- state directories */

static bool is_state_directory(const char *root)
{
	struct stat st;
	struct hull_error ignored = HULL_ERROR_INIT;
	/* Whoever can write there says what is removed. */
	if (hull_paths_check(root, &ignored) < 0)
		return false;
	_cleanup_free_ char *pods = hull_asprintf("%s/pods", root), *containers = hull_asprintf("%s/containers", root);
	return lstat(pods, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && lstat(containers, &st) == 0 && S_ISDIR(st.st_mode);
}

static void add_root(struct hull_strv *roots, const char *root)
{
	for (size_t i = 0; i < roots->n; i++)
		if (strcmp(roots->v[i], root) == 0)
			return;
	if (root[0] == '/' && is_state_directory(root))
		hull_strv_add(roots, root);
}

/* Source: Docker's and containerd's shims for runc give --root below these. */
static void add_engines_roots(struct hull_strv *roots)
{
	static const char *const patterns[] = { "/run/docker/runtime-*/*", "/run/containerd/runc/*" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(patterns); i++) {
		glob_t found;
		if (glob(patterns[i], GLOB_NOSORT, NULL, &found) == 0)
			for (size_t j = 0; j < found.gl_pathc; j++)
				add_root(roots, found.gl_pathv[j]);
		globfree(&found);
	}
}

/*
 * Whether the process was started by the caller's user and is the program that it calls itself. A set-user-ID program belongs to root too,
 * but anybody starts it, with any name and any arguments.
 */
static bool is_own_supervisor(int procfd, const char *pid)
{
	char path[300], exe[PATH_MAX];
	unsigned real, effective;
	_cleanup_free_ char *status = NULL;
	snprintf(path, sizeof(path), "%.200s/status", pid);
	if (hull_file_read(procfd, path, 65536, &status, NULL) < 0)
		return false;
	const char *uids = strstr(status, "\nUid:");
	if (!uids || sscanf(uids, "\nUid: %u %u", &real, &effective) != 2 || real != geteuid() || effective != geteuid())
		return false;
	snprintf(path, sizeof(path), "%.200s/exe", pid);
	ssize_t n = readlinkat(procfd, path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	/* Its file may have been replaced by a newer one. */
	const char *name = strrchr(exe, '/');
	return name && (strcmp(name, "/hull-pod") == 0 || strcmp(name, "/hull-pod (deleted)") == 0);
}

/* `--root DIR` of a process that is one of our supervisors. */
static void add_root_of_process(struct hull_strv *roots, int procfd, const char *pid)
{
	char path[300];
	size_t len;
	_cleanup_free_ char *cmdline = NULL;
	if (!is_own_supervisor(procfd, pid))
		return;
	snprintf(path, sizeof(path), "%.200s/cmdline", pid);
	if (hull_file_read(procfd, path, 65536, &cmdline, &len) < 0 || len == 0)
		return;
	for (const char *word = cmdline; word < cmdline + len; word += strlen(word) + 1)
		if (strcmp(word, "--root") == 0 && word + strlen(word) + 1 < cmdline + len)
			add_root(roots, word + strlen(word) + 1);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void add_supervisors_roots(struct hull_strv *roots)
{
	_cleanup_(closedirp) DIR *dir = opendir("/proc");
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			add_root_of_process(roots, dirfd(dir), entry->d_name);
}

static void find_roots(const struct hull_cli *cli, struct hull_strv *ret)
{
	add_root(ret, cli->root);
	if (strcmp(cli->root, HULL_DEFAULT_ROOT) != 0)
		return;
	add_engines_roots(ret);
	add_supervisors_roots(ret);
}

/* ---- pods of one state directory */

static struct hull_pod_entry *entry_of(struct hull_pod_list *list, const char *root, const char *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].id, id) == 0 && strcmp(list->v[i].root, root) == 0)
			return &list->v[i];
	list->v = hull_reallocarray(list->v, list->n + 1, sizeof(*list->v));
	struct hull_pod_entry *pod = &list->v[list->n++];
	*pod = (struct hull_pod_entry){ .root = hull_strdup(root), .id = hull_strdup(id), .state = HULL_POD_DEAD };
	return pod;
}

static void add_container(struct hull_pod_list *list, const char *root, const char *name, const char *wanted)
{
	struct hull_error ignored = HULL_ERROR_INIT;
	struct hull_state *state = NULL;
	if (hull_state_load(root, name, NULL, &state, &ignored) < 0)
		return;
	if (!hull_container_id_valid(state->pod_id) || (wanted && strcmp(state->pod_id, wanted) != 0)) {
		hull_state_free(state);
		return;
	}
	struct hull_pod_entry *pod = entry_of(list, root, state->pod_id);
	pod->containers = hull_reallocarray(pod->containers, pod->n_containers + 1, sizeof(struct hull_state *));
	pod->containers[pod->n_containers++] = state;
}

/* Other programs have directories called pods and containers, too: the kubelet below /var/log. */
static bool is_pod_directory(int dirfd, const char *name)
{
	struct stat st;
	_cleanup_free_ char *path = hull_asprintf("%s/pod.sock", name);
	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

static void add_pods_of(struct hull_pod_list *list, const char *root, const char *wanted)
{
	static const char *const kinds[] = { "containers", "pods" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kinds); i++) {
		_cleanup_free_ char *path = hull_asprintf("%s/%s", root, kinds[i]);
		_cleanup_(closedirp) DIR *dir = opendir(path);
		struct dirent *entry;
		while (dir && (entry = readdir(dir)) != NULL) {
			if (!hull_container_id_valid(entry->d_name))
				continue;
			if (i == 0)
				add_container(list, root, entry->d_name, wanted);
			else if ((!wanted || strcmp(entry->d_name, wanted) == 0) && is_pod_directory(dirfd(dir), entry->d_name))
				entry_of(list, root, entry->d_name);
		}
	}
}

/* ---- what is known of one */

static int by_creation(const void *a, const void *b)
{
	const struct hull_state *x = *(struct hull_state *const *)a, *y = *(struct hull_state *const *)b;
	int first = (strcmp(y->id, y->pod_id) == 0) - (strcmp(x->id, x->pod_id) == 0);
	return first ? first : strcmp(x->created, y->created);
}

static bool has_annotation(const struct hull_state *s, const char *key, const char *value)
{
	json_object *obj = s->annotations_json ? json_tokener_parse(s->annotations_json) : NULL, *v;
	bool found = obj && json_object_object_get_ex(obj, key, &v) && (!value || strcmp(json_object_get_string(v), value) == 0);
	json_object_put(obj);
	return found;
}

/* By annotations and by where engines keep their bundles: for people only. */
static const char *engine_of(const struct hull_state *s)
{
	static const struct { const char *part, *engine; } bundles[] = {
		{ "/io.containerd.runtime.v2.task/moby/", "docker" },
		{ "/io.containerd.runtime.v2.task/k8s.io/", "kubernetes" },
		{ "/io.containerd.runtime.v2.task/", "containerd" },
		{ "/overlay-containers/", "podman" },
		{ "/isulad/", "isulad" },
	};
	if (has_annotation(s, "io.kubernetes.cri.container-type", NULL))
		return "kubernetes";
	if (has_annotation(s, "io.container.manager", "cri-o") || has_annotation(s, "io.kubernetes.cri-o.ContainerType", NULL))
		return "cri-o";
	if (has_annotation(s, "io.container.manager", "libpod"))
		return "podman";
	for (size_t i = 0; i < HULL_ARRAY_SIZE(bundles); i++)
		if (strstr(s->bundle, bundles[i].part))
			return bundles[i].engine;
	return "-";
}

static void find_supervisor(struct hull_pod_entry *pod, const struct hull_client *client)
{
	for (size_t i = 0; i < pod->n_containers; i++)
		if (hull_procref_alive(&pod->containers[i]->supervisor))
			pod->supervisor = pod->containers[i]->supervisor;
	if (client && pod->supervisor.pid == 0 && hull_client_peer_pid(client) > 0)
		hull_procref_get(hull_client_peer_pid(client), &pod->supervisor);
}

static void look_at(struct hull_pod_entry *pod)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	Hull__Pod__V1__Empty empty = HULL__POD__V1__EMPTY__INIT;
	ProtobufCMessage *message = NULL;

	if (pod->n_containers > 0)
		qsort(pod->containers, pod->n_containers, sizeof(struct hull_state *), by_creation);
	pod->engine = hull_strdup(pod->n_containers > 0 ? engine_of(pod->containers[0]) : "-");
	int r = hull_pod_connect(pod, &client, &err);
	find_supervisor(pod, client);
	if (r < 0) {
		pod->state = pod->supervisor.pid > 0 ? HULL_POD_SILENT : HULL_POD_DEAD;
		return;
	}
	r = hull_client_call(client, "Inspect", &empty.base, &hull__pod__v1__pod_info__descriptor, ASK_TIMEOUT_MS, NULL, 0, &message, &err);
	pod->info = (Hull__Pod__V1__PodInfo *)message;
	pod->state = r == 0 ? HULL_POD_RUNNING : r == -ETIMEDOUT ? HULL_POD_SILENT : HULL_POD_STARTING;
}

static int by_id(const void *a, const void *b)
{
	const struct hull_pod_entry *x = a, *y = b;
	int r = strcmp(x->id, y->id);
	return r ? r : strcmp(x->root, y->root);
}

int hull_pods_find(const struct hull_cli *cli, const char *id, struct hull_pod_list *ret, struct hull_error *err)
{
	struct hull_strv roots = { 0 };
	*ret = (struct hull_pod_list){ 0 };
	if (id && !hull_container_id_valid(id))
		return hull_error_set(err, EINVAL, "invalid pod ID \"%.64s\": letters, digits and _+-. only", id);
	find_roots(cli, &roots);
	for (size_t i = 0; i < roots.n; i++)
		add_pods_of(ret, roots.v[i], id);
	hull_strv_clear(&roots);
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_id);
	for (size_t i = 0; i < ret->n; i++)
		look_at(&ret->v[i]);
	return 0;
}

int hull_pods_find_one(const struct hull_cli *cli, const char *id, struct hull_pod_list *ret, struct hull_error *err)
{
	int r = hull_pods_find(cli, id, ret, err);
	if (r < 0)
		return r;
	if (ret->n == 1)
		return 0;
	r = ret->n == 0 ? hull_error_set(err, ENOENT, "pod %s does not exist", id)
			: hull_error_set(err, EEXIST, "pod %s exists in %s and in %s: say which with --root", id, ret->v[0].root, ret->v[1].root);
	hull_pods_clear(ret);
	return r;
}

int hull_pod_connect(const struct hull_pod_entry *pod, struct hull_client **ret, struct hull_error *err)
{
	return hull_client_connect(pod->root, pod->id, ret, err);
}

void hull_pods_clear(struct hull_pod_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct hull_pod_entry *pod = &list->v[i];
		for (size_t j = 0; j < pod->n_containers; j++)
			hull_state_free(pod->containers[j]);
		if (pod->info)
			protobuf_c_message_free_unpacked(&pod->info->base, NULL);
		free(pod->containers);
		free(pod->engine);
		free(pod->root);
		free(pod->id);
	}
	free(list->v);
	*list = (struct hull_pod_list){ 0 };
}
