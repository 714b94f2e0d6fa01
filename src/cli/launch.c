/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "cli/client.h"
#include "pod/paths.h"

/* In the child: the program keeps only stdio and the descriptors named here. Reports its pid on `report`, then errno if exec fails. */
static _Noreturn void exec_clean(const char *path, char *const *argv, const int *keep, int n_keep, int report)
{
	char search[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", config[4096];
	char *env[] = { search, NULL, NULL };
	const char *named = getenv("HULL_CONFIG");
	const int pid = getpid();

	if (named && snprintf(config, sizeof(config), "HULL_CONFIG=%s", named) < (int)sizeof(config))
		env[1] = config;
	for (int i = 0; i < n_keep; i++)
		hull_fd_cloexec(keep[i], false);
	hull_signals_reset();
	(void)!write(report, &pid, sizeof(pid));
	execve(path, argv, env);
	int saved = errno;
	(void)!write(report, &saved, sizeof(saved));
	_exit(127);
}

/* Forks and execs; `orphan`: by way of a child that ends at once. Waits until exec happened. */
static int spawn(const char *path, char *const *argv, const int *keep, int n_keep, bool orphan, pid_t *ret_pid,
		 struct hull_error *err)
{
	int report[2], started = 0, failed = 0;
	if (pipe2(report, O_CLOEXEC) < 0)
		return hull_error_errno(err, errno, "make a pipe");

	pid_t pid = fork();
	if (pid == 0) {
		if (orphan) {
			setsid();
			if (fork() != 0)
				_exit(0);
		}
		exec_clean(path, argv, keep, n_keep, report[1]);
	}
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return hull_error_errno(err, errno, "fork");
	}
	if (orphan)
		waitpid(pid, NULL, 0);
	if (read(report[0], &started, sizeof(started)) != sizeof(started))
		failed = EAGAIN;
	else if (read(report[0], &failed, sizeof(failed)) != sizeof(failed))
		failed = 0;
	close(report[0]);
	if (failed) {
		if (!orphan)
			waitpid(pid, NULL, 0);
		return hull_error_errno(err, failed, "run %s", path);
	}
	*ret_pid = started;
	return 0;
}

static int open_pod_dir(const struct hull_cli *cli, const char *pod_id, struct hull_error *err)
{
	_cleanup_free_ char *dir = hull_path_pod(cli->root, pod_id);
	/* Whoever has the container's name has the pod's: what lies there was left by somebody who had it before. */
	int r = hull_rmtree(AT_FDCWD, dir);
	if (r < 0)
		return hull_error_errno(err, r, "remove what was left in %s", dir);
	if (mkdir(dir, 0700) < 0)
		return hull_error_errno(err, errno, "make %s", dir);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? hull_error_errno(err, errno, "open %s", dir) : fd;
}

int hull_launch_supervisor(const struct hull_cli *cli, const char *pod_id, pid_t *ret_pid, int *ret_fd,
			   struct hull_error *err)
{
	_cleanup_close_ int dirfd = open_pod_dir(cli, pod_id, err);
	if (dirfd < 0)
		return dirfd;
	_cleanup_close_ int listener = hull_socket_listen(dirfd, "pod.sock", err);
	if (listener < 0)
		return listener;
	_cleanup_close_ int connection = hull_socket_connect(dirfd, "pod.sock", err);
	if (connection < 0)
		return connection;

	_cleanup_free_ char *path = hull_path_libexec("hull-pod");
	struct hull_strv argv = { 0 };
	hull_strv_add(&argv, path);
	hull_strv_add(&argv, "--root");
	hull_strv_add(&argv, cli->root);
	hull_strv_add(&argv, "--pod");
	hull_strv_add(&argv, pod_id);
	hull_strv_add(&argv, "--listen");
	hull_strv_addf(&argv, "%d", listener);
	if (cli->debug)
		hull_strv_add(&argv, "--debug");
	int r = spawn(path, argv.v, &listener, 1, true, ret_pid, err);
	hull_strv_clear(&argv);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(connection);
	return 0;
}

/* ---- stand-ins */

static void to_null(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
}

/* Orders to the process that becomes the stand-in. Each is answered with a struct hull_error; the last one's answer is the end of the pipe. */
enum { ORDER_FILL = 'f', ORDER_INSIDE = 'i', ORDER_RELEASE = 'r' };

struct newborn {
	int program;                   /* opened before the root changes; its directory is not reachable afterwards */
	char *const *argv;
	const int *keep;
	int n_keep;
	const struct hull_mirror *mirror;
	const struct hull_launch_inside *inside;
};

static int obey(const struct newborn *n, char order, struct hull_error *err)
{
	int r = 0;
	if (order == ORDER_FILL)
		r = n->mirror ? hull_mirror_fill(n->mirror) : 0;
	else if (order == ORDER_INSIDE)
		return n->inside ? n->inside->fn(n->inside->data, err) : 0;
	else if (n->mirror)
		r = hull_mirror_close(n->mirror);
	return r < 0 ? hull_error_errno(err, r, "start the container's stand-in") : 0;
}

