/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `start`: answers with the address of the shim that serves the container of the bundle in the working directory. A container that joins a
 * pod has its pod's; for others a shim is started.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "jail/spawn.h"
#include "pod/join.h"
#include "pod/paths.h"
#include "shim/record.h"
#include "shim/shim.h"

struct starting {
	const struct shim_args *args;
	char *hull_id;                 /* of the pod */
	char *root;
	struct shim_options options;
	bool modern;                   /* containerd 2.3 or later */
};

/* ---- the answer */

/*
 * 1.x and iSulad read an address. Since 1.7 containerd names the highest version that it understands, and takes JSON;
 * 2.3 takes version 3 although it names 2.
 */
static void print_answer(const struct starting *s, const char *socket)
{
	const char *max = getenv("MAX_SHIM_VERSION");
	if (!max && !s->modern)
		printf("unix://%s", socket);
	else
		printf("{\"version\":%d,\"address\":\"unix://%s\",\"protocol\":\"ttrpc\"}", s->modern || atoi(max) >= 3 ? 3 : 2, socket);
	fflush(stdout);
}

/* What a containerd that was restarted reads in the bundle. Source: containerd, pkg/shim/util.go. */
static int write_address(const char *socket, pid_t pid, struct hull_error *err)
{
	_cleanup_free_ char *address = hull_asprintf("unix://%s", socket);
	_cleanup_free_ char *pid_text = hull_asprintf("%d", (int)pid);
	int r = hull_file_replace(AT_FDCWD, "address", address, strlen(address), 0644);
	if (r == 0 && pid > 0)
		r = hull_file_replace(AT_FDCWD, "shim.pid", pid_text, strlen(pid_text), 0644);
	return r < 0 ? hull_error_errno(err, r, "write into the bundle") : 0;
}

/* ---- a shim for a new pod */

/* Where the pod's directory is, somebody may live. */
static int make_pod_dir(const struct starting *s, int *ret_dirfd, struct hull_error *err)
{
	_cleanup_free_ char *dir = hull_path_pod(s->root, s->hull_id);
	struct shim_record old;
	if (shim_record_read(dir, &old) == 0) {
		bool alive = hull_procref_alive(&old.shim);
		if (!alive)
			unlink(old.socket);
		shim_record_clear(&old);
		if (alive)
			return hull_error_set(err, EEXIST, "a shim of %s runs already", s->hull_id);
	}
	int r = hull_rmtree(AT_FDCWD, dir);
	if (r < 0)
		return hull_error_errno(err, r, "remove what was left in %s", dir);
	if (mkdir(dir, 0700) < 0)
		return hull_error_errno(err, errno, "make %s", dir);
	*ret_dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_dirfd < 0 ? hull_error_errno(err, errno, "open %s", dir) : 0;
}

/* Short, because a socket's path has 107 characters: sun_path, unix(7). Binds at `bind_path`, which may be another name of the same. */
static int listen_at(const char *bind_path, struct hull_error *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(bind_path) >= sizeof(a.sun_path))
		return hull_error_set(err, ENAMETOOLONG, "the socket's path is too long: %s", bind_path);
	memcpy(a.sun_path, bind_path, strlen(bind_path) + 1);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hull_error_errno(err, errno, "make a socket");
	mode_t old = umask(0177);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ? -errno : 0;
	umask(old);
	return r < 0 ? hull_error_errno(err, r, "listen at %s", bind_path) : TAKE_FD(fd);
}

static int make_socket_path(const struct starting *s, char **ret, struct hull_error *err)
{
	uint64_t random[2];
	_cleanup_free_ char *dir = hull_asprintf("%s/s", s->root);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return hull_error_errno(err, errno, "make %s", dir);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return hull_error_set(err, EIO, "no random numbers");
	*ret = hull_asprintf("%s/%016llx%016llx", dir, (unsigned long long)random[0], (unsigned long long)random[1]);
	return 0;
}

/* What the shim inherits of the environment. */
static void keep_environment(const struct starting *s, struct hull_strv *env)
{
	static const char *const kept[] = { "TTRPC_ADDRESS", "EXIT_FIFO_DIR", "HULL_ROOT" };
	const char *config = s->options.config ? s->options.config : getenv("HULL_CONFIG");
	hull_strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kept); i++)
		if (getenv(kept[i]))
			hull_strv_addf(env, "%s=%s", kept[i], getenv(kept[i]));
	if (config)
		hull_strv_addf(env, "HULL_CONFIG=%s", config);
}

static int spawn_shim(const struct starting *s, int pod_fd, int task_fd, const char *socket, pid_t *ret_pid, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_path_bin("containerd-shim-hull-v2");
	struct hull_strv argv = { 0 }, env = { 0 };
	const struct shim_args *a = s->args;
	const int keep[] = { pod_fd < task_fd ? pod_fd : task_fd, pod_fd < task_fd ? task_fd : pod_fd };
	const char *const pairs[][2] = { { "-namespace", a->namespace }, { "-id", a->id }, { "-address", a->address },
					 { "-publish-binary", a->publish_binary }, { "-root", s->root }, { "-socket", socket } };
	int pidfd = -1;

	hull_strv_add(&argv, path);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(pairs); i++) {
		if (!pairs[i][1])
			continue;
		hull_strv_add(&argv, pairs[i][0]);
		hull_strv_add(&argv, pairs[i][1]);
	}
	hull_strv_addf(&argv, "-pod-fd=%d", pod_fd);
	hull_strv_addf(&argv, "-task-fd=%d", task_fd);
	if (a->debug)
		hull_strv_add(&argv, "-debug");
	hull_strv_add(&argv, "serve");
	keep_environment(s, &env);
	const struct hull_spawn spawn = {
		.path = path, .argv = argv.v, .envp = env.v, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,
		.keep_fds = keep, .n_keep_fds = 2, .new_session = true,
	};
	int r = hull_spawn(&spawn, ret_pid, &pidfd, err);
	hull_closep(&pidfd);
	hull_strv_clear(&argv);
	hull_strv_clear(&env);
	return r;
}

