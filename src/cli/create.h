/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a container, for `create` and `run`. */
#pragma once

#include <stdbool.h>

#include "cli/bundle.h"
#include "cli/cli.h"

struct hull_create_options {
	const char *bundle, *config, *pid_file, *console_socket;
	const char *rootfs_block, *rootfs_block_options;       /* TYPE:SOURCE of a rootfs on a disk, or NULL; comma-separated, or NULL */
	bool no_pivot, no_new_keyring;
	int64_t preserve_fds;
	bool foreground;               /* the caller stands for the container itself */
	bool supervised;               /* the caller is the pod's supervisor (containerd-shim-hull-v2) and serves its socket already */
};

/* The rows of the option table that `create` and `run` share. */
#define HULL_CREATE_OPTIONS(o) \
	{ "bundle", 'b', HULL_OPTION_STRING, &(o).bundle, "DIR", "the bundle (default: here)" }, \
	{ "config", 'f', HULL_OPTION_STRING, &(o).config, "FILE", "use FILE instead of the bundle's config.json" }, \
	{ "pid-file", 0, HULL_OPTION_STRING, &(o).pid_file, "FILE", "write the container's host pid to FILE" }, \
	{ "console-socket", 0, HULL_OPTION_STRING, &(o).console_socket, "SOCKET", "send the terminal's master to SOCKET" }, \
	{ "no-pivot", 0, HULL_OPTION_FLAG, &(o).no_pivot, NULL, "do not use pivot_root in the guest" }, \
	{ "no-new-keyring", 0, HULL_OPTION_FLAG, &(o).no_new_keyring, NULL, "do not make a session keyring" }, \
	{ "preserve-fds", 0, HULL_OPTION_NUMBER, &(o).preserve_fds, "N", "pass N descriptors from 3 on to the process, as streams" }

/* The descriptors are the caller's to close. */
struct hull_created {
	int dirfd;                     /* the container's directory, for hull_delete_own() */
	int session_fd;                /* in the foreground: the caller's end of the stand-in's pair, else -1 */
	bool terminal;                 /* the container has one */
};

/*
 * Creates container `id` up to the moment before its program starts. Without `foreground` a stand-in process has been left behind. On an
 * error nothing is left. `ret` may be NULL.
 */
int hull_create(const struct hull_cli *cli, const char *id, const struct hull_create_options *options,
		struct hull_created *ret, struct hull_error *err);

/* Starts the program of a created container and runs its poststart hooks. */
int hull_start(const struct hull_cli *cli, const char *id, struct hull_error *err);

/*
 * Deletes a container and whatever is left of it, also when any of its processes is gone. Without `force` only a stopped or
 * created one. Not there: -ENOENT, with `force` 0. Of two at the same time both succeed.
 */
int hull_delete(const struct hull_cli *cli, const char *id, bool force, struct hull_error *err);

/*
 * As hull_delete() with `force`, of the very container whose directory is open in `dirfd`: one of the same name that came after it stays.
 */
int hull_delete_own(const struct hull_cli *cli, const char *id, int dirfd, struct hull_error *err);
