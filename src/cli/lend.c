/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lend.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/console.h"

/* main.c fills what was closed at the start with O_PATH descriptors. */
static bool is_open(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !(flags & O_PATH);
}

int hull_lend_stdio(const struct hull_oci_process *p, const char *console_socket, Hull__Pod__V1__Stdio *stdio,
		    int fds[static HULL_LEND_FDS_MAX], size_t *ret_n, int *ret_terminal, struct hull_error *err)
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
