/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/* Source: proc(5), /proc/pid/stat: field 3 is the state, field 22 the start time. */
int hull_procref_parse(const char *text, struct hull_procref *ret)
{
	/* The command name may hold spaces and parentheses; the last ')' ends it. */
	const char *p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return -EIO;
	p += 2;
	if (*p == 'Z' || *p == 'X')
		return -ESRCH;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EIO;
		p++;
	}
	ret->pid = (pid_t)strtol(text, NULL, 10);
	ret->start_ticks = strtoull(p, NULL, 10);
	return 0;
}

int hull_procref_get(pid_t pid, struct hull_procref *ret)
{
	char path[64];
	_cleanup_free_ char *text = NULL;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int r = hull_file_read(AT_FDCWD, path, 4096, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	return hull_procref_parse(text, ret);
}

bool hull_procref_alive(const struct hull_procref *ref)
{
	struct hull_procref now;
	if (ref->pid <= 0 || hull_procref_get(ref->pid, &now) < 0)
		return false;
	return ref->start_ticks == 0 || ref->start_ticks == now.start_ticks;
}

int hull_pidfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : (int)fd;
}

int hull_pidfd_kill(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int hull_procref_open(const struct hull_procref *ref)
{
	if (ref->pid <= 0)
		return -ESRCH;
	_cleanup_close_ int fd = hull_pidfd_open(ref->pid);
	if (fd < 0)
		return fd;
	/* Checked after the open: from here on the fd cannot change its meaning. */
	if (!hull_procref_alive(ref))
		return -ESRCH;
	return TAKE_FD(fd);
}

int hull_procref_kill(const struct hull_procref *ref, int sig)
{
	_cleanup_close_ int fd = hull_procref_open(ref);
	return fd < 0 ? fd : hull_pidfd_kill(fd, sig);
}

int hull_pidfd_wait(int pidfd, int timeout_ms)
{
	int64_t deadline = hull_now_ms() + timeout_ms;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	for (;;) {
		int64_t left = deadline - hull_now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

void hull_close_fds_except(int first, const int *keep, int n)
{
	for (int i = 0; i < n; i++) {
		if (keep[i] < first)
			continue;
		if (keep[i] > first)
			close_range((unsigned)first, (unsigned)keep[i] - 1, 0);
		first = keep[i] + 1;
	}
	close_range((unsigned)first, ~0U, 0);
}

void hull_signals_reset(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int64_t hull_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
