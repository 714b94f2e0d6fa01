/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"

/* What is kept of stderr: it must fit into a struct hull_error together with some context. */
#define TAIL_MAX 1536
/* How long the kernel may take to tear down a killed process. */
#define KILL_TIMEOUT_MS 5000

struct hull_child {
	char *name;                    /* last part of the path, for the reason */
	pid_t pid;                     /* 0 once reaped */
	int pidfd;
	int stderr_fd;
	uv_poll_t exit_poll;
	uv_poll_t stderr_poll;
	unsigned open_handles;
	hull_child_exit_fn on_exit;
	void *data;
	size_t tail_len;
	char tail[TAIL_MAX];
};

/* Keeps the last TAIL_MAX bytes of everything the process said. */
static void tail_add(struct hull_child *c, const char *bytes, size_t n)
{
	if (n > TAIL_MAX) {
		bytes += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	size_t excess = c->tail_len + n > TAIL_MAX ? c->tail_len + n - TAIL_MAX : 0;
	memmove(c->tail, c->tail + excess, c->tail_len - excess);
	c->tail_len -= excess;
	memcpy(c->tail + c->tail_len, bytes, n);
	c->tail_len += n;
}

/* Reads what is there. Returns false when the pipe has ended. */
static bool read_stderr(struct hull_child *c)
{
	char buf[4096];
	/* Bounded: a process that writes without pause must not hold the loop. */
	for (int round = 0; round < 16; round++) {
		ssize_t n = read(c->stderr_fd, buf, sizeof(buf));
		if (n > 0)
			tail_add(c, buf, (size_t)n);
		else if (n == 0)
			return false;
		else if (errno == EAGAIN)
			return true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

static void stderr_ready(uv_poll_t *poll, int status, int events)
{
	struct hull_child *c = poll->data;
	if (status < 0 || !read_stderr(c))
		uv_poll_stop(poll);
}

/* The tail as one line: hostile or not, it ends in logs and on terminals. */
static void tail_to_line(const struct hull_child *c, char line[static TAIL_MAX + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < c->tail_len; i++) {
		unsigned char byte = (unsigned char)c->tail[i];
		line[n++] = byte < 0x20 || byte >= 0x7f ? ' ' : (char)byte;
	}
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
}

static char *exit_reason(const struct hull_child *c, const siginfo_t *info)
{
	char tail[TAIL_MAX + 1];
	tail_to_line(c, tail);
	const char *colon = tail[0] ? ": " : "";
	if (info->si_code == CLD_EXITED)
		return hull_asprintf("%s exited with status %d%s%s", c->name, info->si_status, colon, tail);
	return hull_asprintf("%s was killed by signal %d (%s)%s%s", c->name, info->si_status,
			     strsignal(info->si_status), colon, tail);
}

/* Reaps. False when the process has not ended. */
static bool reap(struct hull_child *c, siginfo_t *info)
{
	memset(info, 0, sizeof(*info));
	if (c->pid == 0 || waitid(P_PIDFD, (id_t)c->pidfd, info, WEXITED | WNOHANG) < 0 || info->si_pid == 0)
		return false;
	c->pid = 0;
	return true;
}

static void process_ended(uv_poll_t *poll, int status, int events)
{
	struct hull_child *c = poll->data;
	siginfo_t info;

	if (!reap(c, &info))
		return;
	uv_poll_stop(poll);
	uv_poll_stop(&c->stderr_poll);
	read_stderr(c);
	_cleanup_free_ char *reason = exit_reason(c, &info);
	c->on_exit(c->data, reason);
}

static void destroy(struct hull_child *c)
{
	hull_closep(&c->pidfd);
	hull_closep(&c->stderr_fd);
	free(c->name);
	free(c);
}

static void handle_closed(uv_handle_t *handle)
{
	struct hull_child *c = handle->data;
	if (--c->open_handles == 0)
		destroy(c);
}

/* Starts to watch `fd`. A handle that was initialised must be closed through the loop. */
static int watch(uv_loop_t *loop, struct hull_child *c, uv_poll_t *poll, int fd, uv_poll_cb ready)
{
	int r = uv_poll_init(loop, poll, fd);
	if (r < 0)
		return r;
	poll->data = c;
	c->open_handles++;
	return uv_poll_start(poll, UV_READABLE, ready);
}

int hull_child_start(uv_loop_t *loop, const struct hull_spawn *spawn, hull_child_exit_fn on_exit, void *data,
		     struct hull_child **ret, struct hull_error *err)
{
	struct hull_spawn with_stderr = *spawn;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return hull_error_errno(err, errno, "start %s: pipe", spawn->path);
	_cleanup_close_ int writer = pipe_fds[1];
	struct hull_child *c = hull_new(struct hull_child, 1);
	const char *slash = strrchr(spawn->path, '/');
	c->name = hull_strdup(slash ? slash + 1 : spawn->path);
	c->stderr_fd = pipe_fds[0];
	c->pidfd = -1;
	c->on_exit = on_exit;
	c->data = data;

	with_stderr.stderr_fd = writer;
	int r = hull_spawn(&with_stderr, &c->pid, &c->pidfd, err);
	if (r == 0) {
		r = watch(loop, c, &c->exit_poll, c->pidfd, process_ended);
		if (r == 0)
			r = watch(loop, c, &c->stderr_poll, c->stderr_fd, stderr_ready);
		if (r < 0)
			r = hull_error_errno(err, r, "watch %s", spawn->path);
	}
	if (r < 0) {
		hull_child_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

pid_t hull_child_pid(const struct hull_child *child)
{
	return child ? child->pid : 0;
}

void hull_child_kill(const struct hull_child *child)
{
	if (child && child->pid != 0)
		hull_pidfd_kill(child->pidfd, SIGKILL);
}

void hull_child_free(struct hull_child *c)
{
	siginfo_t info;

	if (!c)
		return;
	if (c->pid != 0 && !reap(c, &info)) {
		hull_pidfd_kill(c->pidfd, SIGKILL);
		hull_pidfd_wait(c->pidfd, KILL_TIMEOUT_MS);
		reap(c, &info);
	}
	if (c->open_handles == 0) {
		destroy(c);
		return;
	}
	if (c->stderr_poll.data)
		uv_close((uv_handle_t *)&c->stderr_poll, handle_closed);
	uv_close((uv_handle_t *)&c->exit_poll, handle_closed);
}
