/* SPDX-License-Identifier: Apache-2.0 */
/* The records of containers and processes, and the end of a container. */
#include "agent/agent.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/keep.h"
#include "agent/serve.h"
#include "agent/streams.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/process.h"

#define EMPTY_TIMEOUT_MS 10000
#define EMPTY_POLL_MS 2

struct hull_container *hull_container_find(struct hull_agent *agent, const char *id)
{
	struct hull_container *container;
	LIST_FOREACH(container, &agent->containers, link) {
		if (strcmp(container->id, id) == 0)
			return container;
	}
	return NULL;
}

struct hull_process *hull_process_find(struct hull_container *container, const char *exec_id)
{
	struct hull_process *process;
	LIST_FOREACH(process, &container->processes, link) {
		if (strcmp(process->exec_id, exec_id) == 0)
			return process;
	}
	return NULL;
}

struct hull_process *hull_process_new(struct hull_container *container, const char *exec_id, bool terminal)
{
	struct hull_process *process = hull_new(struct hull_process, 1);
	process->container = container;
	process->exec_id = hull_strdup(exec_id);
	process->terminal = terminal;
	process->pidfd = -1;
	process->oom_kills_before = hull_cgroup_oom_kills(container->cgroup_fd);
	LIST_INIT(&process->waiters);
	LIST_INSERT_HEAD(&container->processes, process, link);
	container->agent->n_processes++;
	return process;
}

void hull_process_end_streams(struct hull_process *process)
{
	hull_streams_process_exited(process->streams);
	for (size_t i = 0; i < process->n_preserved; i++)
		hull_streams_process_exited(process->preserved[i]);
}

void hull_process_free(struct hull_process *process)
{
	hull_reap_forget(process);
	if (process->request)
		hull_rpc_fail(process->request, HULL_RPC_ABORTED, "the process was deleted");
	hull_watch_free(process->sync);
	hull_alarm_free(process->deadline);
	hull_streams_free(process->streams);
	for (size_t i = 0; i < process->n_preserved; i++)
		hull_streams_free(process->preserved[i]);
	free(process->preserved);
	if (process->pidfd >= 0)
		close(process->pidfd);
	LIST_REMOVE(process, link);
	process->container->agent->n_processes--;
	if (process->container->init == process)
		process->container->init = NULL;
	free(process->exec_id);
	free(process);
}

struct hull_container *hull_container_new(struct hull_agent *agent, const char *id, struct hull_error *err)
{
	int cgroup_fd = hull_cgroup_create(id, err);
	if (cgroup_fd < 0)
		return NULL;
	struct hull_container *container = hull_new(struct hull_container, 1);
	container->agent = agent;
	container->id = hull_strdup(id);
	container->cgroup_fd = cgroup_fd;
	LIST_INIT(&container->processes);
	LIST_INSERT_HEAD(&agent->containers, container, link);
	agent->n_containers++;
	if (!agent->pod_container)
		agent->pod_container = hull_strdup(id);
	return container;
}

void hull_container_free(struct hull_container *container)
{
	struct hull_agent *agent = container->agent;
	while (!LIST_EMPTY(&container->processes))
		hull_process_free(LIST_FIRST(&container->processes));
	hull_alarm_free(container->tick);
	hull_oom_forget(container);
	close(container->cgroup_fd);
	hull_keep_release(container->keep);
	int r = hull_cgroup_remove(container->id);
	if (r < 0)
		hull_log_warning("%s: remove the control group: %s", container->id, strerror(-r));
	/* A failed first attempt leaves its place to the next. */
	if (agent->pod_container && strcmp(agent->pod_container, container->id) == 0) {
		free(agent->pod_container);
		agent->pod_container = NULL;
	}
	LIST_REMOVE(container, link);
	agent->n_containers--;
	hull_oci_spec_free(container->spec);
	free(container->filter.v);
	free(container->uid_map);
	free(container->gid_map);
	free(container->delete_error);
	free(container->id);
	free(container);
	malloc_trim(0);
}

static void finish_destroy(struct hull_container *container)
{
	struct hull_rpc_request *request = container->tick_request;
	struct hull_error *error = TAKE_PTR(container->delete_error);
	container->tick_request = NULL;
	hull_container_free(container);
	if (request && error)
		hull_rpc_fail_error(request, error);
	else if (request)
		hull_reply_empty(request);
	free(error);
}

static void on_destroy_tick(void *data)
{
	struct hull_container *container = data;
	if (!hull_cgroup_populated(container->cgroup_fd)) {
		finish_destroy(container);
		return;
	}
	if (hull_now_ms() < container->tick_deadline_ms) {
		/* Again and again: a process that was being forked may have been missed. */
		hull_cgroup_kill(container->cgroup_fd);
		hull_alarm_set(container->tick, EMPTY_POLL_MS);
		return;
	}
	container->deleting = false;
	struct hull_rpc_request *request = container->tick_request;
	container->tick_request = NULL;
	if (request)
		hull_rpc_fail(request, HULL_RPC_DEADLINE_EXCEEDED, "container %s: processes do not end", container->id);
}

void hull_container_destroy(struct hull_container *container, struct hull_rpc_request *request,
			    const struct hull_error *error)
{
	if (container->tick_request)
		hull_rpc_fail(container->tick_request, HULL_RPC_ABORTED, "the container is being deleted");
	hull_alarm_free(container->tick);
	container->deleting = true;
	container->tick_request = request;
	free(container->delete_error);
	container->delete_error = error ? hull_memdup(error, sizeof(*error)) : NULL;
	container->tick_deadline_ms = hull_now_ms() + EMPTY_TIMEOUT_MS;
	container->tick = hull_alarm_new(container->agent->loop, on_destroy_tick, container);
	hull_cgroup_kill(container->cgroup_fd);
	hull_alarm_set(container->tick, 0);
}

uint32_t hull_container_map_id(const struct hull_oci_id_mapping *map, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++) {
		if (id >= map[i].container_id && id - map[i].container_id < map[i].size)
			return map[i].host_id + (id - map[i].container_id);
	}
	return id;
}
