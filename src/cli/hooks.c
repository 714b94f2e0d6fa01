/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hooks.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "cli/statejson.h"

/* A hook without a timeout of its own may not hang an engine for ever. */
#define DEFAULT_TIMEOUT_MS (120 * 1000)

/* A memory file with the state: it cannot block, whether the hook reads it or not. */
static int state_file(const struct hull_state *state, enum hull_status status)
{
	json_object *obj = hull_state_json(state, status);
	json_object_object_add(obj, "id", json_object_new_string(hull_state_engine_id(state)));
	_cleanup_free_ char *text = hull_json_text(obj);
	json_object_put(obj);
	_cleanup_close_ int fd = memfd_create("hull-state", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = hull_fd_write_all(fd, text, strlen(text));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

static _Noreturn void exec_hook(const struct hull_oci_hook *hook, const char *cwd, int in, int out)
{
	char *fallback[] = { hook->path, NULL }, *no_env[] = { NULL };
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	hull_close_fds_except(3, NULL, 0);
	hull_signals_reset();
	setpgid(0, 0);
	if (chdir(cwd) == 0)
		execve(hook->path, hook->args.n ? hook->args.v : fallback, hook->env.n ? hook->env.v : no_env);
	dprintf(STDERR_FILENO, "%s", strerror(errno));
	_exit(127);
}

static void said(int fd, char *buf, size_t room)
{
	ssize_t n = pread(fd, buf, room - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	for (char *p = buf; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
}

static int wait_hook(pid_t pid, const struct hull_oci_hook *hook, int out, struct hull_error *err)
{
	int status = 0, timeout_ms = hook->timeout_s > 0 ? hook->timeout_s * 1000 : DEFAULT_TIMEOUT_MS;
	char words[600];
	_cleanup_close_ int pidfd = hull_pidfd_open(pid);

	int r = pidfd < 0 ? pidfd : hull_pidfd_wait(pidfd, timeout_ms);
	if (r < 0) {
		/* Its group, and itself in case it has not made the group yet. */
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	said(out, words, sizeof(words));
	if (r == -ETIMEDOUT)
		return hull_error_set(err, ETIMEDOUT, "%s: still running after %d s", hook->path, timeout_ms / 1000);
	if (WIFSIGNALED(status))
		return hull_error_set(err, EIO, "%s: killed by signal %d, output: %s", hook->path, WTERMSIG(status), words);
	if (WEXITSTATUS(status) != 0)
		return hull_error_set(err, EIO, "%s: exit status %d, output: %s", hook->path, WEXITSTATUS(status), words);
	return 0;
}

static int run_hook(const struct hull_oci_hook *hook, const struct hull_state *state, enum hull_status status, const char *cwd,
		    struct hull_error *err)
{
	_cleanup_close_ int in = state_file(state, status);
	_cleanup_close_ int out = memfd_create("hull-hook", MFD_CLOEXEC);
	if (in < 0 || out < 0)
		return hull_error_errno(err, in < 0 ? in : errno, "prepare");
	pid_t pid = fork();
	if (pid < 0)
		return hull_error_errno(err, errno, "fork");
	if (pid == 0)
		exec_hook(hook, cwd, in, out);
	return wait_hook(pid, hook, out, err);
}

int hull_hooks_run(const struct hull_oci_hooks *hooks, const char *kind, const struct hull_state *state,
		   enum hull_status status, const char *cwd, struct hull_error *err)
{
	for (size_t i = 0; i < hooks->n; i++) {
		hull_log_debug("running %s hook #%zu %s", kind, i, hooks->v[i].path);
		if (run_hook(&hooks->v[i], state, status, cwd, err) < 0)
			return hull_error_wrap(err, "error running %s hook #%zu", kind, i);
	}
	return 0;
}

void hull_hooks_run_each(const struct hull_oci_hooks *hooks, const char *kind, const struct hull_state *state,
			 enum hull_status status, const char *cwd)
{
	for (size_t i = 0; i < hooks->n; i++) {
		struct hull_error err = HULL_ERROR_INIT;
		if (run_hook(&hooks->v[i], state, status, cwd, &err) < 0)
			hull_log_warning("error running %s hook #%zu: %s", kind, i, err.message);
	}
}
