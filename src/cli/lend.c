/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lend.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/console.h"

/* main.c fills what was closed at the start with O_PATH descriptors. */
static bool is_open(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !(flags & O_PATH);
}

int hull_lend_stdio(const struct hull_oci_process *p, const char *console_socket, Hull__Pod__V1__Stdio *stdio,
		    int fds[static HULL_LEND_STDIO_MAX], size_t *ret_n, int *ret_terminal, struct hull_error *err)
{
	size_t n = 0;
	*ret_terminal = -1;
	if (p->terminal && console_socket) {
		int r = hull_console_send(console_socket, p->console_height, p->console_width, ret_terminal, err);
		if (r < 0)
			return r;
		stdio->has_terminal = true;
		fds[n++] = *ret_terminal;
	} else {
		stdio->has_stdin = is_open(STDIN_FILENO);
		stdio->has_stdout = is_open(STDOUT_FILENO);
		/* A terminal has one stream of output. */
		stdio->has_stderr = is_open(STDERR_FILENO) && !p->terminal;
		if (stdio->has_stdin)
			fds[n++] = STDIN_FILENO;
		if (stdio->has_stdout)
			fds[n++] = STDOUT_FILENO;
		if (stdio->has_stderr)
			fds[n++] = STDERR_FILENO;
	}
	stdio->rows = p->console_height;
	stdio->columns = p->console_width;
	if (p->terminal && (!stdio->rows || !stdio->columns))
		hull_console_size(*ret_terminal >= 0 ? *ret_terminal : STDIN_FILENO, &stdio->rows, &stdio->columns);
	*ret_n = n;
	return 0;
}

/* ---- further descriptors */

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

/* What the descriptor is that no stream of bytes can stand for, or NULL. */
static const char *cannot_carry(int fd, int access)
{
	struct stat st;
	if (access < 0 || fstat(fd, &st) < 0)
		return "a path that is not open for reading or writing";
	switch (st.st_mode & S_IFMT) {
	case S_IFIFO:
		return NULL;
	case S_IFCHR:
		return NULL;
	case S_IFREG:
		return access == O_RDWR ? "a file that is open for reading and writing" : NULL;
	case S_IFSOCK:
		if (socket_option(fd, SO_ACCEPTCONN) == 1)
			return "a listening socket";
		return socket_option(fd, SO_TYPE) == SOCK_STREAM ? NULL : "a socket that keeps the borders of messages";
	case S_IFDIR:
		return "a directory";
	case S_IFBLK:
		return "a block device";
	default:
		/* eventfd, epoll, pidfd, … */
		return "a kernel object without a stream of bytes";
	}
}

static int look_at(int fd, Hull__Agent__V1__Preserved *ret, struct hull_error *err)
{
	int flags = fcntl(fd, F_GETFL), access = flags < 0 || (flags & O_PATH) ? -1 : flags & O_ACCMODE;
	const char *why = cannot_carry(fd, access);
	if (why)
		return hull_error_set(err, EOPNOTSUPP, "--preserve-fds: descriptor %d is %s, which cannot be passed into a VM", fd, why);
	hull__agent__v1__preserved__init(ret);
	ret->readable = access != O_WRONLY;
	ret->writable = access != O_RDONLY;
	return 0;
}

/* Socket activation hands over listening sockets. Source: sd_listen_fds(3); runc passes them on. */
static int check_listen_fds(struct hull_error *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t number;
	if (pid && fds && hull_parse_i64(pid, 1, INT32_MAX, &number) == 0 && number == getpid())
		return hull_error_set(err, EOPNOTSUPP, "LISTEN_FDS: sockets on which the host listens cannot be passed into a VM");
	return 0;
}

int hull_lend_preserved(const struct hull_cli *cli, int64_t n, struct hull_lend_preserved *ret, struct hull_error *err)
{
	ret->n = 0;
	int r = check_listen_fds(err);
	if (r == 0 && n > HULL_LEND_PRESERVED_MAX)
		r = hull_error_set(err, E2BIG, "--preserve-fds: at most %d", HULL_LEND_PRESERVED_MAX);
	for (; r == 0 && (int64_t)ret->n < n; ret->n++) {
		int fd = 3 + (int)ret->n;
		/* What is there now may be this process' own. The text is runc's. */
		if (fd >= cli->first_own_fd)
			return hull_error_set(err, EBADF, "unable to stat preserved-fd %d (of %d): no such file or directory", (int)ret->n, (int)n);
		r = look_at(fd, &ret->messages[ret->n], err);
		ret->pointers[ret->n] = &ret->messages[ret->n];
	}
	return r;
}

void hull_lend_add_preserved(struct hull_lend_preserved *p, Hull__Pod__V1__Stdio *stdio, int *fds, size_t *n)
{
	stdio->n_preserved = p->n;
	stdio->preserved = p->pointers;
	for (size_t i = 0; i < p->n; i++)
		fds[(*n)++] = 3 + (int)i;
}
