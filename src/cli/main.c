/* SPDX-License-Identifier: Apache-2.0 */
/* hull: the command line. Global options, then a verb of the table below. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/cli.h"
#include "pod/paths.h"

struct verb {
	const char *name;
	hull_verb_fn fn;
	const char *about;
};

/* Groups are parted by an entry without a function. */
static const struct verb verbs[] = {
	{ "Try it:", NULL, NULL },
	{ "try", hull_cmd_try, "run a command in a container of its own VM, without any engine" },
	{ "check", hull_cmd_check, "tell whether this host can run Hull, and how well" },
	{ "env", hull_cmd_env, "show versions, paths, guest and accelerator" },
	{ "What engines call (as runc's):", NULL, NULL },
	{ "create", hull_cmd_create, "create a container from a bundle" },
	{ "start", hull_cmd_start, "start the program of a created container" },
	{ "run", hull_cmd_run, "create and start a container" },
	{ "exec", hull_cmd_exec, "run another program in a running container" },
	{ "kill", hull_cmd_kill, "send a signal to a container" },
	{ "delete", hull_cmd_delete, "delete a stopped container" },
	{ "state", hull_cmd_state, "print the state of a container as JSON" },
	{ "list", hull_cmd_list, "list containers" },
	{ "ps", hull_cmd_ps, "list the processes of a container" },
	{ "pause", hull_cmd_pause, "freeze the processes of a container" },
	{ "resume", hull_cmd_resume, "thaw the processes of a container" },
	{ "update", hull_cmd_update, "change limits of a running container" },
	{ "events", hull_cmd_events, "print statistics and OOM events as JSON" },
	{ "spec", hull_cmd_spec, "write a config.json to start from" },
	{ "features", hull_cmd_features, "print what the runtime supports as JSON" },
	{ "checkpoint", hull_cmd_checkpoint, "refused: a VM cannot be saved yet" },
	{ "restore", hull_cmd_restore, "refused: a VM cannot be saved yet" },
	{ "Pods:", NULL, NULL },
	{ "pod", hull_cmd_pod, "list, inspect and clean up pods: ls, ps, stats, inspect, rm" },
	{ "network", hull_cmd_network, "interfaces and routes of a running pod: add-iface, list-routes, …" },
	{ "version", hull_cmd_version, "print versions" },
};

struct globals {
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless;
	bool debug, systemd_cgroup, version;
};

static void print_help(const struct hull_option *options)
{
	printf("hull runs OCI containers, each pod in a lightweight VM with its own kernel.\n\n"
	       "Usage: hull [GLOBAL OPTIONS] VERB [OPTIONS] [ARGUMENTS]\n");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(verbs); i++) {
		if (!verbs[i].fn)
			printf("\n%s\n", verbs[i].name);
		else
			printf("  %-10s %s\n", verbs[i].name, verbs[i].about);
	}
	printf("\nGlobal options:\n");
	hull_options_print(options);
	printf("\n`hull VERB --help` tells more, and so does hull(8).\n");
}

static hull_verb_fn find_verb(const char *name)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(verbs); i++)
		if (verbs[i].fn && strcmp(verbs[i].name, name) == 0)
			return verbs[i].fn;
	return NULL;
}

