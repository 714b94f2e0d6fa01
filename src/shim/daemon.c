/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that stays: the pod's supervisor and its Task service in one loop. It ends when containerd lets it go, or when it has
 * nothing to answer for and nobody is connected.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "pod/paths.h"
#include "shim/shim.h"

#define LOG_MAX_BYTES (1u << 20)
/* containerd connects within moments of the start, and again when it was restarted. */
#define IDLE_MS 10000
/* How long last answers and events may take to leave. */
#define QUIT_MS 3000
#define QUIT_STEP_MS 2
#define STATUS_LOST 137

/* ---- the end */

static void on_quit_timer(uv_timer_t *timer)
{
	struct shim *shim = timer->data;
	if (hull_now_ms() < shim->quit_deadline_ms && !(hull_rpc_server_idle(shim->server) && shim_events_idle(shim->events)))
		return;
	shim->quit = true;
	uv_stop(&shim->loop);
}

void shim_quit(struct shim *shim)
{
	if (shim->quitting)
		return;
	shim->quitting = true;
	shim->quit_deadline_ms = hull_now_ms() + QUIT_MS;
	uv_timer_start(&shim->quit_timer, on_quit_timer, 0, QUIT_STEP_MS);
}

static void on_idle(uv_timer_t *timer)
{
	struct shim *shim = timer->data;
	if (!shim->tasks && shim->n_connections == 0) {
		hull_log_info("nobody needs this shim any more");
		shim_quit(shim);
	}
}

void shim_check_idle(struct shim *shim)
{
	if (shim->tasks || shim->n_connections > 0)
		uv_timer_stop(&shim->idle_timer);
	else if (!uv_is_active((uv_handle_t *)&shim->idle_timer))
		uv_timer_start(&shim->idle_timer, on_idle, IDLE_MS, 0);
}

static void on_connect(void *data, struct hull_rpc_conn *conn)
{
	struct shim *shim = data;
	(void)conn;
	shim->n_connections++;
	shim_check_idle(shim);
}

static void on_disconnect(void *data, struct hull_rpc_conn *conn)
{
	struct shim *shim = data;
	(void)conn;
	shim->n_connections--;
	shim_check_idle(shim);
}

static const struct hull_rpc_server_ops server_ops = { .on_connect = on_connect, .on_disconnect = on_disconnect };

/* The VM is gone; the tasks stay until containerd has deleted them. */
static void end_pod(struct shim *shim)
{
	struct hull_pod *pod = TAKE_PTR(shim->pod);
	if (!pod)
		return;
	/* Its last answers to this process: they have been written, not read. */
	uv_run(&shim->loop, UV_RUN_NOWAIT);
	uv_run(&shim->loop, UV_RUN_NOWAIT);
	/* What it still knows comes in as failed calls. */
	hull_rpc_client_free(TAKE_PTR(shim->self));
	hull_pod_free(pod);
	for (struct shim_task *t = shim->tasks; t; t = t->next) {
		/* One whose Create has not been answered hears of it from its child. */
		if (t->init->status != HULL__CONTAINERD__STATUS__UNKNOWN)
			shim_process_over(t->init, STATUS_LOST, 0);
		for (struct shim_process *p = t->execs; p; p = p->next)
			if (p->status != HULL__CONTAINERD__STATUS__CREATED)
				shim_process_over(p, STATUS_LOST, 0);
	}
	shim_check_idle(shim);
}

/* ---- the beginning */

/* stdio is /dev/null already; the log is the pod's. */
static void open_log(const struct shim *shim)
{
	_cleanup_free_ char *dir = hull_path_pod(shim->host.state_root, shim->hull_id);
	_cleanup_free_ char *path = hull_asprintf("%s/pod.log", dir);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log >= 0) {
		dup2(log, STDERR_FILENO);
		close(log);
	}
	hull_log_setup(STDERR_FILENO, HULL_LOG_TEXT, shim->args->debug ? HULL_LOG_DEBUG : HULL_LOG_INFO, LOG_MAX_BYTES);
	hull_log_tag(shim->hull_id);
}

