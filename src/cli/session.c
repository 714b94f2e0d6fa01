/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/console.h"

static void send_message(struct hull_session *s, enum hull_standin_type type, int a, int b)
{
	struct hull_standin_message m = { .type = type, .a = a, .b = b };
	(void)!send(s->socket, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_size(struct hull_session *s)
{
	unsigned rows, columns;
	if (s->terminal < 0)
		return;
	hull_console_size(s->terminal, &rows, &columns);
	send_message(s, HULL_STANDIN_RESIZE, (int)rows, (int)columns);
}

int hull_session_begin(struct hull_session *s, int socket, int terminal, struct hull_error *err)
{
	sigset_t watched;
	sigfillset(&watched);
	/* Not ours to pass on: the end of children, faults of this process, and job control of a terminal that is not given away. */
	static const int kept[] = { SIGCHLD, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGPIPE, SIGURG, SIGTTIN, SIGTTOU };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kept); i++)
		sigdelset(&watched, kept[i]);
	if (terminal < 0)
		sigdelset(&watched, SIGTSTP);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	s->socket = socket;
	s->terminal = terminal;
	s->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return hull_error_errno(err, errno, "watch signals");
	/* The terminal may have changed while the VM booted and nobody watched. */
	send_size(s);
	return 0;
}

static void forward_signals(struct hull_session *s)
{
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			send_size(s);
		else
			send_message(s, HULL_STANDIN_SIGNAL, (int)info.ssi_signo, 0);
	}
}

int hull_session_run(struct hull_session *s, struct hull_error *err)
{
	struct pollfd fds[] = { { .fd = s->socket, .events = POLLIN }, { .fd = s->signal_fd, .events = POLLIN } };
	for (;;) {
		struct hull_standin_message m;
		/* Endless by nature: the process may run for years. */
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			forward_signals(s);
		if (!fds[0].revents)
			continue;
		ssize_t n = recv(s->socket, &m, sizeof(m), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n != sizeof(m)) {
			hull_error_set(err, EPIPE, "the pod's supervisor is gone, and the container with it");
			return 128 + SIGKILL;
		}
		if (m.type == HULL_STANDIN_EXITED)
			return m.b > 0 ? 128 + m.b : m.a;
	}
}