/* --log: JSON or text lines that engines read back. Opened before anything else can fail. */
static int open_log(struct hull_cli *cli, const struct globals *g, struct hull_error *err)
{
	cli->log_fd = -1;
	if (strcmp(g->log_format, "json") == 0)
		cli->log_format = HULL_LOG_JSON;
	else if (strcmp(g->log_format, "text") != 0)
		return hull_error_set(err, EINVAL, "--log-format: expected text or json, found \"%s\"", g->log_format);
	if (hull_log_level_parse(g->log_level, &cli->log_level) < 0)
		return hull_error_set(err, EINVAL, "--log-level: expected debug, info, warning or error, found \"%s\"", g->log_level);
	if (g->debug)
		cli->log_level = HULL_LOG_DEBUG;
	cli->debug = cli->log_level == HULL_LOG_DEBUG;
	if (g->log && *g->log) {
		cli->log_fd = open(g->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
		if (cli->log_fd < 0)
			return hull_error_errno(err, errno, "--log: open %s", g->log);
		int fd = fcntl(cli->log_fd, F_DUPFD_CLOEXEC, 3);
		hull_log_setup(fd, cli->log_format, cli->log_level, 0);
	} else {
		hull_log_setup(STDERR_FILENO, cli->log_format, cli->log_level, 0);
	}
	return 0;
}

static int check_globals(const struct globals *g, struct hull_error *err)
{
	if (g->root[0] != '/')
		return hull_error_set(err, EINVAL, "--root: expected an absolute path, found \"%s\"", g->root);
	if (strcmp(g->cgroup_manager, "cgroupfs") != 0 && strcmp(g->cgroup_manager, "systemd") != 0)
		return hull_error_set(err, EINVAL, "--cgroup-manager: expected cgroupfs or systemd, found \"%s\"", g->cgroup_manager);
	if (strcmp(g->rootless, "true") == 0)
		return hull_error_set(err, EINVAL, "--rootless: Hull has to run as root: it makes mount namespaces and jails for the VMs");
	return 0;
}

/*
 * What this process opens must not become the container's stdio because the caller had closed 0, 1 or 2. An O_PATH descriptor
 * in its place can be neither read nor written, just as none at all.
 */
static void occupy_stdio(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/", O_PATH | O_CLOEXEC);
}

/* The descriptors that the caller left open beside stdio, without a gap: for --preserve-fds. Returns the first other one. */
static int count_inherited(void)
{
	int fd = STDERR_FILENO + 1;
	while (fcntl(fd, F_GETFD) >= 0)
		fd++;
	return fd;
}

/* Whoever read standard output has read as much as it wanted. Source: poll(2), POLLERR of a pipe's write end. */
static bool reader_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

/* A full disk is no success. The stream keeps no reason for a write that failed earlier. */
static int finish_output(const struct hull_cli *cli, int status)
{
	bool failed = ferror(stdout);
	int code = fflush(stdout) < 0 ? errno : failed ? EIO : 0;
	if (code == 0)
		return status;
	if (!reader_gone()) {
		struct hull_error err = HULL_ERROR_INIT;
		hull_error_errno(&err, code, "write standard output");
		hull_cli_report(cli, err.message);
	}
	return status == HULL_EXIT_OK ? HULL_EXIT_FAILURE : status;
}

/* Runs the verb that argv starts with. */
static int run_verb(struct hull_cli *cli, const struct globals *g, int argc, char **argv)
{
	struct hull_error err = HULL_ERROR_INIT;
	hull_verb_fn verb = argc > 0 ? find_verb(argv[0]) : NULL;
	int status = HULL_EXIT_USAGE;

	if (hull_paths_check(g->root, &err) < 0)
		status = HULL_EXIT_FAILURE;
	else if (g->version)
		status = hull_cmd_version(cli, 1, (char *[]){ (char *)(uintptr_t)"version", NULL }, &err);
	else if (argc == 0)
		hull_error_set(&err, EINVAL, "no verb given; `hull --help` lists them");
	else if (!verb)
		hull_error_set(&err, EINVAL, "unknown verb \"%s\"; `hull --help` lists them", argv[0]);
	else
		status = verb(cli, argc, argv, &err);
	if (err.code)
		hull_cli_report(cli, err.message);
	return finish_output(cli, status);
}

int main(int argc, char **argv)
{
	struct globals g = { .root = hull_default_root(), .log_format = "text", .log_level = "warning",
			     .cgroup_manager = "cgroupfs", .rootless = "auto" };
	const struct hull_option options[] = {
		{ "root", 0, HULL_OPTION_STRING, &g.root, "DIR", "state directory (default: $HULL_ROOT or " HULL_DEFAULT_ROOT ")" },
		{ "log", 0, HULL_OPTION_STRING, &g.log, "FILE", "append log lines to FILE as well" },
		{ "log-format", 0, HULL_OPTION_STRING, &g.log_format, "FORMAT", "text (default) or json" },
		{ "log-level", 0, HULL_OPTION_STRING, &g.log_level, "LEVEL", "error, warning (default), info or debug" },
		{ "debug", 0, HULL_OPTION_FLAG, &g.debug, NULL, "same as --log-level debug; also logs the guest's console" },
		{ "cgroup-manager", 0, HULL_OPTION_STRING, &g.cgroup_manager, "NAME", "cgroupfs (default) or systemd: how cgroupsPath is written" },
		{ "systemd-cgroup", 0, HULL_OPTION_FLAG, &g.systemd_cgroup, NULL, "same as --cgroup-manager systemd" },
		{ "rootless", 0, HULL_OPTION_STRING, &g.rootless, "BOOL", "false or auto; Hull needs root" },
		{ "version", 'v', HULL_OPTION_FLAG, &g.version, NULL, "print versions" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "", "VERB …", "", 0, -1 };
	struct hull_cli cli = { .log_fd = -1, .first_own_fd = count_inherited() };
	struct hull_error err = HULL_ERROR_INIT;
	int first = 1;

	occupy_stdio();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(options);
		return finish_output(&cli, argc < 2 ? HULL_EXIT_USAGE : HULL_EXIT_OK);
	}
	int r = hull_options_parse(&usage, options, argc, argv, &first, &err);
	if (r == 1)
		return finish_output(&cli, HULL_EXIT_OK);
	if (r == 0)
		r = open_log(&cli, &g, &err);
	if (r == 0)
		r = check_globals(&g, &err);
	if (r < 0) {
		hull_cli_report(&cli, err.message);
		return HULL_EXIT_USAGE;
	}
	cli.root = g.root;
	cli.systemd_cgroup = g.systemd_cgroup || strcmp(g.cgroup_manager, "systemd") == 0;
	return run_verb(&cli, &g, argc - first, argv + first);
}
