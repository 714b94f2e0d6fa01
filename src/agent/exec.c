/* SPDX-License-Identifier: Apache-2.0 */
/* Exec: a further process in a running container. */
#include "agent/agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/child.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"

/* The texts are runc's. */
static const char *why_not(const struct hull_container *container)
{
	const struct hull_process *init = container->init;
	if (container->deleting || !init || init->state == HULL_PROCESS_EXITED || init->exited_at_ns)
		return "cannot exec in a stopped container";
	if (container->paused)
		return "cannot exec in a paused container (use --ignore-paused to override)";
	if (init->state == HULL_PROCESS_LAUNCHING)
		return "cannot exec in a container that is not created yet";
	return NULL;
}

/*
 * The group to start in: the container's, or where its first process has gone if it took its group apart, since a
 * group with subgroups may not have processes of its own. Returns -1 for the container's group.
 */
static int find_cgroup(const struct hull_container *container)
{
	char path[64];
	_cleanup_free_ char *text = NULL, *full = NULL;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)container->init->pid);
	if (hull_file_read(AT_FDCWD, path, 8192, &text, NULL) < 0)
		return -1;
	char *line = strstr(text, "0::");
	if (!line)
		return -1;
	line += 3;
	line[strcspn(line, "\n")] = '\0';
	_cleanup_free_ char *own = hull_asprintf("/hull/%s", container->id);
	size_t n = strlen(own);
	if (strncmp(line, own, n) != 0 || line[n] != '/' || strstr(line, ".."))
		return -1;
	full = hull_asprintf(HULL_CGROUP_MOUNT "%s", line);
	int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fd;
}

static int launch(struct hull_container *container, const Hull__Agent__V1__ExecRequest *message,
		  const struct hull_oci_process *process, struct hull_rpc_request *request, struct hull_error *err)
{
	const struct hull_launch_streams streams = {
		{ message->has_stdin, message->has_stdout, message->has_stderr }, message->preserved, message->n_preserved,
	};
	_cleanup_close_ int cgroup_fd = find_cgroup(container);
	struct hull_child child = {
		.container_id = container->id, .process = process, .user_namespace = container->user_namespace,
		.new_keyring = container->new_keyring, .has_personality = container->has_personality,
		.personality = container->personality, .join = HULL_CHILD_JOIN_NONE,
		.filter = &container->filter, .cgroup_fd = cgroup_fd, .target = container->init->pidfd,
		.target_namespaces = container->exec_namespaces,
	};
	struct hull_process *record = hull_process_new(container, message->exec_id, process->terminal);
	int r = hull_launch(record, &child, hull_child_exec, &streams, request, err);
	if (r < 0)
		hull_process_free(record);
	return r;
}

void hull_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__ExecRequest *m = (const Hull__Agent__V1__ExecRequest *)message;
	struct hull_agent *agent = data;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_process *process = NULL;

	struct hull_container *container = hull_serve_container(agent, request, m->container_id);
	if (!container)
		return;
	const char *reason = why_not(container);
	if (reason) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "%s", reason);
	} else if (!hull_container_id_valid(m->exec_id)) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "invalid exec id");
	} else if (hull_process_find(container, m->exec_id)) {
		hull_rpc_fail(request, HULL_RPC_ALREADY_EXISTS, "process %s exists in container %s", m->exec_id,
			      m->container_id);
	} else if (agent->n_processes >= HULL_AGENT_PROCESSES_MAX) {
		hull_rpc_fail(request, HULL_RPC_RESOURCE_EXHAUSTED, "too many processes are kept in the VM");
	} else if (hull_oci_process_parse((const char *)m->process_json.data, m->process_json.len, &process, &err) < 0) {
		hull_rpc_fail_error(request, &err);
	} else if (launch(container, m, process, request, &err) < 0) {
		hull_error_wrap(&err, "unable to start container process");
		hull_rpc_fail_error(request, &err);
	}
	/* The child has its own copy of what it was told. */
	hull_oci_process_free(process);
}
