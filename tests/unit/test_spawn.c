/* SPDX-License-Identifier: Apache-2.0 */
/* Needs root. Starts spawn_child, which lies beside this program, and reads how the world looks from inside. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "jail/child.h"
#include "jail/output.h"
#include "jail/spawn.h"

static char helper[PATH_MAX];
static char root_dir[] = "/tmp/hull-spawn-XXXXXX";

static int setup(void **state)
{
	ssize_t n = readlink("/proc/self/exe", helper, sizeof(helper) - 32);
	if (n < 0 || !mkdtemp(root_dir))
		return -1;
	helper[n] = '\0';
	char *base = strrchr(helper, '/') + 1;
	snprintf(base, sizeof(helper) - (size_t)(base - helper), "spawn_child");
	return 0;
}

static int teardown(void **state)
{
	return rmdir(root_dir);
}

/* Runs spawn_child with `mode` as `spawn` says and returns its output. */
static char *facts(struct hull_spawn spawn, const char *program, const char *mode)
{
	char *argv[] = { (char *)program, (char *)mode, NULL };
	struct hull_error err = HULL_ERROR_INIT;
	int fds[2], status;
	pid_t pid;
	_cleanup_close_ int pidfd = -1;
	char *text = NULL;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spawn.path = program;
	spawn.argv = argv;
	spawn.stdin_fd = -1;
	spawn.stdout_fd = fds[1];
	spawn.stderr_fd = fds[1];
	int r = hull_spawn(&spawn, &pid, &pidfd, &err);
	close(fds[1]);
	if (r < 0)
		fail_msg("%s", err.message);
	assert_int_equal(hull_fd_read_all(fds[0], 65536, &text, NULL), 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return text;
}

static void assert_says(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("'%s' is not in:\n%s", line, text);
}

static void test_plain(void **state)
{
	struct hull_spawn spawn = { .uid = 0 };
	_cleanup_free_ char *text = facts(spawn, helper, "facts");
	assert_says(text, "fds 0 1 2 end\n");
	assert_says(text, "uid 0 0 0\n");
	assert_says(text, "core 1 ");
	assert_says(text, "session 0\n");
	assert_says(text, "pdeathsig 0\n");
	assert_says(text, "path /usr/sbin:/usr/bin:/sbin:/bin\n");
}

static void test_caps_as_other_users(void **state)
{
	struct hull_spawn spawn = { .uid = 0 };
	_cleanup_free_ char *plain = facts(spawn, helper, "other");
	assert_says(plain, "as another user 0, afterwards 1\n");
	spawn.keep_caps_as_other_users = true;
	_cleanup_free_ char *kept = facts(spawn, helper, "other");
	assert_says(kept, "as another user 1, afterwards 1\n");
}

static void test_no_new_privs_only(void **state)
{
	struct hull_spawn spawn = { .no_new_privs = true };
	_cleanup_free_ char *text = facts(spawn, helper, "facts");
	assert_says(text, "uid 0 0 0\n");
	assert_says(text, "no_new_privs 1 ");
}

/* Our handlers and our mask are not the child's. */
static void test_signals(void **state)
{
	sigset_t mask, old;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	struct hull_spawn spawn = { .new_session = true };

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &old);
	sigaction(SIGUSR1, &ignore, &before);
	_cleanup_free_ char *text = facts(spawn, helper, "facts");
	sigset_t now;
	sigprocmask(SIG_SETMASK, &old, &now);
	sigaction(SIGUSR1, &before, NULL);
	assert_true(sigismember(&now, SIGTERM));
	assert_says(text, "blocked 0 handled 0\n");
	assert_says(text, "session 1\n");
}

