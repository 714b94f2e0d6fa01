/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Needs root and virtiofsd. Everything happens in a mount namespace of this process. What virtiofsd serves is looked at
 * through /proc/<pid of its worker>/root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "storage/share.h"
#include "storage/virtiofsd.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

struct fixture {
	uv_loop_t loop;
	uv_timer_t tick;
	struct hull_share *share;
	int vhost_fd;
	char base[40], dir[64], source[64], root[64];
	char exit_reason[2048];
};

static void on_exit_of_virtiofsd(void *data, const char *reason)
{
	struct fixture *f = data;
	assert_string_equal(f->exit_reason, "");
	snprintf(f->exit_reason, sizeof(f->exit_reason), "%s", reason);
}

static void tick(uv_timer_t *timer)
{
}

static void turn(struct fixture *f, int ms)
{
	int64_t end = hull_now_ms() + ms;
	do
		uv_run(&f->loop, UV_RUN_ONCE);
	while (hull_now_ms() < end);
}

/* The process that virtiofsd forks, in its own namespaces; 0: none. */
static pid_t worker_of(pid_t pid)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (hull_file_read(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* Waits until the worker's root is the share. */
static void find_root(struct fixture *f)
{
	int64_t deadline = hull_now_ms() + 5000;
	struct stat st, own;
	do {
		turn(f, 5);
		snprintf(f->root, sizeof(f->root), "/proc/%d/root", (int)worker_of(hull_share_pid(f->share)));
		assert_true(hull_now_ms() < deadline);
		assert_int_equal(stat(f->dir, &own), 0);
	} while (stat(f->root, &st) < 0 || st.st_ino != own.st_ino || st.st_dev != own.st_dev);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = hull_asprintf("%s/%s", dir, name);
	assert_int_equal(hull_file_replace(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct hull_error err = HULL_ERROR_INIT;

	*state = f;
	f->vhost_fd = -1;
	snprintf(f->base, sizeof(f->base), "/tmp/hull-share-XXXXXX");
	if (!mkdtemp(f->base))
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/share", f->base);
	snprintf(f->source, sizeof(f->source), "%s/source", f->base);
	mkdir(f->dir, 0700);
	mkdir(f->source, 0755);
	write_file(f->source, "hello", "words");
	uv_loop_init(&f->loop);
	uv_timer_init(&f->loop, &f->tick);
	uv_timer_start(&f->tick, tick, 1, 1);
	int r = hull_share_start(&f->loop, VIRTIOFSD, f->dir, on_exit_of_virtiofsd, f, &f->vhost_fd, &f->share, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	return r;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	hull_share_free(f->share);
	hull_closep(&f->vhost_fd);
	uv_close((uv_handle_t *)&f->tick, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	int r = uv_loop_close(&f->loop);
	if (r == 0)
		r = hull_rmtree(AT_FDCWD, f->base);
	free(f);
	return r;
}

/* What virtiofsd sees at `path` of the share; "" when nothing is there. */
static const char *seen(struct fixture *f, const char *path)
{
	static char text[256];
	_cleanup_free_ char *full = hull_asprintf("%s/%s", f->root, path), *data = NULL;
	text[0] = '\0';
	if (hull_file_read(AT_FDCWD, full, sizeof(text) - 1, &data, NULL) == 0)
		snprintf(text, sizeof(text), "%s", data);
	return text;
}

static unsigned long flags_of(struct fixture *f, const char *path)
{
	struct statvfs vfs;
	_cleanup_free_ char *full = hull_asprintf("%s/%s", f->root, path);
	assert_int_equal(statvfs(full, &vfs), 0);
	return vfs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
}

static int clone_of(const char *path)
{
	struct hull_error err = HULL_ERROR_INIT;
	int fd = hull_mount_clone(path, true, &err);
	if (fd < 0)
		fail_msg("%s", err.message);
	return fd;
}

static void add_rootfs(struct fixture *f, const char *id, const char *source, bool readonly)
{
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_close_ int fd = clone_of(source);
	if (hull_share_add_rootfs(f->share, id, fd, readonly, &err) < 0)
		fail_msg("%s", err.message);
}

/* Adds a volume that is expected to be at `path`. */
static void add_volume(struct fixture *f, const char *id, const char *source, bool readonly, const char *path)
{
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_close_ int fd = clone_of(source);
	_cleanup_free_ char *at = NULL;
	if (hull_share_add_volume(f->share, id, fd, &(struct hull_volume_options){ .readonly = readonly, .recursive = true }, &at, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(at, path);
}

/* Removes a container, and says which volumes went with it. */
static int remove_container(struct fixture *f, const char *id, char gone[static 64])
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv list = { 0 };
	int r = hull_share_remove(f->share, id, &list, &err);
	gone[0] = '\0';
	for (size_t i = 0; i < list.n; i++)
		snprintf(gone + strlen(gone), 64 - strlen(gone), "%s ", list.v[i]);
	hull_strv_clear(&list);
	return r;
}

/* Mounts that come after virtiofsd reach it, with the attributes of the host's side. */
static void test_mounts(void **state)
{
	struct fixture *f = *state;
	char file[80];

	find_root(f);
	add_rootfs(f, "web", f->source, false);
	assert_string_equal(seen(f, "web/rootfs/hello"), "words");
	assert_int_equal(flags_of(f, "web/rootfs"), ST_NOSUID | ST_NODEV | ST_NOEXEC);

	add_volume(f, "web", f->source, true, ":volumes/1");
	assert_string_equal(seen(f, ":volumes/1/hello"), "words");
	assert_int_equal(flags_of(f, ":volumes/1"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);

	snprintf(file, sizeof(file), "%s/hello", f->source);
	add_volume(f, "web", file, true, ":volumes/2");
	assert_string_equal(seen(f, ":volumes/2"), "words");
	assert_int_equal(flags_of(f, ":volumes/2"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);

	/* Writes go through where they may, and what the host writes shows. */
	_cleanup_free_ char *rw = hull_asprintf("%s/web/rootfs/new", f->root);
	_cleanup_free_ char *ro = hull_asprintf("%s/:volumes/1/new", f->root);
	assert_int_equal(hull_file_replace(AT_FDCWD, ro, "x", 1, 0644), -EROFS);
	assert_int_equal(hull_file_replace(AT_FDCWD, rw, "x", 1, 0644), 0);
	assert_string_equal(seen(f, ":volumes/1/new"), "x");

	/* The clone in our hands was detached again, and the source is what it was. */
	struct statvfs vfs;
	assert_int_equal(statvfs(f->source, &vfs), 0);
	assert_false(vfs.f_flag & ST_RDONLY);
	assert_string_equal(f->exit_reason, "");
}

/* Nobody can put a file between the mounts, not even root through virtiofsd. */
static void test_root_is_readonly(void **state)
{
	struct fixture *f = *state;
	find_root(f);
	add_rootfs(f, "web", f->source, false);
	_cleanup_free_ char *a = hull_asprintf("%s/file", f->root), *b = hull_asprintf("%s/web/file", f->root);
	assert_int_equal(mkdir(a, 0700), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(mkdir(b, 0700), -1);
	assert_int_equal(errno, EROFS);
	/* No trace of the socket. */
	DIR *dir = opendir(f->root);
	struct dirent *e;
	while ((e = readdir(dir)) != NULL)
		assert_true(strcmp(e->d_name, "web") == 0 || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
	closedir(dir);
}

/* What is mounted below a source comes along, and to take the copy away leaves the original alone. */
static void test_submounts(void **state)
{
	struct fixture *f = *state;
	char gone_volumes[64];
	_cleanup_free_ char *sub = hull_asprintf("%s/sub", f->source);

	/* The source is a shared mount, as on most hosts: a clone of it starts as its peer. */
	assert_int_equal(mount(f->source, f->source, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, f->source, NULL, MS_SHARED, NULL), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(mount("sub", sub, "tmpfs", 0, NULL), 0);
	write_file(sub, "inner", "deep");
	find_root(f);
	add_rootfs(f, "web", f->source, true);
	assert_string_equal(seen(f, "web/rootfs/sub/inner"), "deep");
	assert_int_equal(flags_of(f, "web/rootfs/sub"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);

	assert_int_equal(remove_container(f, "web", gone_volumes), 0);
	_cleanup_free_ char *inner = hull_asprintf("%s/inner", sub);
	assert_int_equal(access(inner, F_OK), 0);
	assert_int_equal(umount(sub), 0);
	assert_int_equal(umount(f->source), 0);
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	char gone_volumes[64];

	find_root(f);
	add_rootfs(f, "web", f->source, false);
	add_volume(f, "web", f->source, false, ":volumes/1");
	add_rootfs(f, "db", f->source, false);
	assert_int_equal(remove_container(f, "web", gone_volumes), 0);
	_cleanup_free_ char *gone = hull_asprintf("%s/web", f->root);
	assert_int_equal(access(gone, F_OK), -1);
	assert_string_equal(seen(f, "db/rootfs/hello"), "words");
	/* The files behind the mounts are still there. */
	_cleanup_free_ char *file = hull_asprintf("%s/hello", f->source);
	assert_int_equal(access(file, F_OK), 0);

	assert_int_equal(remove_container(f, "web", gone_volumes), 0);
	assert_int_equal(remove_container(f, "never", gone_volumes), 0);
	assert_int_equal(remove_container(f, "../etc", gone_volumes), -EINVAL);
	/* The name can be used again. */
	add_rootfs(f, "web", f->source, false);
	assert_string_equal(seen(f, "web/rootfs/hello"), "words");
}

/* What several containers have is there once, and as long as one of them has it. */
static void test_volumes_are_shared(void **state)
{
	struct fixture *f = *state;
	char gone[64];
	_cleanup_free_ char *ro = hull_asprintf("%s/ro", f->source);

	find_root(f);
	add_volume(f, "a", f->source, false, ":volumes/1");
	add_volume(f, "b", f->source, false, ":volumes/1");
	add_volume(f, "b", f->source, true, ":volumes/1");     /* the guest keeps it from writing */
	assert_int_equal(remove_container(f, "a", gone), 0);
	assert_string_equal(gone, "");
	assert_string_equal(seen(f, ":volumes/1/hello"), "words");
	assert_int_equal(remove_container(f, "b", gone), 0);
	assert_string_equal(gone, ":volumes/1 ");

	/* With and without what is mounted below are two. */
	add_volume(f, "a", f->source, false, ":volumes/2");
	_cleanup_close_ int flat_fd = clone_of(f->source);
	_cleanup_free_ char *flat = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_share_add_volume(f->share, "a", flat_fd, &(struct hull_volume_options){ 0 }, &flat, &err), 0);
	assert_string_equal(flat, ":volumes/3");
	assert_int_equal(remove_container(f, "a", gone), 0);

	/* A read-only one does not become writable, neither for who asks for that nor by what the host mounted read-only. */
	add_volume(f, "a", f->source, true, ":volumes/4");
	add_volume(f, "b", f->source, false, ":volumes/5");
	assert_int_equal(flags_of(f, ":volumes/4") & ST_RDONLY, ST_RDONLY);
	assert_int_equal(mkdir(ro, 0755), 0);
	assert_int_equal(mount(f->source, ro, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, ro, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	add_volume(f, "b", ro, false, ":volumes/4");
	assert_int_equal(umount(ro), 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_close_ int fd = clone_of(f->source), again = clone_of(f->source), file = open("/dev/null", O_PATH | O_CLOEXEC);

	assert_int_equal(hull_share_add_rootfs(f->share, "..", fd, false, &err), -EINVAL);
	assert_int_equal(hull_share_add_rootfs(f->share, "a/b", fd, false, &err), -EINVAL);
	assert_int_equal(hull_share_add_rootfs(f->share, "web", fd, false, &err), 0);
	assert_int_equal(hull_share_add_rootfs(f->share, "web", again, false, &err), -EEXIST);
	assert_non_null(strstr(err.message, "share/web/rootfs"));
	/* Not a mount: refused, and the mount point is not left behind. */
	const struct hull_volume_options options = { 0 };
	_cleanup_free_ char *path = NULL;
	assert_true(hull_share_add_volume(f->share, "web", file, &options, &path, &err) < 0);
	assert_null(path);
	assert_int_equal(hull_share_add_volume(f->share, "web", again, &options, &path, &err), 0);
	assert_true(hull_mount_clone("/no/such/path", true, &err) < 0);
	assert_int_equal(err.code, ENOENT);
}

/* A mount made in another namespace, as an engine's are, can be attached here. */
static void test_mount_of_another_namespace(void **state)
{
	struct fixture *f = *state;
	int pair[2];
	union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		/* A tmpfs that exists only in the child's namespace. */
		struct hull_error err = HULL_ERROR_INIT;
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("other", f->source, "tmpfs", 0, NULL) < 0)
			_exit(1);
		write_file(f->source, "hello", "from afar");
		int fd = hull_mount_clone(f->source, true, &err);
		struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
		_exit(fd >= 0 && sendmsg(pair[1], &msg, 0) == 1 ? 0 : 1);
	}
	int status, fd = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(recvmsg(pair[0], &msg, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	find_root(f);
	struct hull_error err = HULL_ERROR_INIT;
	if (hull_share_add_rootfs(f->share, "far", fd, true, &err) < 0)
		fail_msg("%s", err.message);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	assert_string_equal(seen(f, "far/rootfs/hello"), "from afar");
}

/* virtiofsd killed: its worker dies with it, and we are told once. */
static void test_killed(void **state)
{
	struct fixture *f = *state;
	struct hull_procref worker;

	find_root(f);
	pid_t pid = hull_share_pid(f->share);
	assert_int_equal(hull_procref_get(worker_of(pid), &worker), 0);
	kill(pid, SIGKILL);
	int64_t deadline = hull_now_ms() + 5000;
	while (!f->exit_reason[0] && hull_now_ms() < deadline)
		turn(f, 5);
	assert_string_equal(f->exit_reason, "virtiofsd was killed by signal 9 (Killed)");
	assert_int_equal(hull_share_pid(f->share), 0);
	while (hull_procref_alive(&worker) && hull_now_ms() < deadline)
		turn(f, 5);
	assert_false(hull_procref_alive(&worker));
}

/* The supervisor killed: virtiofsd and its worker die too. */
static void test_supervisor_killed(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = hull_asprintf("%s/other", f->base);
	struct { pid_t pid, worker; } pids;
	struct hull_procref a, b;
	int fds[2], status;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t supervisor = fork();
	if (supervisor == 0) {
		struct hull_error err = HULL_ERROR_INIT;
		struct hull_share *share;
		uv_loop_t loop;
		int vhost_fd;
		uv_loop_init(&loop);
		if (hull_share_enter_namespace(&err) < 0 ||
		    hull_share_start(&loop, VIRTIOFSD, dir, on_exit_of_virtiofsd, f, &vhost_fd, &share, &err) < 0)
			_exit(1);
		pids.pid = hull_share_pid(share);
		for (int i = 0; i < 1000 && (pids.worker = worker_of(pids.pid)) == 0; i++)
			usleep(2000);
		if (write(fds[1], &pids, sizeof(pids)) != sizeof(pids))
			_exit(1);
		pause();
	}
	assert_int_equal(read(fds[0], &pids, sizeof(pids)), sizeof(pids));
	assert_true(pids.worker > 0);
	assert_int_equal(hull_procref_get(pids.pid, &a), 0);
	assert_int_equal(hull_procref_get(pids.worker, &b), 0);
	kill(supervisor, SIGKILL);
	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	for (int i = 0; i < 1000 && (hull_procref_alive(&a) || hull_procref_alive(&b)); i++)
		usleep(2000);
	assert_false(hull_procref_alive(&a));
	assert_false(hull_procref_alive(&b));
	close(fds[0]);
	close(fds[1]);
}

static void test_start_fails(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_share *share = NULL;
	_cleanup_free_ char *dir = hull_asprintf("%s/other", f->base);
	int fd = -1;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(hull_share_start(&f->loop, "/bin/true", dir, on_exit_of_virtiofsd, f, &fd, &share, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "does not look like a virtiofsd"));
	assert_int_equal(hull_share_start(&f->loop, "/no/such", dir, on_exit_of_virtiofsd, f, &fd, &share, &err), -ENOENT);
	assert_int_equal(hull_share_start(&f->loop, VIRTIOFSD, "/no/such/dir", on_exit_of_virtiofsd, f, &fd, &share, &err), -ENOENT);
	assert_int_equal(fd, -1);
	assert_null(share);
	/* Nothing is mounted there any more. */
	struct stat st, parent;
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(stat(f->base, &parent), 0);
	assert_int_equal(st.st_dev, parent.st_dev);
}

static char *joined(const struct hull_virtiofsd_features *features)
{
	static char text[2048];
	struct hull_strv args = { 0 };
	hull_virtiofsd_args("/v", features, "/dir", 5, 4096, &args);
	size_t used = 0;
	for (size_t i = 0; i < args.n && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", args.v[i]);
	hull_strv_clear(&args);
	return text;
}

static void test_features(void **state)
{
	struct hull_virtiofsd_features features;
	const char *rust =
		"Usage: virtiofsd [OPTIONS] [COMPAT_OPTIONS]...\n      --shared-dir <SHARED_DIR>\n      --tag <TAG>\n"
		"      --fd <FD>\n      --thread-pool-size <THREAD_POOL_SIZE>\n      --xattr\n      --posix-acl\n"
		"      --sandbox <SANDBOX>\n      --announce-submounts\n      --rlimit-nofile <RLIMIT_NOFILE>\n";
	const char *old_c = "    -o source=PATH\n    --fd=FDNUM\n    -o xattr|no_xattr\n";

	assert_int_equal(hull_virtiofsd_parse_help(rust, &features), 0);
	assert_string_equal(joined(&features), "/v --fd=5 --shared-dir=/dir --log-level=warn --cache=auto --sandbox=namespace "
			    "--announce-submounts --xattr --posix-acl --rlimit-nofile=4096 --thread-pool-size=0 ");
	assert_int_equal(hull_virtiofsd_parse_help(old_c, &features), 0);
	assert_string_equal(joined(&features), "/v --fd=5 -f -o source=/dir "
			    "-o log_level=warn,cache=auto,timeout=1,no_flock,no_posix_lock,xattr ");
	assert_int_equal(hull_virtiofsd_parse_help("Usage: cat [FILE]", &features), -EINVAL);
}

static int enter(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	return hull_share_enter_namespace(&err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features),
		TEST(test_mounts), TEST(test_root_is_readonly), TEST(test_submounts), TEST(test_remove), TEST(test_volumes_are_shared), TEST(test_refused),
		TEST(test_mount_of_another_namespace), TEST(test_killed), TEST(test_supervisor_killed), TEST(test_start_fails),
	};
	if (geteuid() != 0 || access(VIRTIOFSD, X_OK) < 0)
		return 77;
	return cmocka_run_group_tests(tests, enter, NULL);
}
