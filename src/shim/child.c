/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/child.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "pod/paths.h"
#include "shim/rootfs.h"

#define LOG_MAX_BYTES (256u << 10)
/* The child's descriptors: stdio, three that may be kept, and the log. */
#define LOG_FD 6

struct shim_child {
	pid_t pid;
	int pidfd, log_fd;
	bool json;                     /* the log is hull's, else plain words */
	uv_poll_t poll;
	shim_child_fn done;
	void *data;
};

/* ---- in the child */

static _Noreturn void fail(int log, bool json, const char *what, const struct hull_error *err)
{
	_cleanup_free_ char *text = err && err->code ? hull_asprintf("%s: %s", what, err->message) : hull_asprintf("%s: %s", what, strerror(errno));
	if (json)
		hull_log_line(log, HULL_LOG_JSON, HULL_LOG_ERROR, text);
	else
		dprintf(log, "%s\n", text);
	_exit(127);
}

/* A namespace of its own when there is something to mount: that is seen nowhere else and goes by itself. */
static void enter_host(const struct shim_host *host, const struct shim_child_spec *spec, int log, bool json)
{
	struct hull_error err = HULL_ERROR_INIT;
	if (host->mount_ns >= 0 && setns(host->mount_ns, CLONE_NEWNS) < 0)
		fail(log, json, "enter the host's mount namespace", NULL);
	if (spec->n_mounts == 0)
		return;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		fail(log, json, "new mount namespace for the rootfs", NULL);
	if (shim_rootfs_mount(spec->mounts, spec->n_mounts, spec->rootfs, &err) < 0)
		fail(log, json, "rootfs", &err);
}

static int out_of_the_way(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD + 1);
}

static void place_fds(const struct shim_child_spec *spec, int log)
{
	int wanted[6];
	for (int i = 0; i < 3; i++) {
		wanted[i] = out_of_the_way(spec->stdio[i]);
		wanted[3 + i] = out_of_the_way(spec->keep_fds[i]);
		if (wanted[i] < 0 && !spec->closed_stdio)
			wanted[i] = out_of_the_way(open("/dev/null", O_RDWR | O_CLOEXEC));
	}
	for (int i = 0; i < 6; i++) {
		if (wanted[i] >= 0)
			dup2(wanted[i], i);
		else
			close(i);
	}
	dup2(log, LOG_FD);
	hull_close_fds_except(LOG_FD + 1, NULL, 0);
}

static _Noreturn void run(const struct shim_host *host, const struct shim_child_spec *spec, int log, bool json)
{
	hull_signals_reset();
	log = out_of_the_way(log);
	enter_host(host, spec, log, json);
	place_fds(spec, log);
	if (!json) {
		hull_fd_cloexec(LOG_FD, true);
		if (spec->stdio[2] < 0)
			dup2(LOG_FD, STDERR_FILENO);
	}
	(void)!chdir("/");
	execve(spec->path, spec->argv, spec->env ? spec->env : environ);
	fail(LOG_FD, json, spec->path, NULL);
}

/* ---- its end */

/* The last line with level "error". */
static char *last_error(char *text)
{
	char *rest = NULL, *found = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_object *o = json_tokener_parse(line), *level, *msg;
		if (json_object_object_get_ex(o, "level", &level) && json_object_object_get_ex(o, "msg", &msg) &&
		    strcmp(json_object_get_string(level), "error") == 0) {
			free(found);
			found = hull_strdup(json_object_get_string(msg));
		} else if (json_object_object_get_ex(o, "msg", &msg)) {
			hull_log_info("hull: %s", json_object_get_string(msg));
		}
		json_object_put(o);
	}
	return found;
}

static char *how_it_ended(const struct shim_child *c, const siginfo_t *info)
{
	_cleanup_free_ char *text = NULL;
	char *said = NULL;
	if (lseek(c->log_fd, 0, SEEK_SET) == 0 && hull_fd_read_all(c->log_fd, LOG_MAX_BYTES, &text, NULL) == 0 && text[0])
		said = c->json ? last_error(text) : hull_strdup(text);
	if (info->si_code == CLD_EXITED && info->si_status == 0) {
		free(said);
		return NULL;
	}
	if (said)
		return said;
	return info->si_code == CLD_EXITED ? hull_asprintf("ended with status %d and no word", info->si_status)
					   : hull_asprintf("killed by signal %d", info->si_status);
}

static void on_closed(uv_handle_t *handle)
{
	struct shim_child *c = handle->data;
	close(c->pidfd);
	close(c->log_fd);
	free(c);
}

static void on_end(uv_poll_t *poll, int status, int events)
{
	struct shim_child *c = poll->data;
	siginfo_t info = { 0 };
	(void)status;
	(void)events;
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	uv_poll_stop(poll);
	_cleanup_free_ char *message = how_it_ended(c, &info);
	if (c->done)
		c->done(c->data, message);
	uv_close((uv_handle_t *)poll, on_closed);
}

/* ---- starting */

static struct shim_child *start(uv_loop_t *loop, const struct shim_host *host, const struct shim_child_spec *spec, int log, bool json,
				shim_child_fn done, void *data, struct hull_error *err)
{
	pid_t pid = fork();
	if (pid == 0)
		run(host, spec, log, json);
	int pidfd = pid < 0 ? -1 : hull_pidfd_open(pid);
	if (pidfd < 0) {
		hull_error_errno(err, pid < 0 ? errno : -pidfd, "start %s", spec->path);
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		close(log);
		return NULL;
	}
	struct shim_child *c = hull_new(struct shim_child, 1);
	c->pid = pid;
	c->pidfd = pidfd;
	c->log_fd = log;
	c->json = json;
	c->done = done;
	c->data = data;
	uv_poll_init(loop, &c->poll, pidfd);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_end);
	return c;
}

struct shim_child *shim_child_hull(uv_loop_t *loop, const struct shim_host *host, struct hull_strv *args,
				   const struct shim_child_spec *spec, shim_child_fn done, void *data, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_path_bin("hull");
	struct shim_child_spec s = *spec;
	struct hull_strv argv = { 0 };
	int log = memfd_create("hull-log", MFD_CLOEXEC);
	if (log < 0) {
		hull_error_errno(err, errno, "make a memory file");
		return NULL;
	}
	hull_strv_add(&argv, path);
	hull_strv_add(&argv, "--root");
	hull_strv_add(&argv, host->state_root);
	hull_strv_add(&argv, "--log-format");
	hull_strv_add(&argv, "json");
	hull_strv_add(&argv, "--log");
	hull_strv_addf(&argv, "/dev/fd/%d", LOG_FD);
	for (size_t i = 0; i < args->n; i++)
		hull_strv_add(&argv, args->v[i]);
	s.path = path;
	s.argv = argv.v;
	struct shim_child *c = start(loop, host, &s, log, true, done, data, err);
	hull_strv_clear(&argv);
	return c;
}

struct shim_child *shim_child_program(uv_loop_t *loop, const struct shim_host *host, const struct shim_child_spec *spec,
				      shim_child_fn done, void *data, struct hull_error *err)
{
	int log = memfd_create("hull-log", MFD_CLOEXEC);
	if (log < 0) {
		hull_error_errno(err, errno, "make a memory file");
		return NULL;
	}
	return start(loop, host, spec, log, false, done, data, err);
}

void shim_child_kill(struct shim_child *c)
{
	hull_pidfd_kill(c->pidfd, SIGKILL);
}

void shim_child_forget(struct shim_child *c)
{
	if (!c)
		return;
	c->done = NULL;
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_closed);
}
