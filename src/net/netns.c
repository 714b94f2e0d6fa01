/* SPDX-License-Identifier: Apache-2.0 */
#include "net/netns.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

static bool is_netns(int fd)
{
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

int hull_netns_open(const char *path, struct hull_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "%s", path);
	if (!is_netns(fd))
		return hull_error_set(err, EINVAL, "%s is not a network namespace", path);
	return TAKE_FD(fd);
}

/* ---- work in another namespace: done by a thread that ends, so that none ever has to come back */

struct visit {
	int netns;                     /* -1: a new one */
	int (*fn)(void *data, struct hull_error *err);
	void *data;
	struct hull_error *err;
	int result;
};

static void *visit(void *data)
{
	struct visit *v = data;
	if (v->netns < 0 ? unshare(CLONE_NEWNET) < 0 : setns(v->netns, CLONE_NEWNET) < 0)
		v->result = hull_error_errno(v->err, errno, v->netns < 0 ? "make a network namespace" : "enter the network namespace");
	else
		v->result = v->fn(v->data, v->err);
	return NULL;
}

static int send_thread(struct visit *v)
{
	pthread_t thread;
	sigset_t all, before;
	/* A signal is for the thread that waits for it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&thread, NULL, visit, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return hull_error_errno(v->err, r, "start a thread for the network namespace");
	pthread_join(thread, NULL);
	return v->result;
}

static int open_own(void *data, struct hull_error *err)
{
	(void)data;
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? hull_error_errno(err, errno, "open the new network namespace") : fd;
}

int hull_netns_new(struct hull_error *err)
{
	return send_thread(&(struct visit){ .netns = -1, .fn = open_own, .err = err });
}

int hull_netns_inside(int fd, int (*fn)(void *data, struct hull_error *err), void *data, struct hull_error *err)
{
	return send_thread(&(struct visit){ .netns = fd, .fn = fn, .data = data, .err = err });
}

static bool is_same(const struct stat *st, const char *path)
{
	struct stat other;
	return stat(path, &other) == 0 && st->st_dev == other.st_dev && st->st_ino == other.st_ino;
}

int hull_netns_check_foreign(int fd, struct hull_error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "look at the network namespace");
	if (is_same(&st, "/proc/self/ns/net") || is_same(&st, "/proc/1/ns/net"))
		return hull_error_set(err, ENOTSUP, "this is the host's network namespace, which a VM cannot join");
	return 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The name of a process, for people. */
static char *name_of(int procfd, const char *pid)
{
	char path[64], *text = NULL;
	snprintf(path, sizeof(path), "%s/comm", pid);
	if (hull_file_read(procfd, path, 64, &text, NULL) < 0)
		return hull_strdup("?");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

int hull_netns_check_empty(int fd, const pid_t *except, size_t n_except, struct hull_error *err)
{
	struct stat st, ns;
	_cleanup_(closedirp) DIR *proc = opendir("/proc");
	if (!proc || fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "look for processes in the network namespace");
	for (struct dirent *e; (e = readdir(proc)) != NULL;) {
		char path[64];
		bool known = false;
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.20s/ns/net", e->d_name);
		/* One that ended meanwhile, or that nobody may look at, is not one of a container. */
		if (fstatat(dirfd(proc), path, &ns, 0) < 0 || ns.st_ino != st.st_ino || ns.st_dev != st.st_dev)
			continue;
		for (size_t i = 0; i < n_except; i++)
			known = known || except[i] == atoi(e->d_name);
		if (known)
			continue;
		_cleanup_free_ char *name = name_of(dirfd(proc), e->d_name);
		return hull_error_set(err, EBUSY, "process %.20s (%s) lives in it and would lose its network to the VM: containers share a network "
				      "inside of a pod", e->d_name, name);
	}
	return 0;
}

static int check_only_lo(void *data, struct hull_error *err)
{
	struct if_nameindex *list = if_nameindex();
	int r = list ? 0 : hull_error_errno(err, errno, "list network interfaces");
	(void)data;
	for (struct if_nameindex *i = list; r == 0 && i && i->if_index; i++)
		if (strcmp(i->if_name, "lo") != 0)
			r = hull_error_set(err, ENOTSUP, "it has the interface %.16s", i->if_name);
	if (list)
		if_freenameindex(list);
	return r;
}

int hull_netns_check_unconnected(int fd, struct hull_error *err)
{
	return hull_netns_inside(fd, check_only_lo, NULL, err);
}
