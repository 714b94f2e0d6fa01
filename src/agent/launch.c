/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of a process' way into a container: see sync.h for the conversation. */
#include "agent/agent.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/child.h"
#include "agent/clone.h"
#include "agent/keep.h"
#include "agent/serve.h"
#include "agent/streams.h"
#include "agent/sync.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

#define LAUNCH_TIMEOUT_MS 60000

static bool is_init(const struct hull_process *process)
{
	return process->container->init == process;
}

/* No more conversation; the process goes on, or is dead. */
static void end_conversation(struct hull_process *process)
{
	hull_watch_free(process->sync);
	process->sync = NULL;
	hull_alarm_free(process->deadline);
	process->deadline = NULL;
}

/* The conversation is over: what the end of the process means is no longer held back (reap.c). */
static void settle(struct hull_process *process)
{
	process->state = process->exited_at_ns ? HULL_PROCESS_EXITED : HULL_PROCESS_RUNNING;
	if (process->state == HULL_PROCESS_EXITED)
		hull_process_end_streams(process);
}

/* A container that could not be created is undone before the caller hears of it; an exec leaves nothing. */
static void fail_launch(struct hull_process *process, const struct hull_error *cause)
{
	struct hull_error err = *cause;
	struct hull_rpc_request *request = TAKE_PTR(process->request);
	bool starting = process->state == HULL_PROCESS_STARTING;

	hull_error_wrap(&err, "unable to start container process");
	end_conversation(process);
	if (starting || process->container->deleting) {
		/* It exists, and ends: the caller deletes it, or somebody does already. */
		settle(process);
		if (request)
			hull_rpc_fail_error(request, &err);
	} else if (is_init(process)) {
		hull_container_destroy(process->container, request, &err);
	} else {
		hull_process_free(process);
		if (request)
			hull_rpc_fail_error(request, &err);
	}
}

/* What has not said that it failed may still be alive. */
static void kill_process(const struct hull_process *process)
{
	if (process->pidfd >= 0)
		hull_pidfd_kill(process->pidfd, SIGKILL);
}

static void on_deadline(void *data)
{
	struct hull_process *process = data;
	struct hull_error err = HULL_ERROR_INIT;
	kill_process(process);
	hull_error_set(&err, ETIMEDOUT, "no answer within %d s", LAUNCH_TIMEOUT_MS / 1000);
	fail_launch(process, &err);
}

/* Source: user_namespaces(7), "Defining user and group ID mappings". */
static int write_map(pid_t pid, const char *file, const struct hull_oci_id_mapping *map, size_t n)
{
	char path[64], text[4096];
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		int len = snprintf(text + used, sizeof(text) - used, "%u %u %u\n", map[i].container_id, map[i].host_id, map[i].size);
		used += (size_t)len;
		if (used >= sizeof(text))
			return -E2BIG;
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return used ? hull_file_write(AT_FDCWD, path, text) : 0;
}

static int on_pid(struct hull_process *process, pid_t pid, struct hull_error *err)
{
	const struct hull_container *container = process->container;
	process->pid = pid;
	process->pidfd = hull_pidfd_open(pid);
	if (process->pidfd < 0)
		return hull_error_errno(err, process->pidfd, "pidfd_open");

	bool maps = is_init(process) && container->spec->namespaces[HULL_NS_USER].present &&
		    !container->spec->namespaces[HULL_NS_USER].path;
	int r = maps ? write_map(pid, "uid_map", container->uid_map, container->n_uid_map) : 0;
	if (r == 0 && maps)
		r = write_map(pid, "gid_map", container->gid_map, container->n_gid_map);
	if (r < 0)
		return hull_error_errno(err, r, "map ids");
	r = hull_sync_go(hull_watch_fd(process->sync));
	return r < 0 ? hull_error_errno(err, r, "the process has ended early") : 0;
}

static void reply_started(struct hull_process *process)
{
	struct hull_rpc_request *request = TAKE_PTR(process->request);
	Hull__Agent__V1__ProcessStarted started = HULL__AGENT__V1__PROCESS_STARTED__INIT;
	started.guest_pid = process->pid;
	if (request)
		hull_rpc_reply(request, &started.base);
}

static int on_ready(struct hull_process *process, struct hull_error *err)
{
	struct hull_container *container = process->container;
	struct hull_oci_spec *spec = container->spec;
	if (process->state != HULL_PROCESS_LAUNCHING || !is_init(process))
		return hull_error_set(err, EPROTO, "unexpected message");

	if (hull_cgroup_seal(container->cgroup_fd, &spec->resources, err) < 0)
		return -err->code;
	container->keep = hull_keep_new(container->agent->loop, container->on_share ? process->pid : 0, spec);
	hull_oci_spec_free(container->spec);
	container->spec = NULL;
	malloc_trim(0);

	hull_alarm_free(process->deadline);
	process->deadline = NULL;
	process->state = HULL_PROCESS_CREATED;
	reply_started(process);
	return 0;
}

