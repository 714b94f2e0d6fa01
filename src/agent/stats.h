/* SPDX-License-Identifier: Apache-2.0 */
/* GetStats and UpdateContainer: a container's control group, read and written. */
#pragma once

#include "rpc/rpc.h"

/* Handlers of the service, as in agent.h. */
void hull_handle_get_stats(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_update_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
