/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/clone.h"
#include "agent/sync.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

void hull_child_fail(const struct hull_child *child, const struct hull_error *err)
{
	hull_sync_fail(child->sync, err);
	/* The shell's convention, for whoever looks at the status instead of the error. */
	_exit(err->code == ENOENT ? 127 : 126);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_others(const struct hull_child *child)
{
	int keep[2 + HULL_NS_COUNT + HULL_AGENT_PRESERVED_MAX] = { child->sync, child->target };
	size_t n = 2 + HULL_NS_COUNT;
	memcpy(keep + 2, child->join, sizeof(child->join));
	for (size_t i = 0; i < child->n_preserved; i++)
		keep[n++] = child->preserved[i];
	qsort(keep, n, sizeof(keep[0]), compare_ints);
	hull_close_fds_except(3, keep, (int)n);
}

/* A descriptor with a number from 3 to `first_free` gets another one. */
static int move_away(int *fd, int first_free)
{
	if (*fd < 3 || *fd >= first_free)
		return 0;
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, first_free);
	if (moved < 0)
		return -errno;
	close(*fd);
	*fd = moved;
	return 0;
}

/* Before anything else is opened: the preserved descriptors get their numbers, and what has one of these moves away. */
static int place_preserved(struct hull_child *child)
{
	int first_free = 3 + (int)child->n_preserved;
	int r = move_away(&child->sync, first_free);
	if (r == 0)
		r = move_away(&child->target, first_free);
	for (size_t i = 0; r == 0 && i < HULL_NS_COUNT; i++)
		r = move_away(&child->join[i], first_free);
	for (size_t i = 0; r == 0 && i < child->n_preserved; i++)
		r = move_away(&child->preserved[i], first_free);
	if (r < 0)
		return r;
	for (size_t i = 0; i < child->n_preserved; i++) {
		if (dup2(child->preserved[i], 3 + (int)i) < 0)
			return -errno;
		close(child->preserved[i]);
		child->preserved[i] = 3 + (int)i;
	}
	return 0;
}

/*
 * The agent has raised its own limit. Without a word in config.json a process gets what systemd gives to services:
 * programs that close every possible descriptor suffer from more, and whoever wants more may take it.
 */
static void reset_file_limit(void)
{
	const struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 524288 };
	setrlimit(RLIMIT_NOFILE, &limit);
}

int hull_child_prologue(struct hull_child *child, struct hull_error *err)
{
	hull_signals_reset();
	/* What this process has in memory is the agent's: nobody in the container may look at it or at /proc/self/exe. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	hull_log_setup(-1, HULL_LOG_TEXT, HULL_LOG_ERROR, 0);

	for (int i = 0; i < 3 && !child->process->terminal; i++) {
		if (child->stdio[i] >= 0 && dup2(child->stdio[i], i) < 0)
			return hull_error_errno(err, errno, "connect stdio");
	}
	close_others(child);
	int r = place_preserved(child);
	if (r < 0)
		return hull_error_errno(err, r, "connect preserved descriptors");
	reset_file_limit();

	/* The agent's own score, which is inherited, is the lowest. */
	char text[16];
	snprintf(text, sizeof(text), "%d", child->process->has_oom_score_adj ? child->process->oom_score_adj : 0);
	r = hull_file_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
	return r < 0 ? hull_error_errno(err, r, "process.oomScoreAdj") : 0;
}

int hull_child_split(const struct hull_child *child, unsigned long flags, struct hull_error *err)
{
	pid_t pid = hull_clone(flags | CLONE_PARENT, -1);
	if (pid == 0)
		return 0;
	if (pid < 0)
		return hull_error_errno(err, pid, "clone");
	hull_sync_send(child->sync, HULL_SYNC_PID, pid, NULL, -1);
	_exit(0);
}

int hull_child_settle(const struct hull_child *child, struct hull_error *err)
{
	int r = hull_sync_await_go(child->sync);
	if (r < 0)
		return hull_error_errno(err, r, "wait for the agent");
	if (child->user_namespace &&
	    (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || setgroups(0, NULL) < 0))
		return hull_error_errno(err, errno, "become root of the user namespace");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (setsid() < 0)
		return hull_error_errno(err, errno, "setsid");
	return 0;
}
