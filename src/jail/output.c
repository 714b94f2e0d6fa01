/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "jail/spawn.h"

/* Reads until the writers have closed, the buffer is full or the deadline has passed. The length, or -errno. */
static ssize_t read_bounded(int fd, char *buf, size_t size, int timeout_ms)
{
	int64_t deadline = hull_now_ms() + timeout_ms;
	size_t have = 0;

	while (have < size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - hull_now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n == 0)
			return -ETIMEDOUT;
		ssize_t got = n < 0 ? -1 : read(fd, buf + have, size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

int hull_spawn_output(const char *path, char *const *argv, size_t max, int timeout_ms, char **ret_text,
		      struct hull_error *err)
{
	int pipe_fds[2];
	pid_t pid;
	_cleanup_close_ int pidfd = -1;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return hull_error_errno(err, errno, "pipe");
	_cleanup_close_ int reader = pipe_fds[0];
	_cleanup_close_ int writer = pipe_fds[1];
	const struct hull_spawn spawn = {
		.path = path, .argv = argv,
		.stdin_fd = -1, .stdout_fd = writer, .stderr_fd = writer,
		.die_with_parent = true, .new_session = true,
	};
	int r = hull_spawn(&spawn, &pid, &pidfd, err);
	if (r < 0)
		return r;
	close(TAKE_FD(writer));

	_cleanup_free_ char *text = hull_calloc(max + 1, 1);
	ssize_t n = read_bounded(reader, text, max, timeout_ms);
	hull_pidfd_kill(pidfd, SIGKILL);
	hull_pidfd_wait(pidfd, timeout_ms);
	waitpid(pid, NULL, WNOHANG);
	if (n < 0)
		return hull_error_errno(err, (int)n, "read what %s says", path);
	*ret_text = TAKE_PTR(text);
	return 0;
}
