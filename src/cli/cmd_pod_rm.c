/* SPDX-License-Identifier: Apache-2.0 */
/* hull pod rm: what an engine forgot. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/create.h"
#include "cli/pods.h"
#include "pod/paths.h"

#define END_MS 10000

static int remove_container(const struct hull_cli *cli, const struct hull_pod_entry *pod, const char *id, struct hull_error *err)
{
	struct hull_cli at = *cli;
	at.root = pod->root;
	return hull_delete(&at, id, true, err);
}

/* One of which no container knows: its creator died early. */
static int end_supervisor(const struct hull_pod_entry *pod, struct hull_error *err)
{
	_cleanup_close_ int fd = hull_procref_open(&pod->supervisor);
	if (fd < 0)
		return 0;
	hull_pidfd_kill(fd, SIGTERM);
	if (hull_pidfd_wait(fd, END_MS) == 0)
		return 0;
	hull_pidfd_kill(fd, SIGKILL);
	return hull_pidfd_wait(fd, END_MS) == 0 ? 0 : hull_error_set(err, ETIMEDOUT, "pod %s: its supervisor %d does not end", pod->id,
								      (int)pod->supervisor.pid);
}

/* The first container goes first: the others end with it, all at once. */
static int remove_pod(const struct hull_cli *cli, const struct hull_pod_entry *pod, struct hull_error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < pod->n_containers; i++)
		r = remove_container(cli, pod, pod->containers[i]->id, err);
	if (r == 0 && pod->n_containers == 0)
		r = end_supervisor(pod, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *dir = hull_path_pod(pod->root, pod->id);
	r = hull_rmtree(AT_FDCWD, dir);
	return r < 0 ? hull_error_errno(err, r, "remove %s", dir) : 0;
}

static int remove_named(const struct hull_cli *cli, const char *id, bool force, struct hull_error *err)
{
	struct hull_pod_list list;
	int r = hull_pods_find_one(cli, id, &list, err);
	if (r == -ENOENT && force) {
		hull_error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	if (list.v[0].state != HULL_POD_DEAD && !force)
		r = hull_error_set(err, EBUSY, "pod %s is %s; --force ends it", id, hull_pod_state_name(list.v[0].state));
	else
		r = remove_pod(cli, &list.v[0], err);
	hull_pods_clear(&list);
	return r;
}

static int remove_dead(const struct hull_cli *cli, struct hull_error *err)
{
	struct hull_pod_list list;
	int r = hull_pods_find(cli, NULL, &list, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < list.n; i++)
		if (list.v[i].state == HULL_POD_DEAD)
			r = remove_pod(cli, &list.v[i], err);
	hull_pods_clear(&list);
	return r;
}

int hull_cmd_pod_rm(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	bool force = false, dead = false;
	const struct hull_option options[] = {
		{ "force", 'f', HULL_OPTION_FLAG, &force, NULL, "also pods that run, which end, and none of that name" },
		{ "dead", 0, HULL_OPTION_FLAG, &dead, NULL, "all that are dead, instead of naming them" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "pod rm", "[POD...]", "Removes all that is left of dead pods: their containers and directories.", 0, -1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (dead == (first < argc)) {
		hull_error_set(err, EINVAL, "pod rm: expected either pods or --dead");
		return HULL_EXIT_USAGE;
	}
	if (dead)
		return remove_dead(cli, err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
	for (int i = first; i < argc; i++)
		if (remove_named(cli, argv[i], force, err) < 0)
			return HULL_EXIT_FAILURE;
	return HULL_EXIT_OK;
}