static int leave_host(struct shim *shim, struct hull_error *err)
{
	shim->host.mount_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	shim->host.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (shim->host.mount_ns < 0 || shim->host.root < 0)
		return hull_error_errno(err, errno, "open the host's mount namespace");
	return hull_share_enter_namespace(err);
}

static int make_pod(struct shim *shim, int listen_fd, struct hull_error *err)
{
	struct timespec now;
	int pair[2];
	clock_gettime(CLOCK_MONOTONIC, &now);
	shim->pod = hull_pod_new(&shim->loop, shim->config, &hull_vmm_qemu, shim->host.state_root, shim->hull_id, listen_fd, err);
	if (!shim->pod)
		return -err->code;
	shim->pod->started_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return hull_error_errno(err, errno, "make a socket pair");
	if (!hull_rpc_server_add(shim->pod->server, pair[0])) {
		close(pair[1]);
		return hull_error_errno(err, errno, "serve this process");
	}
	shim->self = hull_rpc_client_new(&shim->loop, pair[1], NULL, NULL, NULL);
	return shim->self ? 0 : hull_error_errno(err, errno, "connect to this process");
}

static int open_all(struct shim *shim, struct hull_error *err)
{
	const struct shim_events_target target = {
		.namespace = shim->args->namespace,
		.ttrpc_address = getenv("TTRPC_ADDRESS"),
		.address = shim->args->address,
		.publish_binary = shim->args->publish_binary,
		.host = &shim->host,
	};
	int r = hull_config_load(&shim->config, err);
	if (r == 0)
		r = leave_host(shim, err);
	if (r < 0)
		return r;
	uv_timer_init(&shim->loop, &shim->idle_timer);
	uv_timer_init(&shim->loop, &shim->quit_timer);
	shim->idle_timer.data = shim->quit_timer.data = shim;
	shim->events = shim_events_new(&shim->loop, &target);
	r = make_pod(shim, shim->args->pod_fd, err);
	if (r < 0)
		return r;
	shim->server = hull_rpc_server_new(&shim->loop, shim_services, shim_n_services, NULL, &server_ops, shim);
	r = hull_rpc_server_listen(shim->server, shim->args->task_fd);
	if (r < 0)
		return hull_error_errno(err, r, "listen for containerd");
	shim_check_idle(shim);
	return 0;
}

/* Everything else of the process goes with it. */
static void remove_files(struct shim *shim)
{
	_cleanup_free_ char *dir = hull_path_pod(shim->host.state_root, shim->hull_id);
	unlink(shim->args->socket);
	hull_rmtree(AT_FDCWD, dir);
}

int shim_serve(const struct shim_args *args, struct hull_error *err)
{
	struct shim shim = { .args = args, .host = { .mount_ns = -1, .root = -1, .state_root = (char *)(uintptr_t)args->root } };
	const int keep[] = { args->pod_fd < args->task_fd ? args->pod_fd : args->task_fd, args->pod_fd < args->task_fd ? args->task_fd : args->pod_fd };

	if (!args->root || !args->socket || args->pod_fd < 0 || args->task_fd < 0)
		return hull_error_set(err, EINVAL, "serve is for `start` only");
	hull_close_fds_except(3, keep, 2);
	hull_fd_cloexec(args->pod_fd, true);
	hull_fd_cloexec(args->task_fd, true);
	/* Again, though the sockets listen already: SO_PEERCRED names whoever called listen() last. */
	listen(args->pod_fd, 64);
	listen(args->task_fd, 64);
	shim.hull_id = shim_hull_id(args, args->id);
	open_log(&shim);
	(void)!chdir("/");
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0);

	int r = uv_loop_init(&shim.loop);
	r = r < 0 ? hull_error_errno(err, r, "make an event loop") : open_all(&shim, err);
	while (r == 0 && !shim.quit) {
		uv_run(&shim.loop, UV_RUN_DEFAULT);
		/* Only the pod and shim_quit() stop the loop. */
		if (!shim.quit)
			end_pod(&shim);
	}
	end_pod(&shim);
	remove_files(&shim);
	if (r < 0)
		hull_log_error("%s", err->message);
	return r;
}
