/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries of names that programs send to 127.0.0.11, for a host on which an engine's name server is there (agent.proto, ResolveNames).
 *
 * Nothing is bound to port 53, which may be a container's own server's: a BPF program gives what arrives at that address to sockets
 * that listen elsewhere. A connection keeps its addresses that way; an answer to a datagram is sent from a raw socket in the server's name.
 */
#pragma once

#include "rpc/rpc.h"

/* `data`: the agent. */
void hull_handle_resolve_names(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data);
