/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hull try: one container without any engine.
 *
 * Two processes: the inner one unpacks, runs and waits; the outer one only waits for it and removes the working
 * directory afterwards, however the inner one ended. Files: try_bundle.c makes the bundle.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "base/units.h"
#include "cli/run.h"
#include "cli/try_bundle.h"

#define WORK_PREFIX "hull-try-"
#define ID_PREFIX "try-"

static const char *work_parent(void)
{
	const char *dir = getenv("TMPDIR");
	return dir && dir[0] == '/' ? dir : "/var/tmp";
}

static void delete_container(const struct hull_cli *cli, pid_t outer)
{
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_free_ char *id = hull_asprintf(ID_PREFIX "%d", (int)outer);
	if (hull_delete(cli, id, true, &err) < 0)
		hull_log_warning("try: delete %s: %s", id, err.message);
}

/* Removes what a `hull try` left whose outer process was killed. The directory's name tells which one it was. */
static void sweep(const struct hull_cli *cli, const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct hull_procref owner = { 0 };
		struct stat st;
		unsigned long long ticks;
		int pid;
		if (sscanf(entry->d_name, WORK_PREFIX "%d-%llu", &pid, &ticks) != 2)
			continue;
		/* Anybody can make a directory with such a name in /var/tmp, and so have the container of a `hull try` that runs deleted. */
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
			continue;
		owner.pid = pid;
		owner.start_ticks = ticks;
		if (hull_procref_alive(&owner))
			continue;
		delete_container(cli, pid);
		hull_rmtree(dirfd(dir), entry->d_name);
	}
	closedir(dir);
}

static char *make_work_dir(struct hull_error *err)
{
	struct hull_procref self = { 0 };
	hull_procref_get(getpid(), &self);
	char *path = hull_asprintf("%s/" WORK_PREFIX "%d-%llu", work_parent(), (int)self.pid, (unsigned long long)self.start_ticks);
	if (mkdir(path, 0700) == 0)
		return path;
	hull_error_errno(err, errno, "try: make %s", path);
	free(path);
	return NULL;
}

static int run_inside(const struct hull_cli *cli, const struct hull_try_options *o, const char *work, char **args,
		      struct hull_error *err)
{
	struct hull_create_options create = { .bundle = work, .foreground = true };
	_cleanup_free_ char *id = hull_asprintf(ID_PREFIX "%d", (int)getppid());
	if (hull_try_bundle(o, work, args, err) < 0)
		return HULL_EXIT_FAILURE;
	return hull_run(cli, id, &create, false, err);
}

/*
 * Passes on signals that were meant for this process; those of a terminal reach both anyway. A program that is PID 1 may ignore the
 * first SIGINT or SIGTERM, as it may under any runtime; the second ends it.
 */
static int wait_for(pid_t inner, int signal_fd)
{
	struct signalfd_siginfo info;
	int status, asked = 0;
	for (;;) {
		if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD) {
			if ((info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM) && ++asked > 1)
				kill(inner, SIGKILL);
			else if (info.ssi_code <= 0)
				kill(inner, (int)info.ssi_signo);
			continue;
		}
		if (waitpid(inner, &status, WNOHANG) == inner)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static int try_in(struct hull_cli *cli, const struct hull_try_options *o, char **args, struct hull_error *err)
{
	sigset_t watched, old;
	pid_t outer = getpid();
	_cleanup_free_ char *work = make_work_dir(err);
	if (!work)
		return HULL_EXIT_FAILURE;

	sigfillset(&watched);
	sigprocmask(SIG_BLOCK, &watched, &old);
	_cleanup_close_ int signal_fd = signalfd(-1, &watched, SFD_CLOEXEC);
	pid_t inner = signal_fd < 0 ? -1 : fork();
	if (inner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != outer)
			_exit(HULL_EXIT_FAILURE);
		sigprocmask(SIG_SETMASK, &old, NULL);
		int code = run_inside(cli, o, work, args, err);
		if (err->code)
			hull_cli_report(cli, err->message);
		_exit(code);
	}
	int code = HULL_EXIT_FAILURE;
	if (inner < 0)
		hull_error_errno(err, errno, "try: start");
	else
		code = wait_for(inner, signal_fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	delete_container(cli, outer);
	int r = hull_rmtree(AT_FDCWD, work);
	if (r < 0)
		hull_log_warning("try: remove %s: %s", work, strerror(-r));
	return code;
}

int hull_cmd_try(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct hull_try_options o = { 0 };
	const struct hull_option options[] = {
		{ "interactive", 'i', HULL_OPTION_FLAG, &o.interactive, NULL, "connect stdin (without: empty)" },
		{ "tty", 't', HULL_OPTION_FLAG, &o.tty, NULL, "give the command a terminal" },
		{ "env", 'e', HULL_OPTION_LIST, &o.env, "NAME=VALUE", "set an environment variable (repeatable)" },
		{ "user", 'u', HULL_OPTION_STRING, &o.user, "USER[:GROUP]", "run as this user (a name of the image, or numbers)" },
		{ "workdir", 'w', HULL_OPTION_STRING, &o.cwd, "DIR", "working directory in the container" },
		{ "ref", 0, HULL_OPTION_STRING, &o.reference, "NAME", "which image of an archive that holds several" },
		{ "memory", 'm', HULL_OPTION_STRING, &o.memory, "SIZE", "memory limit of the container, such as 256M" },
		{ "quiet", 'q', HULL_OPTION_FLAG, &o.quiet, NULL, "no progress lines while unpacking" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = {
		"try", "[ROOTFS | OCI-LAYOUT | ARCHIVE] [-- COMMAND [ARG…]]",
		"Runs a command in a container of its own VM, without any engine. Without an image: a small one with busybox.\n"
		"A ROOTFS directory is used as it is, and what the command writes stays in it; archives are unpacked for the run.", 0, -1
	};
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	/* getopt has taken a "--" in front of the command; one behind the image is still there. */
	bool command_only = first > 1 && strcmp(argv[first - 1], "--") == 0;
	if (!command_only && first < argc) {
		o.image = argv[first++];
		if (first < argc && strcmp(argv[first], "--") == 0)
			first++;
	}
	sweep(cli, work_parent());
	int code = try_in(cli, &o, argv + first, err);
	hull_strv_clear(&o.env);
	return code;
}
