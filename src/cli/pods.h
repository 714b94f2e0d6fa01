/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every pod of the host, for `hull pod`. A pod is known by its directory, pods/ID, and by the containers whose state names it; who
 * started it and whether it still runs does not matter.
 */
#pragma once

#include <stdbool.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "pod/state.h"

enum hull_pod_state {
	HULL_POD_STARTING,             /* its VM is not up yet */
	HULL_POD_RUNNING,
	HULL_POD_SILENT,               /* its supervisor runs and does not answer */
	HULL_POD_DEAD,                 /* its supervisor is gone: what is left is what an engine forgot, or has not deleted yet */
};

struct hull_pod_entry {
	char *root, *id;
	struct hull_state **containers;        /* its first container first, then in the order of their creation */
	size_t n_containers;
	enum hull_pod_state state;
	struct hull_procref supervisor;        /* pid 0: not known */
	Hull__Pod__V1__PodInfo *info;          /* of one that runs, else NULL */
	char *engine;                          /* "docker", "podman", "kubernetes", …; "-": not known */
};

struct hull_pod_list {
	struct hull_pod_entry *v;
	size_t n;
};

const char *hull_pod_state_name(enum hull_pod_state state);

/*
 * The pods of cli->root if it was named, and of every state directory that is known else: the default one, those that engines give
 * to runc-like runtimes, and those of supervisors that run. `id` NULL: all. Sorted by id.
 */
int hull_pods_find(const struct hull_cli *cli, const char *id, struct hull_pod_list *ret, struct hull_error *err);

/* As hull_pods_find() for one: -ENOENT when there is none, -EEXIST when several state directories have one of that name. */
int hull_pods_find_one(const struct hull_cli *cli, const char *id, struct hull_pod_list *ret, struct hull_error *err);

/* Connects to its supervisor. */
int hull_pod_connect(const struct hull_pod_entry *pod, struct hull_client **ret, struct hull_error *err);

void hull_pods_clear(struct hull_pod_list *list);

/* ---- the verbs, in cmd_pod_*.c */

int hull_cmd_pod_ls(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pod_ps(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pod_stats(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pod_inspect(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);
int hull_cmd_pod_rm(struct hull_cli *cli, int argc, char **argv, struct hull_error *err);

/* Checks the value of --format: table or json. */
int hull_pod_format(const char *verb, const char *format, bool *ret_json, struct hull_error *err);
