/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces by descriptor: looked at, checked, and entered for a moment. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* Opens the namespace that config.json names and checks what it is. The fd, or an error that begins with the path. */
int hull_netns_open(const char *path, struct hull_error *err);

/* A new network namespace, which lives as long as descriptors and processes hold it. The caller stays where it is. */
int hull_netns_new(struct hull_error *err);

/* Refuses the namespace of this process and of PID 1, whatever name led to it: the host's own is never touched. */
int hull_netns_check_foreign(int fd, struct hull_error *err);

/*
 * Refuses a namespace in which processes live, other than those in `except`: their connections would end where the pod's begin, for
 * frames go past the namespace's own stack.
 */
int hull_netns_check_empty(int fd, const pid_t *except, size_t n_except, struct hull_error *err);

/* Refuses a namespace that has other interfaces than lo. */
int hull_netns_check_unconnected(int fd, struct hull_error *err);

/*
 * Calls `fn` with a thread in the namespace, waits for its end, and returns what it did. Sockets and taps made in there stay in there.
 * The caller itself never leaves its own namespace, so that nothing can keep it from coming back. /proc/self is the caller's in there,
 * /proc/thread-self the namespace's; a child with a parent-death signal would end with the thread.
 */
int hull_netns_inside(int fd, int (*fn)(void *data, struct hull_error *err), void *data, struct hull_error *err);
