/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/console.h"
#include "cli/launch.h"
#include "cli/lend.h"
#include "cli/session.h"
#include "oci/spec.h"
#include "pod/group.h"
#include "pod/state.h"

#define EXEC_TIMEOUT_MS 60000

struct exec_options {
	const char *console_socket, *cwd, *user, *process, *pid_file;
	struct hull_strv env, caps, additional_gids;
	bool tty, detach, no_new_privs, ignore_paused;
	int64_t preserve_fds;
};

/* What one exec holds until it is done. */
struct exec {
	const struct hull_cli *cli;
	const char *id;
	const struct exec_options *o;
	struct hull_state *state;
	struct hull_client *client;
	char *process_json;
	struct hull_oci_process *process;
	int sockets[2];
	int terminal;
	struct hull_lend_preserved preserved;
};

static void exec_clear(struct exec *x)
{
	hull_state_free(x->state);
	hull_client_free(x->client);
	hull_oci_process_free(x->process);
	free(x->process_json);
	hull_closep(&x->sockets[0]);
	hull_closep(&x->sockets[1]);
	hull_closep(&x->terminal);
}

/* ---- what to run */

static int parse_gids(const struct hull_strv *texts, uint32_t **ret, struct hull_error *err)
{
	*ret = hull_new(uint32_t, texts->n);
	for (size_t i = 0; i < texts->n; i++) {
		int64_t gid;
		if (hull_parse_i64(texts->v[i], 0, UINT32_MAX, &gid) < 0)
			return hull_error_set(err, EINVAL, "exec: --additional-gids: expected a number, found \"%.32s\"", texts->v[i]);
		(*ret)[i] = (uint32_t)gid;
	}
	return 0;
}

static int process_from_arguments(struct exec *x, int dirfd, char **args, struct hull_error *err)
{
	_cleanup_free_ char *config = NULL;
	_cleanup_free_ uint32_t *gids = NULL;
	struct hull_strv words = { 0 };
	size_t len;

	int r = hull_file_read(dirfd, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &config, &len);
	if (r < 0)
		return hull_error_errno(err, r, "read the container's config.json");
	r = parse_gids(&x->o->additional_gids, &gids, err);
	if (r < 0)
		return r;
	for (; *args; args++)
		hull_strv_add(&words, *args);
	struct hull_oci_exec_overrides overrides = {
		.args = &words,
		.env = &x->o->env,
		.caps = &x->o->caps,
		.cwd = x->o->cwd,
		.user = x->o->user,
		.additional_gids = gids,
		.n_additional_gids = x->o->additional_gids.n,
		.terminal = x->o->tty,
		.no_new_privileges = x->o->no_new_privs,
	};
	r = hull_oci_exec_process(config, len, &overrides, &x->process_json, err);
	hull_strv_clear(&words);
	return r;
}

static int find_process(struct exec *x, int dirfd, char **args, struct hull_error *err)
{
	int r;
	if (x->o->process) {
		r = hull_file_read(AT_FDCWD, x->o->process, HULL_OCI_CONFIG_MAX_BYTES, &x->process_json, NULL);
		if (r < 0)
			return hull_error_errno(err, r, "exec: --process: read %s", x->o->process);
	} else {
		r = process_from_arguments(x, dirfd, args, err);
		if (r < 0)
			return r;
	}
	r = hull_oci_process_parse(x->process_json, strlen(x->process_json), &x->process, err);
	return r < 0 ? hull_error_wrap(err, "exec") : 0;
}

static int check_options(struct exec *x, struct hull_error *err)
{
	if (x->o->ignore_paused)
		return hull_error_set(err, EOPNOTSUPP, "exec: --ignore-paused: the guest freezes the whole container, a new process too");
	if (x->process->terminal && x->o->detach && !x->o->console_socket)
		return hull_error_set(err, EINVAL, "cannot allocate tty if hull will detach without setting console socket");
	if (x->o->console_socket && (!x->process->terminal || !x->o->detach))
		return hull_error_set(err, EINVAL, "cannot use console socket if hull will not detach or allocate tty");
	return hull_lend_preserved(x->cli, x->o->preserve_fds, &x->preserved, err);
}

