/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a container, for `create` and `run`. */
#pragma once

#include <stdbool.h>

#include "cli/bundle.h"
#include "cli/cli.h"

struct hull_create_options {
	const char *bundle, *config, *pid_file, *console_socket;
	bool no_pivot, no_new_keyring;
	int64_t preserve_fds;
	bool foreground;               /* the caller stands for the container itself */
};

/*
 * Creates container `id` up to the moment before its program starts. With `foreground` *ret_session_fd is the caller's end of the
 * stand-in's pair and *ret_terminal whether the container has a terminal; otherwise a stand-in process has been left behind. On an error
 * nothing is left.
 */
int hull_create(const struct hull_cli *cli, const char *id, const struct hull_create_options *options,
		int *ret_session_fd, bool *ret_terminal, struct hull_error *err);

/* Starts the program of a created container and runs its poststart hooks. */
int hull_start(const struct hull_cli *cli, const char *id, struct hull_error *err);

/*
 * Deletes a container and whatever is left of it, also when any of its processes is gone. Without `force` only a stopped or
 * created one. Not there: -ENOENT, with `force` 0. Of two at the same time both succeed.
 */
int hull_delete(const struct hull_cli *cli, const char *id, bool force, struct hull_error *err);
