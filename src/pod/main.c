/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hull-pod: the supervisor of one pod, started by `hull create` or `hull run`.
 *
 * Usage: hull-pod --root DIR --pod ID --listen FD [--debug]
 *
 * It lives in a mount namespace of its own, holds the listening socket it was given and nothing else of its parent, and ends with
 * its pod. When it dies, QEMU, virtiofsd and every mount of the pod die with it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/paths.h"
#include "pod/pod.h"

#define LOG_MAX_BYTES (1u << 20)
/* How long a pod may wait for its first Create before it gives up. */
#define ORPHAN_MS 10000

struct arguments {
	const char *root, *pod;
	int listen_fd;
	bool debug;
};

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "pod", required_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, 'l' },
		{ "debug", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t fd = -1;
	int c;
	*ret = (struct arguments){ .listen_fd = -1 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			ret->root = optarg;
		else if (c == 'p')
			ret->pod = optarg;
		else if (c == 'l' && hull_parse_i64(optarg, 3, 1 << 20, &fd) == 0)
			ret->listen_fd = (int)fd;
		else if (c == 'd')
			ret->debug = true;
		else
			return -EINVAL;
	}
	return ret->root && ret->pod && hull_container_id_valid(ret->pod) && ret->listen_fd >= 3 ? 0 : -EINVAL;
}

/* stdin, stdout and stderr become /dev/null and the pod's log; every other descriptor but the socket goes. */
static void detach(const struct arguments *a)
{
	_cleanup_free_ char *dir = hull_path_pod(a->root, a->pod);
	_cleanup_free_ char *path = hull_asprintf("%s/pod.log", dir);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
	hull_close_fds_except(3, &a->listen_fd, 1);
	fcntl(a->listen_fd, F_SETFD, FD_CLOEXEC);
	/* Again, though the socket listens already: SO_PEERCRED names whoever called listen() last. */
	listen(a->listen_fd, 64);
	hull_log_setup(STDERR_FILENO, HULL_LOG_TEXT, a->debug ? HULL_LOG_DEBUG : HULL_LOG_INFO, LOG_MAX_BYTES);
}

static void on_orphan(uv_timer_t *timer)
{
	struct hull_pod *pod = timer->data;
	if (!pod->containers && !pod->vm)
		hull_pod_lost(pod, "nobody asked for a container");
}

static int supervise(const struct arguments *a, struct hull_error *err)
{
	struct hull_config *config = NULL;
	uv_loop_t loop;
	uv_timer_t orphan;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	int r = hull_config_load(&config, err);
	if (r < 0)
		return r;
	r = hull_share_enter_namespace(err);
	if (r < 0) {
		hull_config_free(config);
		return r;
	}
	r = uv_loop_init(&loop);
	if (r < 0) {
		hull_config_free(config);
		return hull_error_errno(err, r, "make an event loop");
	}
	struct hull_pod *pod = hull_pod_new(&loop, config, &hull_vmm_qemu, a->root, a->pod, a->listen_fd, err);
	if (pod) {
		pod->started_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		uv_timer_init(&loop, &orphan);
		orphan.data = pod;
		uv_timer_start(&orphan, on_orphan, ORPHAN_MS, 0);
		uv_unref((uv_handle_t *)&orphan);
		uv_run(&loop, UV_RUN_DEFAULT);
		uv_close((uv_handle_t *)&orphan, NULL);
		hull_pod_free(pod);
	}
	hull_config_free(config);
	return pod ? 0 : -err->code;
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct hull_error err = HULL_ERROR_INIT;

	if (parse_arguments(argc, argv, &a) < 0) {
		fprintf(stderr, "hull-pod is started by hull, not by hand: --root DIR --pod ID --listen FD [--debug]\n");
		return 2;
	}
	detach(&a);
	hull_log_tag(a.pod);
	(void)!chdir("/");
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0);
	if (supervise(&a, &err) < 0) {
		hull_log_error("%s", err.message);
		return 1;
	}
	return 0;
}
