/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting another program, in stages. Each stage takes something away from the child and says in a comment
 * what; none gives anything back. The child never allocates and never logs: between clone and exec it only
 * makes system calls, and the first that fails is reported through a pipe that exec closes.
 */
#include "jail/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "jail/stage.h"

#define KEEP_FDS_MAX 64
#define SPAWN_TIMEOUT_MS 10000

/* What the child writes when a stage failed. */
struct report {
	int code;                      /* positive errno */
	char what[HULL_STAGE_WHAT_MAX];
};

/* stdio: the caller's terminal and files. Only the three given descriptors stay at 0, 1 and 2. */
static int stage_stdio(const struct hull_spawn *s, struct hull_stage *stage)
{
	const int wanted[3] = { s->stdin_fd, s->stdout_fd, s->stderr_fd };
	int moved[3];

	/* Moved out of the way first: one of them may be the number that another is to get. */
	for (int i = 0; i < 3; i++) {
		if (wanted[i] < 0)
			moved[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		else
			moved[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);
		if (moved[i] >= 0 && moved[i] < 3)
			moved[i] = fcntl(moved[i], F_DUPFD_CLOEXEC, 3);
		if (moved[i] < 0)
			return hull_stage_fail(stage, -errno, "descriptor %d", i);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(moved[i], i) < 0)
			return hull_stage_fail(stage, -errno, "descriptor %d", i);
	return 0;
}

/* fds: every open file, socket and namespace of the caller, but for the ones it names. */
static int stage_fds(const struct hull_spawn *s, int report_fd, struct hull_stage *stage)
{
	int keep[KEEP_FDS_MAX + 1];
	int n = 0;
	bool placed = false;

	for (size_t i = 0; i < s->n_keep_fds; i++) {
		if (!placed && report_fd < s->keep_fds[i]) {
			keep[n++] = report_fd;
			placed = true;
		}
		keep[n++] = s->keep_fds[i];
		int r = hull_fd_cloexec(s->keep_fds[i], false);
		if (r < 0)
			return hull_stage_fail(stage, r, "descriptor %d", s->keep_fds[i]);
	}
	if (!placed)
		keep[n++] = report_fd;
	hull_close_fds_except(3, keep, n);
	return 0;
}

/* session: the controlling terminal and the caller's process group, so that neither's signals arrive. */
static int stage_session(const struct hull_spawn *s, struct hull_stage *stage)
{
	if (s->new_session && setsid() < 0)
		return hull_stage_fail(stage, -errno, "new session");
	return 0;
}

/* namespaces: the host's network, System V IPC and host name. */
static int stage_namespaces(const struct hull_spawn *s, struct hull_stage *stage)
{
	static const struct { int flag; const char *name; } kinds[] = {
		{ CLONE_NEWNET, "network" }, { CLONE_NEWIPC, "IPC" }, { CLONE_NEWUTS, "UTS" },
	};
	const bool wanted[] = { s->new_net, s->new_ipc, s->new_uts };

	for (size_t i = 0; i < HULL_ARRAY_SIZE(kinds); i++)
		if (wanted[i] && unshare(kinds[i].flag) < 0)
			return hull_stage_fail(stage, -errno, "new %s namespace", kinds[i].name);
	return 0;
}

/*
 * oom_score: containerd's service has a score of -999, and what the guest uses is the child's memory. Not with an error: it is about who goes
 * first when the host has no memory left, and nothing of the jail.
 */
static void stage_oom_score(const struct hull_spawn *s)
{
	char sign = '0';
	int fd = s->ordinary_oom_score ? open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	if (read(fd, &sign, 1) == 1 && sign == '-')
		(void)!pwrite(fd, "0", 1, 0);
	close(fd);
}

/* limits: core files, and as much memory, file size, descriptors and threads as the caller says. Never raises a limit. */
static int stage_limits(const struct hull_spawn *s, struct hull_stage *stage)
{
	/*
	 * One byte of core rather than none: a core_pattern that is a pipe ignores a limit of 0 and gets the
	 * memory of the process, while 1 is the value with which the kernel dumps to neither pipe nor file.
	 * Source: Linux fs/coredump.c, do_coredump().
	 */
	const struct { __rlimit_resource_t resource; size_t max; const char *name; } limits[] = {
		{ RLIMIT_CORE, 1, "core size" },
		{ RLIMIT_AS, s->address_space_max, "address space" },
		{ RLIMIT_FSIZE, s->file_size_max, "file size" },
		{ RLIMIT_NOFILE, s->open_files_max, "open files" },
		{ RLIMIT_NPROC, s->threads_max, "threads" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(limits); i++) {
		struct rlimit limit;
		if (limits[i].max == 0)
			continue;
		if (getrlimit(limits[i].resource, &limit) < 0)
			return hull_stage_fail(stage, -errno, "limit %s", limits[i].name);
		if (limit.rlim_max > limits[i].max)
			limit.rlim_max = limits[i].max;
		if (limit.rlim_cur > limit.rlim_max || limits[i].resource == RLIMIT_CORE)
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return hull_stage_fail(stage, -errno, "limit %s", limits[i].name);
	}
	return 0;
}

/* orphan: life without the caller. After the change of user, because that change clears the signal. */
static int stage_orphan(const struct hull_spawn *s, int report_fd, struct hull_stage *stage)
{
	if (!s->die_with_parent)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return hull_stage_fail(stage, -errno, "parent death signal");
	/*
	 * The caller may have ended before the line above. getppid() cannot tell from inside a new PID
	 * namespace, but a pipe whose only reader is gone can, and descriptors go before the signal is sent.
	 */
	struct pollfd p = { .fd = report_fd };
	if (poll(&p, 1, 0) < 0)
		return hull_stage_fail(stage, -errno, "parent death signal");
	if (p.revents & POLLERR)
		_exit(1);
	return 0;
}

static int run_stages(const struct hull_spawn *s, int report_fd, struct hull_stage *stage)
{
	int r = stage_stdio(s, stage);
	if (r == 0)
		r = stage_fds(s, report_fd, stage);
	if (r == 0)
		r = stage_session(s, stage);
	if (r == 0)
		r = stage_namespaces(s, stage);
	stage_oom_score(s);
	if (r == 0)
		r = hull_stage_root(s, stage);
	if (r == 0)
		r = stage_limits(s, stage);
	if (r == 0)
		r = hull_stage_privileges(s, stage);
	if (r == 0)
		r = stage_orphan(s, report_fd, stage);
	return r;
}

static _Noreturn void child(const struct hull_spawn *s, int report_fd)
{
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const safe_env[] = { path, NULL };
	struct hull_stage stage = { .what = "" };

	/* The caller's handlers would run in this process, on descriptors that the two share. */
	hull_signals_reset();
	int r = run_stages(s, report_fd, &stage);
	if (r == 0) {
		execve(s->path, s->argv, s->envp ? s->envp : safe_env);
		r = hull_stage_fail(&stage, -errno, "exec %s", s->path);
	}
	struct report report = { .code = -r };
	memcpy(report.what, stage.what, sizeof(report.what));
	hull_fd_write_all(report_fd, &report, sizeof(report));
	_exit(127);
}

/* Reads the child's report until exec closes the pipe. 0 when exec happened, or the child's error. */
static int wait_for_exec(const struct hull_spawn *s, int fd, struct hull_error *err)
{
	struct report report = { .code = 0 };
	size_t have = 0;
	int64_t deadline = hull_now_ms() + SPAWN_TIMEOUT_MS;

	while (have < sizeof(report)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - hull_now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return hull_error_set(err, ETIMEDOUT, "start %s: not running after %d ms", s->path,
					      SPAWN_TIMEOUT_MS);
		ssize_t got = n < 0 ? -1 : read(fd, (char *)&report + have, sizeof(report) - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return hull_error_errno(err, errno, "start %s: read the child's report", s->path);
		if (got == 0)
			break;
		have += (size_t)got;
	}
	if (have == 0)
		return 0;
	if (have < sizeof(report) || report.code == 0)
		return hull_error_set(err, EIO, "start %s: the child ended in the middle of its report", s->path);
	report.what[sizeof(report.what) - 1] = '\0';
	return hull_error_errno(err, report.code, "start %s: %s", s->path, report.what);
}

static int check(const struct hull_spawn *s, struct hull_error *err)
{
	if (s->n_keep_fds > KEEP_FDS_MAX)
		return hull_error_set(err, EINVAL, "start %s: %zu descriptors to keep", s->path, s->n_keep_fds);
	for (size_t i = 0; i < s->n_keep_fds; i++)
		if (s->keep_fds[i] < 3 || (i > 0 && s->keep_fds[i] <= s->keep_fds[i - 1]))
			return hull_error_set(err, EINVAL, "start %s: descriptors to keep must ascend from 3", s->path);
	if (s->drop_privileges && (s->uid == 0 || s->gid == 0))
		return hull_error_set(err, EINVAL, "start %s: root is not an unprivileged user", s->path);
	return 0;
}

int hull_spawn(const struct hull_spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct hull_error *err)
{
	_cleanup_close_ int reader = -1, writer = -1, pidfd = -1;
	int pipe_fds[2];
	sigset_t all, before;

	int r = check(spawn, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return hull_error_errno(err, errno, "start %s: pipe", spawn->path);
	reader = pipe_fds[0];
	writer = pipe_fds[1];

	struct clone_args args = {
		.flags = CLONE_PIDFD | (spawn->new_pid ? CLONE_NEWPID : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int saved = errno;
	if (pid == 0)
		child(spawn, writer);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return hull_error_errno(err, saved, "start %s: clone", spawn->path);

	close(TAKE_FD(writer));
	r = wait_for_exec(spawn, reader, err);
	if (r < 0) {
		hull_pidfd_kill(pidfd, SIGKILL);
		hull_pidfd_wait(pidfd, SPAWN_TIMEOUT_MS);
		waitpid(pid, NULL, WNOHANG);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}
