/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve.h"

#include "agent/boot.h"
#include "agent/disks.h"
#include "agent/forward.h"
#include "agent/names.h"
#include "agent/stats.h"
#include "agent/volumes.h"
#include "base/log.h"
#include "base/units.h"

/* The frames of one connection: config.json with room for its envelope. */
#define PAYLOAD_MAX (4u << 20)

static const struct hull_rpc_method methods[] = {
	{ "GetInfo", &hull__agent__v1__empty__descriptor, hull_handle_get_info, NULL },
	{ "CreateSandbox", &hull__agent__v1__create_sandbox_request__descriptor, hull_handle_create_sandbox, NULL },
	{ "CreateContainer", &hull__agent__v1__create_container_request__descriptor, hull_handle_create_container, NULL },
	{ "StartContainer", &hull__agent__v1__container_ref__descriptor, hull_handle_start_container, NULL },
	{ "DeleteContainer", &hull__agent__v1__container_ref__descriptor, hull_handle_delete_container, NULL },
	{ "PauseContainer", &hull__agent__v1__container_ref__descriptor, hull_handle_pause_container, NULL },
	{ "ResumeContainer", &hull__agent__v1__container_ref__descriptor, hull_handle_resume_container, NULL },
	{ "Exec", &hull__agent__v1__exec_request__descriptor, hull_handle_exec, NULL },
	{ "Signal", &hull__agent__v1__signal_request__descriptor, hull_handle_signal, NULL },
	{ "Wait", &hull__agent__v1__process_ref__descriptor, hull_handle_wait, NULL },
	{ "DeleteProcess", &hull__agent__v1__process_ref__descriptor, hull_handle_delete_process, NULL },
	{ "ResizeTerminal", &hull__agent__v1__resize_request__descriptor, hull_handle_resize_terminal, NULL },
	{ "ListProcesses", &hull__agent__v1__container_ref__descriptor, hull_handle_list_processes, NULL },
	{ "GetStats", &hull__agent__v1__container_ref__descriptor, hull_handle_get_stats, NULL },
	{ "AwaitOom", &hull__agent__v1__oom_watch__descriptor, hull_handle_await_oom, NULL },
	{ "UpdateContainer", &hull__agent__v1__update_request__descriptor, hull_handle_update_container, NULL },
	{ "OnlineCpus", &hull__agent__v1__online_cpus_request__descriptor, hull_handle_online_cpus, NULL },
	{ "ForgetVolumes", &hull__agent__v1__volumes_ref__descriptor, hull_handle_forget_volumes, NULL },
	{ "VolumesChanged", &hull__agent__v1__volume_changes__descriptor, hull_handle_volumes_changed, NULL },
	{ "AwaitDisk", &hull__agent__v1__disk_ref__descriptor, hull_handle_await_disk, NULL },
	{ "ConfigureNetwork", &hull__agent__v1__network__descriptor, hull_handle_configure_network, NULL },
	{ "Stdio", &hull__agent__v1__stdio_frame__descriptor, NULL, hull_handle_stdio },
	{ "Connect", &hull__agent__v1__stdio_frame__descriptor, NULL, hull_handle_connect },
	{ "ResolveNames", &hull__agent__v1__name_message__descriptor, NULL, hull_handle_resolve_names },
	{ "Shutdown", &hull__agent__v1__empty__descriptor, hull_handle_shutdown, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const struct hull_rpc_service service = { "hull.agent.v1.Agent", methods };

void hull_reply_empty(struct hull_rpc_request *request)
{
	Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
	hull_rpc_reply(request, &empty.base);
}

struct hull_container *hull_serve_container(struct hull_agent *agent, struct hull_rpc_request *request, const char *id)
{
	if (!hull_container_id_valid(id)) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "invalid container id");
		return NULL;
	}
	struct hull_container *container = hull_container_find(agent, id);
	if (!container)
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s does not exist in the VM", id);
	return container;
}

struct hull_process *hull_serve_process(struct hull_agent *agent, struct hull_rpc_request *request, const char *id,
					const char *exec_id)
{
	struct hull_container *container = hull_serve_container(agent, request, id);
	if (!container)
		return NULL;
	struct hull_process *process = hull_process_find(container, exec_id);
	if (!process)
		hull_rpc_fail(request, HULL_RPC_NOT_FOUND, "container %s has no process %s", id, exec_id);
	return process;
}

/* Without its supervisor a VM has no purpose. */
static void on_disconnect(void *data, struct hull_rpc_conn *conn)
{
	hull_log_info("the supervisor is gone");
	hull_poweroff();
}

int hull_serve(struct hull_agent *agent, int port, struct hull_error *err)
{
	static const struct hull_rpc_server_ops ops = { .on_disconnect = on_disconnect };
	const struct hull_rpc_limits limits = { .payload_max = PAYLOAD_MAX };
	agent->server = hull_rpc_server_new(agent->loop, &service, 1, &limits, &ops, agent);
	if (!hull_rpc_server_add(agent->server, port))
		return hull_error_set(err, EIO, "serve the port");
	return 0;
}
