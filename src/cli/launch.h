/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the processes that outlive `hull`: a pod's supervisor and the stand-ins. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/mirror.h"

/*
 * Makes pods/<pod_id>, listens there, starts hull-pod with the socket as an orphan, and returns a connection to it. The
 * connection works at once: calls wait in the socket until the supervisor is ready. The caller owns the name: its container has it.
 */
int hull_launch_supervisor(const struct hull_cli *cli, const char *pod_id, pid_t *ret_pid, int *ret_fd,
			   struct hull_error *err);

/* A stand-in that is there, has its pid, and waits for the steps below. */
struct hull_standin {
	pid_t pid;
	int go_fd, report_fd;          /* -1 when released */
};
#define HULL_STANDIN_INIT { .pid = 0, .go_fd = -1, .report_fd = -1 }

/*
 * What runs in the process that becomes the stand-in. What it changes in memory is lost, its error is passed on. Every wait in it has a
 * deadline. `join` (or NULL) is the first that it does, beside what `hull` does meanwhile: moving into control groups takes the kernel
 * some milliseconds. `fn` runs when ordered: its namespaces are the container's then, its root is still the host's.
 */
struct hull_launch_inside {
	int (*join)(void *data, struct hull_error *err);
	int (*fn)(void *data, struct hull_error *err);
	void *data;
};

/*
 * Makes the process that becomes a stand-in (pod/standin.h): a child that is left behind when `hull` ends. `socket_fd` and `terminal_fd`
 * (-1: none) are borrowed; `title` is shown by ps(1). `mirror`: the namespaces it will enter, or NULL. `inside`: see above, or NULL. When
 * this process ends before the release, it ends too.
 */
int hull_launch_standin(int socket_fd, int terminal_fd, const char *title, const struct hull_mirror *mirror,
			const struct hull_launch_inside *inside, struct hull_standin *ret, struct hull_error *err);

/* The guest has made the container: mounts the mirror's trees in the stand-in's mount namespace. */
int hull_launch_fill(struct hull_standin *standin, struct hull_error *err);

/* Runs what was to be run inside, after hull_launch_fill(). */
int hull_launch_run_inside(struct hull_standin *standin, struct hull_error *err);

/* Lets it become the stand-in. Returns when that has happened. */
int hull_launch_release(struct hull_standin *standin, struct hull_error *err);

/* Ends one that was not released; does nothing to others. */
void hull_launch_abandon(struct hull_standin *standin);

/* --pid-file: writes the pid of a stand-in, in one go as engines poll for the file. NULL: none is wanted. */
int hull_launch_write_pid(const char *path, pid_t pid, struct hull_error *err);