/* ---- how */

static int prepare_stdio(struct exec *x, Hull__Pod__V1__Stdio *stdio, int *fds, size_t *ret_n, struct hull_error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, x->sockets) < 0)
		return hull_error_errno(err, errno, "make a socket pair");
	int r = hull_lend_stdio(x->process, x->o->console_socket, stdio, fds, ret_n, &x->terminal, err);
	if (r < 0)
		return r;
	fds[(*ret_n)++] = x->sockets[0];
	hull_lend_add_preserved(&x->preserved, stdio, fds, ret_n);
	return 0;
}

static int request_exec(struct exec *x, Hull__Pod__V1__Stdio *stdio, const int *fds, size_t n, struct hull_error *err)
{
	Hull__Pod__V1__ExecRequest m = HULL__POD__V1__EXEC_REQUEST__INIT;
	uint64_t random = 0;
	(void)!getrandom(&random, sizeof(random), 0);
	_cleanup_free_ char *exec_id = hull_asprintf("%d-%016llx", (int)getpid(), (unsigned long long)random);
	m.container_id = (char *)(uintptr_t)x->id;
	m.exec_id = exec_id;
	m.process_json = (ProtobufCBinaryData){ .len = strlen(x->process_json), .data = (uint8_t *)x->process_json };
	m.stdio = stdio;
	int r = hull_client_call(x->client, "Exec", &m.base, &hull__pod__v1__exec_response__descriptor, EXEC_TIMEOUT_MS, fds, n, NULL,
				 err);
	/* runc puts these words in front of what went wrong while starting. */
	if (r < 0 && strstr(err->message, "unable to start container process"))
		hull_error_wrap(err, "exec failed");
	return r;
}

static int start_detached(struct exec *x, struct hull_error *err)
{
	struct hull_standin standin = HULL_STANDIN_INIT;
	_cleanup_free_ char *title = hull_asprintf("%s exec %s", x->id, x->process->args.v[0]);
	int r = hull_launch_standin(x->sockets[1], x->terminal, title, NULL, NULL, &standin, err);
	if (r == 0)
		r = hull_group_add(x->state, standin.pid, err);
	if (r == 0)
		r = hull_launch_release(&standin, err);
	if (r < 0) {
		hull_launch_abandon(&standin);
		return r;
	}
	r = hull_launch_write_pid(x->o->pid_file, standin.pid, err);
	if (r < 0) {
		/* The process ends with it. */
		kill(standin.pid, SIGKILL);
		waitpid(standin.pid, NULL, 0);
	}
	return r;
}

static int attend_exec(struct exec *x, Hull__Pod__V1__Stdio *stdio, const int *fds, size_t n, struct hull_session *session,
		       struct hull_error *err)
{
	if (request_exec(x, stdio, fds, n, err) < 0)
		return hull_cli_exit_code(err);
	hull_closep(&x->sockets[0]);
	if (hull_launch_write_pid(x->o->pid_file, getpid(), err) < 0)
		return HULL_EXIT_FAILURE;
	return hull_session_run(session, err);
}

