/* SPDX-License-Identifier: Apache-2.0 */
/* A long-lived helper process watched from the loop: its end, and the last words on its stderr. */
#pragma once

#include <sys/types.h>

#include <uv.h>

#include "jail/spawn.h"

struct hull_child;

/* `reason` is one printable line such as "qemu-system-x86_64 exited with status 1: no such machine". */
typedef void (*hull_child_exit_fn)(void *data, const char *reason);

/*
 * Spawns and watches. `spawn->stderr_fd` is ignored: stderr goes to a pipe whose tail becomes part of the reason.
 * on_exit runs once from the loop, after the process was reaped, and not after hull_child_free().
 */
int hull_child_start(uv_loop_t *loop, const struct hull_spawn *spawn, hull_child_exit_fn on_exit, void *data,
		     struct hull_child **ret, struct hull_error *err);

/* 0 when it has ended. NULL is fine. */
pid_t hull_child_pid(const struct hull_child *child);

/* Sends SIGKILL if it runs; on_exit follows. NULL is fine. */
void hull_child_kill(const struct hull_child *child);

/* Sends SIGKILL if it runs, reaps it and frees; memory goes when the loop has closed the watchers. NULL is fine. */
void hull_child_free(struct hull_child *child);
