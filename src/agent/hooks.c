/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hooks.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

/* A hook without a timeout still may not hold a container for ever. */
#define TIMEOUT_DEFAULT_S 60

/* Source: runtime-spec runtime.md, "State". The bundle is where the rootfs is; no path of the host means anything here. */
static char *state_json(const struct hull_oci_spec *spec, const char *id, const char *status)
{
	struct json_object *state = json_object_new_object(), *annotations = json_object_new_object();
	for (size_t i = 0; i < spec->annotations.n; i++)
		json_object_object_add(annotations, spec->annotations.v[i].key,
				       json_object_new_string(spec->annotations.v[i].value));
	json_object_object_add(state, "ociVersion", json_object_new_string(spec->oci_version));
	json_object_object_add(state, "id", json_object_new_string(id));
	json_object_object_add(state, "status", json_object_new_string(status));
	json_object_object_add(state, "pid", json_object_new_int(getpid()));
	json_object_object_add(state, "bundle", json_object_new_string("/"));
	json_object_object_add(state, "annotations", annotations);
	char *text = hull_strdup(json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN));
	json_object_put(state);
	return text;
}

static void execute(const struct hull_oci_hook *hook, int input) __attribute__((noreturn));

static void execute(const struct hull_oci_hook *hook, int input)
{
	char *no_env[] = { NULL }, *no_args[] = { hook->path, NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	hull_signals_reset();
	dup2(input, 0);
	if (null >= 0) {
		dup2(null, 1);
		dup2(null, 2);
	}
	execve(hook->path, hook->args.n ? hook->args.v : no_args, hook->env.n ? hook->env.v : no_env);
	_exit(127);
}

/* The state in a memory file, read from its beginning: no writer has to feed a pipe. */
static int open_state(const char *text)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = hull_fd_write_all(fd, text, strlen(text));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int run_one(const struct hull_oci_hook *hook, const char *state, struct hull_error *err)
{
	_cleanup_close_ int input = open_state(state);
	if (input < 0)
		return hull_error_errno(err, input, "state");
	pid_t pid = fork();
	if (pid == 0)
		execute(hook, input);
	_cleanup_close_ int pidfd = pid < 0 ? -errno : hull_pidfd_open(pid);
	if (pidfd < 0)
		return hull_error_errno(err, pidfd, "start");

	int timeout_s = hook->timeout_s > 0 ? hook->timeout_s : TIMEOUT_DEFAULT_S, status = 0;
	int r = hull_pidfd_wait(pidfd, timeout_s * 1000);
	if (r < 0)
		hull_pidfd_kill(pidfd, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return hull_error_errno(err, r, "after %d s", timeout_s);
	if (WIFSIGNALED(status))
		return hull_error_set(err, EIO, "signal: %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return hull_error_set(err, EIO, "exit status %d", WEXITSTATUS(status));
	return 0;
}

int hull_hooks_run(const struct hull_oci_spec *spec, const char *container_id, struct hull_error *err)
{
	const struct hull_oci_hooks *hooks = &spec->start_container;
	if (hooks->n == 0)
		return 0;
	_cleanup_free_ char *state = state_json(spec, container_id, "created");
	for (size_t i = 0; i < hooks->n; i++) {
		if (run_one(&hooks->v[i], state, err) < 0)
			return hull_error_wrap(err, "error running hook #%zu (%s)", i, hooks->v[i].path);
	}
	return 0;
}
