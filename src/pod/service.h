/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of the Pod service share. Private to service*.c. */
#pragma once

#include "pod/pod.h"

#define HULL_AGENT_TIMEOUT_MS 30000

/* A container that was created; NULL: there is none, and the request was answered. */
struct hull_container *hull_service_find(struct hull_pod *pod, const char *id, struct hull_rpc_request *request);

/* A call that goes on to the agent. By names, because container and process may go while it is under way. */
struct hull_forwarded {
	struct hull_rpc_request *request;
	struct hull_pod *pod;
	char *container_id;
	char *exec_id;
	enum hull_status then;         /* the container's status after success, for calls that change it */
	struct hull_oci_resources *resources;  /* of an update */
};

/* The request is borrowed until it is answered. */
struct hull_forwarded *hull_forwarded_new(struct hull_pod *pod, struct hull_rpc_request *request, const char *id);
void hull_forwarded_freep(struct hull_forwarded **f);

/* ---- service_exec.c, service_update.c */

void hull_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_update(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
