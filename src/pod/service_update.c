/* SPDX-License-Identifier: Apache-2.0 */
/* Update: new limits, in the guest and for the VM. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "pod/service.h"

static void on_updated(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_(hull_forwarded_freep) struct hull_forwarded *f = data;
	struct hull_container *c = hull_pod_find(f->pod, f->container_id);
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	struct hull_error err = HULL_ERROR_INIT;
	(void)response;
	if (status->code != HULL_RPC_OK)
		hull_rpc_fail(f->request, status->code, "%s", status->message);
	else if (c && hull_container_limit_host(c, f->resources, &err) < 0)
		hull_rpc_fail_error(f->request, &err);
	else
		hull_rpc_reply(f->request, &done.base);
}

/* An update waits for a VM that has room for it. */
struct update {
	struct hull_rpc_request *request;
	struct hull_oci_resources *resources;
	uint8_t *json;
	size_t len;
};

/* The VM is large enough: a limit that it could not keep would be a promise that nobody sees broken. */
static void on_update_fits(void *data, struct hull_container *c, const struct hull_error *err)
{
	struct update *u = data;
	if (err) {
		hull_rpc_fail_error(u->request, err);
	} else {
		Hull__Agent__V1__UpdateRequest a = HULL__AGENT__V1__UPDATE_REQUEST__INIT;
		a.container_id = c->id;
		a.resources_json = (ProtobufCBinaryData){ .len = u->len, .data = u->json };
		struct hull_forwarded *f = hull_forwarded_new(c->pod, u->request, c->id);
		f->resources = TAKE_PTR(u->resources);
		hull_rpc_call(hull_vm_agent(c->pod->vm), "hull.agent.v1.Agent", "UpdateContainer", &a.base,
			      &hull__agent__v1__empty__descriptor, HULL_AGENT_TIMEOUT_MS, NULL, 0, on_updated, f);
	}
	hull_oci_resources_free(u->resources);
	free(u->json);
	free(u);
}

/* More than any VM on this host can have is refused; on start the limit would merely never be reached. */
static int check_update(const struct hull_pod *pod, const struct hull_oci_resources *r, struct hull_error *err)
{
	uint64_t most = hull_vm_facts(pod->vm)->memory_max_bytes;
	if (r->has_memory_limit && r->memory_limit > 0 && (uint64_t)r->memory_limit > most)
		return hull_error_set(err, ERANGE, "memory.limit: %lld bytes are more than the %llu MiB that the VM can grow to",
				      (long long)r->memory_limit, (unsigned long long)most >> 20);
	return 0;
}

void hull_handle_update(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct hull_pod *pod = data;
	const Hull__Pod__V1__UpdateRequest *m = (const Hull__Pod__V1__UpdateRequest *)message;
	struct hull_container *c = hull_service_find(pod, m->container_id, request);
	struct hull_oci_resources *resources = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	if (!c)
		return;
	if (c->init->exited) {
		hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	if (hull_oci_resources_parse((const char *)m->resources_json.data, m->resources_json.len, &resources, &err) < 0 ||
	    check_update(pod, resources, &err) < 0) {
		hull_rpc_fail_error(request, &err);
	} else {
		struct update *u = hull_new(struct update, 1);
		struct hull_demand demand = c->demand;
		hull_demand_update(&demand, resources);
		*u = (struct update){ .request = request, .resources = TAKE_PTR(resources),
				      .json = hull_memdup(m->resources_json.data, m->resources_json.len), .len = m->resources_json.len };
		hull_pod_fit(c, &demand, on_update_fits, u);
	}
	hull_oci_resources_free(resources);
}
