/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries of names from the VM to the name server that an engine has in the pod's network namespace (net/resolver.h). They come over one
 * stream of the agent's and go, each through a socket of its own, to that one address; nothing else can be reached that way.
 *
 *   query   sent ─answer▶ over      (sent ─deadline, error▶ over, with an empty answer)
 */
#pragma once

#include <uv.h>

#include "base/error.h"
#include "rpc/rpc.h"

struct hull_names;

/* Takes `netns_fd` over. Nothing happens before hull_names_ready(). */
struct hull_names *hull_names_new(uv_loop_t *loop, int netns_fd);

/* The agent answers. */
void hull_names_ready(struct hull_names *names, struct hull_rpc_client *agent);

/*
 * Something changed in the namespace: looks now, and again a little later, whether there is a name server, and lets the guest ask it or
 * not. Cheap. NULL is fine.
 */
void hull_names_look(struct hull_names *names);

/* Ends every query. Before the agent's client is freed. NULL is fine. */
void hull_names_free(struct hull_names *names);