static void exec_standin(const struct newborn *n, struct hull_error *err)
{
	char *no_env[] = { NULL };
	for (int i = 0; i < n->n_keep; i++)
		hull_fd_cloexec(n->keep[i], false);
	hull_signals_reset();
	execveat(n->program, "", n->argv, no_env, AT_EMPTY_PATH);
	hull_error_errno(err, errno, "run %s", n->argv[0]);
}

/* In the child. Ends when `orders` does. */
static _Noreturn void become_standin(const struct newborn *n, int orders, int report)
{
	struct hull_error early = HULL_ERROR_INIT;
	int entered = n->inside && n->inside->join ? n->inside->join(n->inside->data, &early) : 0;
	char order;

	if (entered == 0 && n->mirror) {
		entered = hull_mirror_enter(n->mirror);
		if (entered < 0)
			hull_error_errno(&early, entered, "enter the container's namespaces");
	}
	to_null();
	while (read(orders, &order, 1) == 1) {
		struct hull_error err = early;
		int r = entered < 0 ? entered : obey(n, order, &err);
		if (r == 0 && order == ORDER_RELEASE)
			exec_standin(n, &err);
		(void)!write(report, &err, sizeof(err));
	}
	_exit(1);
}

int hull_launch_standin(int socket_fd, int terminal_fd, const char *title, const struct hull_mirror *mirror,
			const struct hull_launch_inside *inside, struct hull_standin *ret, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_path_libexec("hull-standin");
	_cleanup_free_ char *socket_text = hull_asprintf("%d", socket_fd);
	_cleanup_free_ char *terminal_text = hull_asprintf("%d", terminal_fd);
	char *argv[] = { path, socket_text, terminal_text, (char *)(uintptr_t)title, NULL };
	int keep[] = { socket_fd, terminal_fd }, go[2], report[2];
	_cleanup_close_ int program = open(path, O_PATH | O_CLOEXEC);
	const struct newborn newborn = { program, argv, keep, terminal_fd >= 0 ? 2 : 1, mirror, inside };

	if (program < 0)
		return hull_error_errno(err, errno, "run %s", path);
	if (pipe2(go, O_CLOEXEC) < 0)
		return hull_error_errno(err, errno, "make a pipe");
	if (pipe2(report, O_CLOEXEC) < 0) {
		int saved = errno;
		close(go[0]);
		close(go[1]);
		return hull_error_errno(err, saved, "make a pipe");
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		become_standin(&newborn, go[0], report[1]);
	}
	int saved = errno;
	close(go[0]);
	close(report[1]);
	*ret = (struct hull_standin){ .pid = pid, .go_fd = go[1], .report_fd = report[0] };
	if (pid < 0) {
		hull_closep(&ret->go_fd);
		hull_closep(&ret->report_fd);
		return hull_error_errno(err, saved, "fork");
	}
	return 0;
}

/* The answer's deadline is that of what was ordered. */
static int order(struct hull_standin *s, char what, struct hull_error *err)
{
	struct hull_error answer = HULL_ERROR_INIT;
	/* One that has not heard waits for its order, and is waited for here. */
	if (write(s->go_fd, &what, 1) != 1)
		return hull_error_errno(err, errno, "start the container's stand-in");
	ssize_t n = read(s->report_fd, &answer, sizeof(answer));
	bool gone = n != sizeof(answer);
	if (gone && what == ORDER_RELEASE && n == 0)
		return 0;
	if (gone)
		return hull_error_set(err, EIO, "start the container's stand-in: it ended");
	answer.message[sizeof(answer.message) - 1] = '\0';
	return answer.code ? hull_error_set(err, answer.code, "%s", answer.message) : 0;
}

int hull_launch_fill(struct hull_standin *s, struct hull_error *err)
{
	return order(s, ORDER_FILL, err);
}

int hull_launch_run_inside(struct hull_standin *s, struct hull_error *err)
{
	return order(s, ORDER_INSIDE, err);
}

int hull_launch_release(struct hull_standin *s, struct hull_error *err)
{
	int r = order(s, ORDER_RELEASE, err);
	if (r < 0)
		return r;
	hull_closep(&s->go_fd);
	hull_closep(&s->report_fd);
	return 0;
}

void hull_launch_abandon(struct hull_standin *s)
{
	if (s->go_fd < 0)
		return;
	hull_closep(&s->go_fd);
	hull_closep(&s->report_fd);
	waitpid(s->pid, NULL, 0);
}

int hull_launch_write_pid(const char *path, pid_t pid, struct hull_error *err)
{
	char text[16];
	if (!path)
		return 0;
	snprintf(text, sizeof(text), "%d", (int)pid);
	int r = hull_file_replace(AT_FDCWD, path, text, strlen(text), 0644);
	return r < 0 ? hull_error_errno(err, r, "--pid-file: write %s", path) : 0;
}