/* The channel was closed: by execve(), or by death. */
static void on_closed(struct hull_process *process)
{
	struct hull_error err = HULL_ERROR_INIT;
	bool runs = process->state == HULL_PROCESS_STARTING || (process->state == HULL_PROCESS_LAUNCHING &&
								!is_init(process) && process->pid > 0);
	if (process->state == HULL_PROCESS_CREATED) {
		/* Killed before StartContainer; its end is reported as that of any process. */
		end_conversation(process);
		return;
	}
	if (!runs) {
		bool oom = hull_cgroup_oom_kills(process->container->cgroup_fd) > process->oom_kills_before;
		hull_error_set(&err, oom ? ENOMEM : ECHILD, "the container process died while it was set up%s",
			       oom ? ": its memory limit is too low" : "");
		fail_launch(process, &err);
		return;
	}
	struct hull_rpc_request *request = process->state == HULL_PROCESS_STARTING ? TAKE_PTR(process->request) : NULL;
	end_conversation(process);
	settle(process);
	if (request)
		hull_reply_empty(request);
	else
		reply_started(process);
}

static void on_sync(void *data, int events)
{
	struct hull_process *process = data;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_sync_message message;
	int fd;
	int r = hull_sync_receive(hull_watch_fd(process->sync), &message, &fd);
	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		on_closed(process);
		return;
	}

	if (message.type == HULL_SYNC_PID && process->pid == 0)
		r = on_pid(process, message.value, &err);
	else if (message.type == HULL_SYNC_TTY && fd >= 0)
		hull_streams_set_terminal(process->streams, TAKE_FD(fd));
	else if (message.type == HULL_SYNC_READY)
		r = on_ready(process, &err);
	else if (message.type == HULL_SYNC_FAIL)
		r = hull_error_set(&err, message.value, "%s", message.text);
	else
		r = hull_error_set(&err, EPROTO, "unexpected message");
	hull_closep(&fd);
	if (r < 0 && message.type != HULL_SYNC_FAIL)
		kill_process(process);
	if (r < 0)
		fail_launch(process, &err);
}

/* The streams and the process' ends of them, which are the child's. */
static int make_streams(struct hull_process *process, const struct hull_launch_streams *how, unsigned uid, struct hull_child *child)
{
	int r = hull_streams_new(process, how->connected, uid, child->stdio, &process->streams);
	if (r < 0 || how->n_preserved == 0)
		return r;
	if (how->n_preserved > HULL_AGENT_PRESERVED_MAX)
		return -E2BIG;
	process->preserved = hull_new(struct hull_streams *, how->n_preserved);
	for (size_t i = 0; r == 0 && i < how->n_preserved; i++) {
		r = hull_streams_new_preserved(process, how->preserved[i]->readable, how->preserved[i]->writable, uid,
					       &child->preserved[i], &process->preserved[i]);
		process->n_preserved += r == 0;
		child->n_preserved += r == 0;
	}
	return r;
}

static void close_ends(struct hull_child *child)
{
	for (int i = 0; i < 3; i++)
		hull_closep(&child->stdio[i]);
	for (size_t i = 0; i < child->n_preserved; i++)
		hull_closep(&child->preserved[i]);
}

int hull_launch(struct hull_process *process, struct hull_child *child, void (*main)(struct hull_child *),
		const struct hull_launch_streams *streams, struct hull_rpc_request *request, struct hull_error *err)
{
	struct hull_container *container = process->container;
	unsigned uid = hull_container_map_id(container->uid_map, container->n_uid_map, child->process->user.uid);
	int fds[2];

	int r = hull_sync_pair(fds);
	if (r < 0)
		return hull_error_errno(err, r, "socketpair");
	_cleanup_close_ int theirs = fds[1];
	process->sync = hull_watch_new(container->agent->loop, fds[0], on_sync, process);
	child->stdio[0] = child->stdio[1] = child->stdio[2] = -1;
	r = make_streams(process, streams, uid, child);
	if (r < 0) {
		close_ends(child);
		return hull_error_errno(err, r, "make pipes");
	}

	child->sync = theirs;
	pid_t pid = hull_clone(0, child->cgroup_fd >= 0 ? child->cgroup_fd : container->cgroup_fd);
	if (pid == 0)
		main(child);
	close_ends(child);
	if (pid < 0)
		return hull_error_errno(err, pid, "fork");
	process->request = request;
	process->deadline = hull_alarm_new(container->agent->loop, on_deadline, process);
	hull_alarm_set(process->deadline, LAUNCH_TIMEOUT_MS);
	hull_watch_set(process->sync, UV_READABLE);
	return 0;
}

void hull_launch_release(struct hull_process *process, struct hull_rpc_request *request)
{
	struct hull_error err = HULL_ERROR_INIT;
	process->request = request;
	process->state = HULL_PROCESS_STARTING;
	process->deadline = hull_alarm_new(process->container->agent->loop, on_deadline, process);
	hull_alarm_set(process->deadline, LAUNCH_TIMEOUT_MS);
	int r = hull_sync_go(hull_watch_fd(process->sync));
	if (r < 0) {
		hull_error_errno(&err, r, "the process has ended");
		fail_launch(process, &err);
	}
}
