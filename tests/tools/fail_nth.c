/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload: the Nth call of the program that could fail does (FAIL_NTH=N), with ENOMEM, or EMFILE where a descriptor was asked
 * for. What the program does of its own accord counts, not what libraries do among themselves. When it ends, or fails, the number of calls is
 * appended to the file FAIL_LOG names.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned calls;
static pid_t owner;

static void note(const char *what)
{
	const char *path = getenv("FAIL_LOG");
	int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	int fd = path ? real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		return;
	dprintf(fd, "%u %s\n", calls, what);
	close(fd);
}

/* Whether the call comes from the program and not from a library. */
static int is_of_program(const void *caller)
{
	Dl_info here, there;
	return dladdr(caller, &there) && dladdr((void *)getauxval(AT_ENTRY), &here) && there.dli_fbase == here.dli_fbase;
}

/* Children are not counted: what they are to do differs with the moment. */
static int fails(const char *name, int code, const void *caller)
{
	const char *nth = getenv("FAIL_NTH");
	if (!owner)
		owner = getpid();
	if (!nth || owner != getpid() || !is_of_program(caller) || ++calls != (unsigned)atoi(nth))
		return 0;
	note(name);
	errno = code;
	return 1;
}

__attribute__((destructor)) static void at_exit(void)
{
	if (owner == getpid())
		note("end");
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(type, name, failed, code, params, args) \
	type name params \
	{ \
		return fails(#name, code, __builtin_return_address(0)) ? (failed) : REAL(name) args; \
	}

WRAP(int, socket, -1, EMFILE, (int d, int t, int p), (d, t, p))
WRAP(int, socketpair, -1, EMFILE, (int d, int t, int p, int v[2]), (d, t, p, v))
WRAP(int, pipe2, -1, EMFILE, (int v[2], int f), (v, f))
WRAP(int, dup2, -1, EMFILE, (int a, int b), (a, b))
WRAP(int, mkdir, -1, ENOSPC, (const char *p, mode_t m), (p, m))
WRAP(int, mkdirat, -1, ENOSPC, (int d, const char *p, mode_t m), (d, p, m))
WRAP(int, mknodat, -1, ENOSPC, (int d, const char *p, mode_t m, dev_t dev), (d, p, m, dev))
WRAP(int, rename, -1, ENOSPC, (const char *a, const char *b), (a, b))
WRAP(int, renameat, -1, ENOSPC, (int x, const char *a, int y, const char *b), (x, a, y, b))
WRAP(int, renameat2, -1, ENOSPC, (int x, const char *a, int y, const char *b, unsigned f), (x, a, y, b, f))
WRAP(int, bind, -1, ENOMEM, (int s, const struct sockaddr *a, socklen_t l), (s, a, l))
WRAP(int, listen, -1, ENOMEM, (int s, int n), (s, n))
WRAP(int, connect, -1, ENOMEM, (int s, const struct sockaddr *a, socklen_t l), (s, a, l))
WRAP(int, accept4, -1, EMFILE, (int s, struct sockaddr *restrict a, socklen_t *restrict l, int f), (s, a, l, f))
WRAP(ssize_t, sendmsg, -1, ENOMEM, (int s, const struct msghdr *m, int f), (s, m, f))
WRAP(ssize_t, recvmsg, -1, ENOMEM, (int s, struct msghdr *m, int f), (s, m, f))
WRAP(pid_t, fork, -1, EAGAIN, (void), ())
WRAP(int, epoll_create1, -1, EMFILE, (int f), (f))
WRAP(int, epoll_ctl, -1, ENOSPC, (int e, int o, int fd, struct epoll_event *v), (e, o, fd, v))
WRAP(int, mount, -1, ENOMEM, (const char *s, const char *t, const char *y, unsigned long f, const void *d), (s, t, y, f, d))
WRAP(int, mount_setattr, -1, ENOMEM, (int d, const char *p, unsigned f, struct mount_attr *a, size_t n), (d, p, f, a, n))
WRAP(int, open_tree, -1, EMFILE, (int d, const char *p, unsigned f), (d, p, f))
WRAP(int, move_mount, -1, ENOMEM, (int a, const char *p, int b, const char *q, unsigned f), (a, p, b, q, f))
WRAP(int, unshare, -1, ENOMEM, (int f), (f))
WRAP(int, fstat, -1, ENOMEM, (int fd, struct stat *s), (fd, s))
WRAP(ssize_t, write, -1, ENOSPC, (int fd, const void *b, size_t n), (fd, b, n))

int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return fails("open", EMFILE, __builtin_return_address(0)) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return fails("openat", EMFILE, __builtin_return_address(0)) ? -1 : REAL(openat)(dir, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	va_list ap;
	va_start(ap, command);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (command == F_DUPFD_CLOEXEC && fails("fcntl", EMFILE, __builtin_return_address(0)))
		return -1;
	return REAL(fcntl)(fd, command, arg);
}
