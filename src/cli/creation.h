/* SPDX-License-Identifier: Apache-2.0 */
/* One creation of a container in its parts. Private to create*.c: the order of the steps is in create.c. */
#pragma once

#include "cli/client.h"
#include "cli/create.h"
#include "cli/disks.h"
#include "cli/launch.h"
#include "cli/lend.h"
#include "pod/join.h"
#include "pod/role.h"
#include "pod/state.h"
#include "rpc/pod.pb-c.h"

/* Everything that a creation holds until it is done. */
struct hull_creation {
	const struct hull_cli *cli;
	const char *id;
	const struct hull_create_options *options;
	struct hull_bundle bundle;
	enum hull_role role;
	char *pod_id;
	struct hull_joins joins;
	struct hull_state *state;
	int dirfd;
	bool made_dir;

	struct hull_client *client;
	int sockets[2];                /* the stand-in's pair: [0] the supervisor's end */
	int terminal;                  /* pty slave, or -1 */
	struct hull_mirror *mirror;
	struct hull_standin standin;   /* in the foreground: only for hooks, and gone after them */
	pid_t standin_pid;             /* in the foreground: this process */

	int netns;                     /* the container's network namespace on the host, or -1 */
	struct hull_lend_preserved preserved;
	int *fds;                      /* descriptors of the Create request; those from n_borrowed on are owned */
	size_t n_fds, n_borrowed;
	Hull__Pod__V1__Mount *mounts, **mount_pointers;
	size_t n_mounts;
	struct hull_blocks blocks;
	Hull__Pod__V1__Disk **disks;
};

/* ---- create_dir.c */

/* What the state of a container says before anything of it exists. The caller's. */
struct hull_state *hull_creation_first_state(const struct hull_creation *c);

/*
 * The container's directory appears under its name with its state in it, or not at all: whoever finds the name can read what
 * it is, whenever this process dies.
 */
int hull_creation_make_dir(struct hull_creation *c, struct hull_error *err);

/* ---- create_request.c */

/* Our own descriptors that go along, and the supervisor's end of the stand-in's pair. */
int hull_creation_add_stdio(struct hull_creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err);

/* The rootfs and the sources of bind mounts as detached mounts, then the disks. After the stdio. */
int hull_creation_add_mounts(struct hull_creation *c, struct hull_error *err);

/* Sends Create with all that was added and waits for the answer: the container stands ready in the guest. */
int hull_creation_request(struct hull_creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err);

/* ---- create_standin.c */

/* In the foreground this process stands for the container itself; hooks still need namespaces like the container's. */
int hull_creation_start_standin(struct hull_creation *c, struct hull_error *err);

/* The guest has made the container: what is left to do on the host, hooks among it. */
int hull_creation_finish_standin(struct hull_creation *c, struct hull_error *err);
