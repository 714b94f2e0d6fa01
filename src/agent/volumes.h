/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volumes of the share. Each is a mount of its own on the host and so a file system of its own here, which comes into being when
 * it is first entered. The agent keeps it mounted, so that every container that has the volume has the same one.
 */
#pragma once

#include "agent/agent.h"

/*
 * Enters the volumes that the specification binds, in the agent's own mount namespace; what fails is found out when it is bound. For
 * a launcher before it leaves that namespace, as it may wait for the host's storage.
 */
void hull_volumes_cross(const struct hull_oci_spec *spec);

/* Whether a bind mount's source is one of them. NULL is none. */
bool hull_volumes_is_source(const char *source);

void hull_handle_forget_volumes(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_volumes_changed(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
