/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/agent.h"

/* Serves hull.agent.v1.Agent on the port (taken over). When the host closes it the VM ends. */
int hull_serve(struct hull_agent *agent, int port, struct hull_error *err);

/* Answers Empty. */
void hull_reply_empty(struct hull_rpc_request *request);

/*
 * The container, or the process, that a request names; NULL after the request was answered NOT_FOUND (or
 * INVALID_ARGUMENT for an id that is none).
 */
struct hull_container *hull_serve_container(struct hull_agent *agent, struct hull_rpc_request *request, const char *id);
struct hull_process *hull_serve_process(struct hull_agent *agent, struct hull_rpc_request *request, const char *id,
					const char *exec_id);