/* Runs the exec to its end in the foreground, or leaves a stand-in behind. Returns an exit code. */
static int run_exec(struct exec *x, struct hull_error *err)
{
	Hull__Pod__V1__Stdio stdio = HULL__POD__V1__STDIO__INIT;
	struct hull_session session;
	struct termios saved;
	int fds[HULL_LEND_FDS_MAX];
	size_t n = 0;
	bool terminal = x->process->terminal;

	if (prepare_stdio(x, &stdio, fds, &n, err) < 0)
		return HULL_EXIT_FAILURE;
	if (x->o->detach) {
		if (request_exec(x, &stdio, fds, n, err) < 0)
			return hull_cli_exit_code(err);
		return start_detached(x, err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
	}
	if (hull_session_begin(&session, x->sockets[1], terminal ? STDIN_FILENO : -1, err) < 0)
		return HULL_EXIT_FAILURE;
	_cleanup_close_ int signal_fd = session.signal_fd;
	(void)signal_fd;
	/* Before the program runs: its first output is for a raw terminal already. */
	bool raw = terminal && hull_console_raw(STDIN_FILENO, &saved);
	int code = attend_exec(x, &stdio, fds, n, &session, err);
	if (raw)
		hull_console_restore(STDIN_FILENO, &saved);
	return code;
}

static int exec_in(struct hull_cli *cli, const char *id, char **args, const struct exec_options *o, struct hull_error *err)
{
	struct exec x = { .cli = cli, .id = id, .o = o, .sockets = { -1, -1 }, .terminal = -1 };
	_cleanup_close_ int dirfd = -1;

	int r = hull_state_load(cli->root, id, &dirfd, &x.state, err);
	if (r == 0 && hull_state_effective(x.state) == HULL_STATUS_STOPPED)
		r = hull_error_set(err, ESRCH, "cannot exec in a stopped container");
	if (r == 0)
		r = find_process(&x, dirfd, args, err);
	if (r == 0)
		r = check_options(&x, err);
	if (r == 0)
		r = hull_client_connect(cli->root, x.state->pod_id, &x.client, err);
	int code = r < 0 ? HULL_EXIT_FAILURE : run_exec(&x, err);
	exec_clear(&x);
	return code;
}

int hull_cmd_exec(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct exec_options o = { 0 };
	const struct hull_option options[] = {
		{ "console-socket", 0, HULL_OPTION_STRING, &o.console_socket, "SOCKET", "send the terminal's master to SOCKET" },
		{ "cwd", 0, HULL_OPTION_STRING, &o.cwd, "DIR", "working directory in the container" },
		{ "env", 'e', HULL_OPTION_LIST, &o.env, "NAME=VALUE", "set an environment variable (repeatable)" },
		{ "tty", 't', HULL_OPTION_FLAG, &o.tty, NULL, "give the process a terminal" },
		{ "user", 'u', HULL_OPTION_STRING, &o.user, "UID[:GID]", "run as this user" },
		{ "additional-gids", 'g', HULL_OPTION_LIST, &o.additional_gids, "GID", "supplementary group (repeatable)" },
		{ "process", 'p', HULL_OPTION_STRING, &o.process, "FILE", "the process as JSON instead of arguments" },
		{ "detach", 'd', HULL_OPTION_FLAG, &o.detach, NULL, "leave the process in the background" },
		{ "pid-file", 0, HULL_OPTION_STRING, &o.pid_file, "FILE", "write the process' host pid to FILE" },
		{ "no-new-privs", 0, HULL_OPTION_FLAG, &o.no_new_privs, NULL, "forbid the process to gain privileges" },
		{ "cap", 'c', HULL_OPTION_LIST, &o.caps, "CAP", "add a capability (repeatable)" },
		{ "preserve-fds", 0, HULL_OPTION_NUMBER, &o.preserve_fds, "N", "pass N descriptors from 3 on to the process, as streams" },
		{ "ignore-paused", 0, HULL_OPTION_FLAG, &o.ignore_paused, NULL, "refused: a paused guest container runs nothing" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "exec", "CONTAINER [COMMAND [ARG…]]", "Runs another program in a running container.", 1, -1 };
	int first, code = HULL_EXIT_USAGE;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r == 1)
		code = HULL_EXIT_OK;
	else if (r == 0 && !o.process && first + 1 >= argc)
		hull_error_set(err, EINVAL, "exec: nothing to run: give a command or --process FILE");
	else if (r == 0)
		code = exec_in(cli, argv[first], argv + first + 1, &o, err);
	hull_strv_clear(&o.env);
	hull_strv_clear(&o.caps);
	hull_strv_clear(&o.additional_gids);
	return code;
}
