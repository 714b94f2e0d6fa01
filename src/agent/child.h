/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a process into a container. The agent forks a launcher into the container's control group; the launcher
 * enters or makes the namespaces and clones the process proper as its sibling, that is, as the agent's child;
 * then it ends. The agent itself never blocks on a file system and never changes its namespaces.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "agent/filter.h"
#include "oci/spec.h"

/* Descriptors beside stdio that one process can have. */
#define HULL_AGENT_PRESERVED_MAX 64

/* What both are told. Filled by the agent before the fork. */
struct hull_child {
	int sync;                      /* the process' end of the channel (sync.h) */
	int stdio[3];                  /* ignored for a terminal */
	int preserved[HULL_AGENT_PRESERVED_MAX];       /* become 3, 4, … */
	size_t n_preserved;
	const char *container_id;
	const char *engine_id;         /* for hooks */
	const struct hull_oci_process *process;
	bool user_namespace;
	bool new_keyring;
	const struct hull_filter *filter;
	bool has_personality;
	unsigned long personality;

	/* A container's first process. */
	const struct hull_oci_spec *spec;
	const char *rootfs;
	const struct hull_disk_root *root_disk;        /* disks.h; its device is "" when the root is in the share */
	bool readonly_rootfs;
	bool program_may_follow;       /* attrs.h */
	int new_namespaces;            /* CLONE_NEW… of network, IPC, UTS: made apart from the pod's */
	bool sets_hostname;
	int join[HULL_NS_COUNT];       /* pidfds of processes whose namespace to join; -1: none */

	/* exec */
	int cgroup_fd;                 /* where to start; -1: the container's own group */
	int target;                    /* pidfd of the container's first process */
	int target_namespaces;         /* CLONE_NEW… to join */
};

#define HULL_CHILD_JOIN_NONE { [0 ... HULL_NS_COUNT - 1] = -1 }

/* The launchers' main functions, in the forked child. */
void hull_child_create(struct hull_child *child) __attribute__((noreturn));
void hull_child_exec(struct hull_child *child) __attribute__((noreturn));

/* ------------------------------------------------ shared between the two */

/* Cuts the forked agent down to what the child needs: signals, stdio, descriptors (whose numbers change), OOM score. */
int hull_child_prologue(struct hull_child *child, struct hull_error *err);

/* Clones the process proper with CLONE_NEW… `flags`. Returns in it; the launcher reports and ends. */
int hull_child_split(const struct hull_child *child, unsigned long flags, struct hull_error *err);

/* Waits until the agent has mapped the ids, then becomes root of the user namespace and a session leader. */
int hull_child_settle(const struct hull_child *child, struct hull_error *err);

/* Reports `err` and ends. */
void hull_child_fail(const struct hull_child *child, const struct hull_error *err) __attribute__((noreturn));
