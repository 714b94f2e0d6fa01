/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include <fcntl.h>
#include <libgen.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/client.h"

static int send_master(int socket_fd, int master)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	/* The name is what runc sends; receivers show it at most. */
	char name[] = "/dev/ptmx";
	struct iovec iov = { .iov_base = name, .iov_len = sizeof(name) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &master, sizeof(int));
	return sendmsg(socket_fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int connect_to(const char *path, struct hull_error *err)
{
	_cleanup_free_ char *copy = hull_strdup(path);
	_cleanup_free_ char *copy2 = hull_strdup(path);
	_cleanup_close_ int dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return hull_error_errno(err, errno, "%s", path);
	return hull_socket_connect(dirfd, basename(copy2), err);
}

int hull_console_send(const char *socket_path, unsigned rows, unsigned columns, int *ret_slave, struct hull_error *err)
{
	_cleanup_close_ int master = -1;
	_cleanup_close_ int slave = -1;
	struct winsize ws = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	struct termios saved;

	_cleanup_close_ int fd = connect_to(socket_path, err);
	if (fd < 0)
		return hull_error_wrap(err, "--console-socket");
	if (openpty(&master, &slave, NULL, NULL, rows && columns ? &ws : NULL) < 0)
		return hull_error_errno(err, errno, "make a pty");
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	hull_console_raw(slave, &saved);
	int r = send_master(fd, master);
	if (r < 0)
		return hull_error_errno(err, r, "--console-socket: send the terminal");
	*ret_slave = TAKE_FD(slave);
	return 0;
}

bool hull_console_raw(int fd, struct termios *ret_saved)
{
	if (fd < 0 || tcgetattr(fd, ret_saved) < 0)
		return false;
	struct termios raw = *ret_saved;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSANOW, &raw) == 0;
}

void hull_console_restore(int fd, const struct termios *saved)
{
	tcsetattr(fd, TCSADRAIN, saved);
}

void hull_console_size(int fd, unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize ws;
	*ret_rows = *ret_columns = 0;
	if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &ws) == 0) {
		*ret_rows = ws.ws_row;
		*ret_columns = ws.ws_col;
	}
}