static int start_pod(struct starting *s, struct hull_error *err)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_close_ int pod_fd = -1;
	_cleanup_close_ int task_fd = -1;
	_cleanup_free_ char *socket = NULL;
	_cleanup_free_ char *pod_socket = NULL;
	_cleanup_free_ char *dir = hull_path_pod(s->root, s->hull_id);
	pid_t pid = 0;

	int r = hull_paths_prepare(s->root, err);
	if (r == 0)
		r = make_pod_dir(s, &dirfd, err);
	if (r == 0)
		r = make_socket_path(s, &socket, err);
	if (r < 0)
		return r;
	pod_socket = hull_asprintf("/proc/self/fd/%d/pod.sock", dirfd);
	pod_fd = listen_at(pod_socket, err);
	task_fd = pod_fd < 0 ? pod_fd : listen_at(socket, err);
	r = task_fd < 0 ? task_fd : spawn_shim(s, pod_fd, task_fd, socket, &pid, err);
	if (r == 0) {
		struct shim_record record = { .root = s->root, .pod_id = s->hull_id, .socket = socket };
		hull_procref_get(pid, &record.shim);
		r = shim_record_write(dirfd, &record, err);
		if (r == 0)
			r = shim_record_write(AT_FDCWD, &record, err);
		if (r == 0)
			r = write_address(socket, pid, err);
		if (r < 0)
			hull_procref_kill(&record.shim, SIGKILL);
	}
	if (r < 0) {
		unlink(socket);
		hull_rmtree(AT_FDCWD, dir);
		return r;
	}
	print_answer(s, socket);
	return 0;
}

/* ---- a container of a pod that runs */

static int join_pod(struct starting *s, struct hull_error *err)
{
	_cleanup_free_ char *dir = hull_path_pod(s->root, s->hull_id);
	struct shim_record record;
	if (shim_record_read(dir, &record) < 0 || !hull_procref_alive(&record.shim))
		return hull_error_set(err, ESRCH, "pod %s is not running: its sandbox container is gone or was never started", s->hull_id);
	int r = shim_record_write(AT_FDCWD, &record, err);
	if (r == 0)
		r = write_address(record.socket, record.shim.pid, err);
	if (r == 0)
		print_answer(s, record.socket);
	shim_record_clear(&record);
	return r;
}

static int find_role(struct starting *s, enum hull_role *ret, struct hull_error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *own = shim_hull_id(s->args, s->args->id);
	struct hull_oci_spec *spec = NULL;
	struct hull_joins joins = { 0 };
	size_t len;
	int r = hull_file_read(AT_FDCWD, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &text, &len);
	/* So does a CRI with another sandboxer call. */
	if (r == -ENOENT)
		return hull_error_set(err, ENOENT, "the bundle has no config.json: containerd's sandboxer = \"shim\" is not supported, "
				      "only \"podsandbox\"");
	if (r < 0)
		return hull_error_errno(err, r, "read the bundle's config.json");
	r = hull_oci_spec_parse(text, len, &spec, err);
	if (r == 0)
		r = hull_role_find(spec, own, ret, &s->hull_id, err);
	if (r < 0)
		hull_error_wrap(err, "config.json");
	else
		/* Whoever joins a container's namespaces is that one's shim's. */
		r = hull_joins_resolve(s->root, spec, ret, &s->hull_id, &joins, err);
	hull_joins_clear(&joins);
	hull_oci_spec_free(spec);
	return r;
}

/*
 * containerd copies to its own log what comes out of the FIFO `log` of the bundle. Where nobody reads, nothing is said.
 * Source: containerd, core/runtime/v2/binary.go.
 */
static void open_log(const struct shim_args *args)
{
	struct stat st;
	_cleanup_close_ int fd = open("log", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return;
	hull_log_setup(TAKE_FD(fd), HULL_LOG_TEXT, args->debug ? HULL_LOG_DEBUG : HULL_LOG_INFO, 0);
	hull_log_tag(args->id);
}

int shim_start(const struct shim_args *args, struct hull_error *err)
{
	struct starting s = { .args = args };
	enum hull_role role = HULL_ROLE_SINGLE;
	if (args->bundle && chdir(args->bundle) < 0)
		return hull_error_errno(err, errno, "%s", args->bundle);
	open_log(args);
	int r = shim_bootstrap_read(STDIN_FILENO, args->namespace, args->id, &s.options, &s.modern, err);
	if (r == 0) {
		s.root = hull_strdup(s.options.root ? s.options.root : hull_default_root());
		r = find_role(&s, &role, err);
	}
	if (r == 0)
		r = role == HULL_ROLE_MEMBER ? join_pod(&s, err) : start_pod(&s, err);
	free(s.root);
	free(s.hull_id);
	shim_options_clear(&s.options);
	return r;
}