/* Named descriptors keep their numbers; everything else goes, whether it was marked close-on-exec or not. */
static void test_descriptors(void **state)
{
	int leaked = open("/dev/null", O_RDONLY);
	int a = fcntl(leaked, F_DUPFD_CLOEXEC, 50), b = fcntl(leaked, F_DUPFD_CLOEXEC, 70);
	const int keep[] = { a, b };
	struct hull_spawn spawn = { .keep_fds = keep, .n_keep_fds = 2 };
	char line[64];

	_cleanup_free_ char *text = facts(spawn, helper, "facts");
	snprintf(line, sizeof(line), "fds 0 1 2 %d %d end\n", a, b);
	assert_says(text, line);
	assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
	close(leaked);
	close(a);
	close(b);
}

/* stdin, stdout and stderr may be each other's numbers. */
static void test_crossed_stdio(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	pid_t pid = fork();
	if (pid == 0) {
		int fds[2];
		char *argv[] = { helper, (char *)"facts", NULL };
		pid_t child;
		int pidfd = -1, status;
		char *text = NULL;
		close(0);
		if (pipe2(fds, O_CLOEXEC) < 0 || fds[0] != 0)
			_exit(10);
		/* The pipe's writer becomes 1's source, and 1 becomes 0's. */
		struct hull_spawn spawn = { .path = helper, .argv = argv, .stdin_fd = 1, .stdout_fd = fds[1], .stderr_fd = 2 };
		if (hull_spawn(&spawn, &child, &pidfd, &err) < 0)
			_exit(11);
		close(fds[1]);
		if (hull_fd_read_all(0, 65536, &text, NULL) < 0 || !strstr(text, "fds 0 1 2 end"))
			_exit(12);
		_exit(waitpid(child, &status, 0) == child && status == 0 ? 0 : 13);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct hull_spawn jailed(void)
{
	static struct hull_jail_bind binds[2];
	binds[0] = (struct hull_jail_bind){ helper, "/bin/child" };
	binds[1] = (struct hull_jail_bind){ "/tmp", "/data" };
	return (struct hull_spawn){
		.drop_privileges = true, .uid = 31001, .gid = 31002, .extra_gid = 31003,
		.die_with_parent = true, .new_session = true,
		.new_net = true, .new_ipc = true, .new_uts = true,
		.root_dir = root_dir, .binds = binds, .n_binds = 2, .open_files_max = 100, .threads_max = 50,
	};
}

static void test_jail(void **state)
{
	_cleanup_free_ char *text = facts(jailed(), "/bin/child", "facts");
	assert_says(text, "uid 31001 31001 31001\n");
	assert_says(text, "gid 31002 31002 31002\n");
	assert_says(text, "groups 1 31003\n");
	assert_says(text, "caps 0 0 0 bounding 0 ambient 0\n");
	assert_says(text, "no_new_privs 1 pdeathsig 9\n");
	assert_says(text, "core 1 files 100 100\n");
	assert_says(text, "threads 50\n");
	assert_says(text, "root 3 cwd /\n");          /* bin, data, dev */
	assert_says(text, "write /file: Read-only file system\n");
	assert_says(text, "write /dev/file: Read-only file system\n");
	assert_says(text, "write /dev/null: ok\n");
	assert_says(text, "write /data/file: Read-only file system\n");
	assert_says(text, "urandom 1\n");
	assert_says(text, "mknod 0\n");
	assert_says(text, "lo down\n");
	/* Nothing of it reached our own namespace. */
	struct stat st, parent;
	assert_int_equal(stat(root_dir, &st), 0);
	assert_int_equal(stat("/tmp", &parent), 0);
	assert_int_equal(st.st_dev, parent.st_dev);
}

/* Even root with all privileges cannot write into the jail. */
static void test_jail_as_root(void **state)
{
	struct hull_spawn spawn = jailed();
	spawn.drop_privileges = false;
	_cleanup_free_ char *text = facts(spawn, "/bin/child", "facts");
	assert_says(text, "uid 0 0 0\n");
	assert_says(text, "write /file: Read-only file system\n");
	assert_says(text, "write /data/file: Read-only file system\n");
}

static void test_new_pid(void **state)
{
	struct hull_spawn spawn = jailed();
	spawn.new_pid = true;
	_cleanup_free_ char *text = facts(spawn, "/bin/child", "facts");
	assert_says(text, "pid 1 session 1\n");
	assert_says(text, "pdeathsig 9\n");
}

/* A failure names its step, and leaves no process and no descriptor behind. */
static void assert_fails(struct hull_spawn spawn, int code, const char *words)
{
	char *argv[] = { (char *)"/bin/child", (char *)"facts", NULL };
	struct hull_error err = HULL_ERROR_INIT;
	pid_t pid = -1;
	int pidfd = -1;

	int before = dup(0);
	close(before);
	if (!spawn.path)
		spawn.path = "/bin/child";
	spawn.argv = argv;
	spawn.stdin_fd = spawn.stdout_fd = spawn.stderr_fd = -1;
	assert_int_equal(hull_spawn(&spawn, &pid, &pidfd, &err), -code);
	assert_int_equal(err.code, code);
	assert_says(err.message, words);
	assert_int_equal(pid, -1);
	assert_int_equal(pidfd, -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static void test_errors(void **state)
{
	struct hull_spawn spawn = jailed();
	spawn.path = "/no/such/program";
	assert_fails(spawn, ENOENT, "start /no/such/program: exec /no/such/program: No such file");

	const struct hull_jail_bind missing = { "/no/such/source", "/x" };
	spawn = jailed();
	spawn.binds = &missing;
	spawn.n_binds = 1;
	assert_fails(spawn, ENOENT, "bind /no/such/source: No such file");

	spawn = jailed();
	spawn.root_dir = "/no/such/root";
	assert_fails(spawn, ENOENT, "mount a root at /no/such/root: No such file");

	static const char *const nodes[] = { "/dev/no-such-node", NULL };
	spawn = jailed();
	spawn.device_nodes = nodes;
	assert_fails(spawn, ENOENT, "bind /dev/no-such-node");

	spawn = jailed();
	spawn.uid = 0;
	assert_fails(spawn, EINVAL, "root is not an unprivileged user");

	const int twice[] = { 5, 5 };
	spawn = jailed();
	spawn.keep_fds = twice;
	spawn.n_keep_fds = 2;
	assert_fails(spawn, EINVAL, "must ascend");

	const int closed = 900;
	spawn = jailed();
	spawn.keep_fds = &closed;
	spawn.n_keep_fds = 1;
	assert_fails(spawn, EBADF, "descriptor 900");
}

/* Reads one line of a pipe, a second at most for each byte. */
static void read_line(int fd, char line[static 128])
{
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (n < 127 && poll(&p, 1, 5000) == 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
}

/* The parent of the jailed process is killed; the process must follow, with what it forked in its PID namespace. */
static void orphan(bool new_pid)
{
	int fds[2], status;
	char line[128];
	struct pollfd hangup = { .events = POLLIN };

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t parent = fork();
	if (parent == 0) {
		char *argv[] = { (char *)"/bin/child", (char *)(new_pid ? "fork" : "sleep"), NULL };
		struct hull_error err = HULL_ERROR_INIT;
		struct hull_spawn spawn = jailed();
		pid_t pid;
		int pidfd;
		spawn.path = "/bin/child";
		spawn.argv = argv;
		spawn.stdin_fd = spawn.stderr_fd = -1;
		spawn.stdout_fd = fds[1];
		spawn.new_pid = new_pid;
		if (hull_spawn(&spawn, &pid, &pidfd, &err) < 0)
			_exit(1);
		pause();
	}
	close(fds[1]);
	for (int i = 0; i < (new_pid ? 3 : 1); i++) {
		read_line(fds[0], line);
		assert_true(strcmp(line, "ready") == 0 || strncmp(line, "forked", 6) == 0);
	}
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	/* The pipe ends when every process that held it is gone. */
	hangup.fd = fds[0];
	assert_int_equal(poll(&hangup, 1, 5000), 1);
	assert_int_equal(read(fds[0], line, 1), 0);
	close(fds[0]);
}

static void test_orphan(void **state)
{
	orphan(false);
}

static void test_orphan_with_children(void **state)
{
	orphan(true);
}

static void test_output(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	char *argv[] = { helper, (char *)"exit", (char *)"3", (char *)"some words", NULL };
	char *sleeper[] = { helper, (char *)"sleep", NULL };
	_cleanup_free_ char *text = NULL, *cut = NULL;

	assert_int_equal(hull_spawn_output(helper, argv, 100, 5000, &text, &err), 0);
	assert_string_equal(text, "some words");
	assert_int_equal(hull_spawn_output(helper, argv, 4, 5000, &cut, &err), 0);
	assert_string_equal(cut, "some");
	int64_t begin = hull_now_ms();
	assert_int_equal(hull_spawn_output(helper, sleeper, 100, 100, &cut, &err), -ETIMEDOUT);
	assert_true(hull_now_ms() - begin < 2000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void keep_reason(void *data, const char *reason)
{
	snprintf(data, 4096, "%s", reason);
}

/* Starts a watched child, lets the loop run until it has ended, and returns the reason. */
static void watch(char *argv[], int sig, char reason[static 4096])
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_spawn spawn = { .path = argv[0], .argv = argv, .stdin_fd = -1, .stdout_fd = -1 };
	struct hull_child *child = NULL;
	uv_loop_t loop;

	reason[0] = '\0';
	uv_loop_init(&loop);
	assert_int_equal(hull_child_start(&loop, &spawn, keep_reason, reason, &child, &err), 0);
	assert_true(hull_child_pid(child) > 0);
	if (sig == SIGKILL)
		hull_child_kill(child);
	while (!reason[0])
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(hull_child_pid(child), 0);
	hull_child_free(child);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_child(void **state)
{
	char reason[4096], big[8192];
	char *argv[] = { helper, (char *)"exit", (char *)"4", (char *)"two\nlines\033[0m\n", NULL };
	char *sleeper[] = { helper, (char *)"sleep", NULL };

	watch(argv, 0, reason);
	assert_string_equal(reason, "spawn_child exited with status 4: two lines [0m");
	watch(sleeper, SIGKILL, reason);
	assert_string_equal(reason, "spawn_child was killed by signal 9 (Killed)");

	/* Of many words the last ones stay. */
	memset(big, 'x', sizeof(big) - 5);
	memcpy(big + sizeof(big) - 5, "last", 5);
	argv[3] = big;
	watch(argv, 0, reason);
	assert_true(strlen(reason) < 2000);
	assert_string_equal(reason + strlen(reason) - 5, "xlast");
}

/* Freeing a child that runs kills and reaps it, and calls nobody. */
static void test_child_free(void **state)
{
	char *argv[] = { helper, (char *)"sleep", NULL };
	char reason[4096] = "";
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_spawn spawn = { .path = helper, .argv = argv, .stdin_fd = -1, .stdout_fd = -1 };
	struct hull_child *child = NULL;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(hull_child_start(&loop, &spawn, keep_reason, reason, &child, &err), 0);
	hull_child_free(child);
	hull_child_free(NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_string_equal(reason, "");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);

	spawn.path = "/no/such/program";
	uv_loop_init(&loop);
	assert_int_equal(hull_child_start(&loop, &spawn, keep_reason, reason, &child, &err), -ENOENT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_caps_as_other_users),
		cmocka_unit_test(test_no_new_privs_only),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_crossed_stdio),
		cmocka_unit_test(test_jail),
		cmocka_unit_test(test_jail_as_root),
		cmocka_unit_test(test_new_pid),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_orphan_with_children),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_child_free),
	};
	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
