/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hull-standin: the host process that stands for a container (or a detached exec).
 *
 * Engines keep the pid that `create` writes to --pid-file: they signal it, wait for it as a subreaper, and take its
 * exit status for the container's. So this process forwards every signal it can catch, passes window sizes on, ends with the
 * container's status or by its signal, and its own death ends the container (pod/standin.h).
 *
 * Usage: hull-standin SOCKET_FD TERMINAL_FD TITLE…    TERMINAL_FD is -1 for none; TITLE is for ps(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pod/standin.h"

static void send_message(int fd, enum hull_standin_type type, int32_t a, int32_t b)
{
	struct hull_standin_message m = { .type = type, .a = a, .b = b };
	/* A full queue means thousands of unread signals; standard signals merge anyway. */
	(void)!send(fd, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_window_size(int fd, int terminal)
{
	struct winsize ws;
	if (terminal >= 0 && ioctl(terminal, TIOCGWINSZ, &ws) == 0)
		send_message(fd, HULL_STANDIN_RESIZE, ws.ws_row, ws.ws_col);
}

static _Noreturn void die_of(int sig)
{
	const struct rlimit no_core = { 0, 0 };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t one;

	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(sig, &dfl, NULL);
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	/* Only a signal whose default action is not to die gets here. */
	_exit(128 + sig);
}

static int block_and_watch(void)
{
	sigset_t watched;
	sigfillset(&watched);
	sigdelset(&watched, SIGCHLD);
	sigprocmask(SIG_SETMASK, &watched, NULL);
	return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Keeps stdio, which is /dev/null already, and the two. This process' root is the container's: it opens nothing. */
static void isolate_fds(int socket_fd, int terminal)
{
	int low = socket_fd < terminal ? socket_fd : terminal;
	int high = socket_fd < terminal ? terminal : socket_fd;
	unsigned first = 3;
	if (low >= 3) {
		if ((unsigned)low > first)
			close_range(first, (unsigned)low - 1, 0);
		first = (unsigned)low + 1;
	}
	if ((unsigned)high > first)
		close_range(first, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0U, 0);
}

/* Ends this process when the packet says that the container is over, or when the supervisor is gone. */
static void on_packet(int socket_fd)
{
	struct hull_standin_message m;
	ssize_t n = recv(socket_fd, &m, sizeof(m), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(m))
		die_of(SIGKILL);
	if (m.type == HULL_STANDIN_EXITED) {
		if (m.b > 0 && m.b < NSIG)
			die_of(m.b);
		_exit(m.a);
	}
}

static void on_signal(int signal_fd, int socket_fd, int terminal)
{
	struct signalfd_siginfo info;
	while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH && terminal >= 0)
			send_window_size(socket_fd, terminal);
		else
			send_message(socket_fd, HULL_STANDIN_SIGNAL, (int32_t)info.ssi_signo, 0);
	}
}

/*
 * It needs none of what root may do, and lives in the namespaces of a container. What is asked of it, as signals, comes from outside; what
 * it asks for is a socket and a terminal that it has.
 */
static void drop_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int socket_fd = atoi(argv[1]), terminal = atoi(argv[2]);

	isolate_fds(socket_fd, terminal);
	setsid();
	(void)!chdir("/");
	int signal_fd = block_and_watch();
	if (signal_fd < 0)
		return 1;
	if (terminal >= 0) {
		ioctl(terminal, TIOCSCTTY, 0);
		send_window_size(socket_fd, terminal);
	}

	drop_privileges();

	struct pollfd fds[] = { { .fd = socket_fd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		/* Signals first: one that came before the end of the container must not be lost behind it. */
		if (fds[1].revents)
			on_signal(signal_fd, socket_fd, terminal);
		if (fds[0].revents)
			on_packet(socket_fd);
	}
}
