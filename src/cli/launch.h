/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the processes that outlive `hull`: a pod's supervisor and the stand-ins. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "cli/cli.h"

/*
 * Makes pods/<pod_id>, listens there, starts hull-pod with the socket as an orphan, and returns a connection to it. The
 * connection works at once: calls wait in the socket until the supervisor is ready. The caller owns the name: its container has it.
 */
int hull_launch_supervisor(const struct hull_cli *cli, const char *pod_id, pid_t *ret_pid, int *ret_fd,
			   struct hull_error *err);

/*
 * Starts a stand-in (pod/standin.h) as a child that is left behind when `hull` ends. `socket_fd` and `terminal_fd` (-1: none) are
 * borrowed; `title` is shown by ps(1). The stand-in has exec'd by the return.
 */
int hull_launch_standin(int socket_fd, int terminal_fd, const char *title, pid_t *ret_pid, struct hull_error *err);
