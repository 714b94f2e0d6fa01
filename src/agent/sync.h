/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between the agent and a process on its way into a container.
 *
 *     launcher   PID(pid)                    the process was cloned and waits
 *     agent      go                          its ids are mapped, its pid is known
 *     process    TTY(fd)                     when it has a terminal: the master
 *     process    READY                       container's first process only: everything is set up
 *     agent      go                          StartContainer
 *     process    end of file: it is executing the program; or FAIL(errno, text) at any point before
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum hull_sync_type { HULL_SYNC_PID = 1, HULL_SYNC_TTY, HULL_SYNC_READY, HULL_SYNC_FAIL };

#define HULL_SYNC_TEXT_MAX 1024

struct hull_sync_message {
	int32_t type;
	int32_t value;                 /* pid, or errno */
	char text[HULL_SYNC_TEXT_MAX]; /* NUL-terminated */
};

/* Makes the two ends: [0] the agent's, non-blocking; [1] the process'. Both CLOEXEC. */
int hull_sync_pair(int ret_fds[2]);

/* `passed_fd` travels along unless it is -1. 0 or -errno. */
int hull_sync_send(int fd, enum hull_sync_type type, int32_t value, const char *text, int passed_fd);

/* Sends FAIL. */
void hull_sync_fail(int fd, const struct hull_error *err);

/* 1 with a message (and a descriptor, or -1, in *ret_fd), 0 at the end of file, -EAGAIN, -errno. */
int hull_sync_receive(int fd, struct hull_sync_message *ret, int *ret_fd);

/* The agent's word, and waiting for it. -EPIPE when the other side is gone. */
int hull_sync_go(int fd);
int hull_sync_await_go(int fd);
