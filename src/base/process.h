/* SPDX-License-Identifier: Apache-2.0 */
/* Processes by pid and start time, signals through pidfds, and one way to spawn. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process that cannot be mistaken for a later one with the same pid. */
struct hull_procref {
	pid_t pid;
	uint64_t start_ticks;     /* field 22 of /proc/PID/stat; 0: not known */
};

/* Fills `ret` for a live process (zombies count as gone). 0, -ESRCH. */
int hull_procref_get(pid_t pid, struct hull_procref *ret);

/* The same from the text of a process' stat file. 0, -ESRCH for a zombie, -EIO for something else. */
int hull_procref_parse(const char *text, struct hull_procref *ret);

/* Whether that very process still runs (a zombie does not). */
bool hull_procref_alive(const struct hull_procref *ref);

/* Opens a pidfd of that very process, or -ESRCH. The caller closes it. */
int hull_procref_open(const struct hull_procref *ref);

/* Sends `sig` to that very process through a pidfd. 0, -ESRCH, -errno. */
int hull_procref_kill(const struct hull_procref *ref, int sig);

/* pidfd_open(2) and pidfd_send_signal(2), with the errors as -errno. The caller closes the descriptor. */
int hull_pidfd_open(pid_t pid);
int hull_pidfd_kill(int pidfd, int sig);

/* Waits up to timeout_ms for the process behind the pidfd to end. 0, -ETIMEDOUT, -errno. */
int hull_pidfd_wait(int pidfd, int timeout_ms);

/* Closes every descriptor from `first` up except those in `keep` (ascending, `n` of them). */
void hull_close_fds_except(int first, const int *keep, int n);

/* Puts every signal back to its default action and empties the mask: for a child before exec. */
void hull_signals_reset(void);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t hull_now_ms(void);
