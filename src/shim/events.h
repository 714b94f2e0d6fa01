/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling containerd what happened, in order and without loss: over ttrpc to its socket, or through its publish command when there is none.
 * What cannot be told waits until containerd is back; as nothing new begins without containerd, that is at most the end of what runs.
 */
#pragma once

#include <stdbool.h>

#include <uv.h>

#include "shim/child.h"

struct shim_events;

struct shim_events_target {
	const char *namespace;
	const char *ttrpc_address;     /* NULL or "": none */
	const char *address, *publish_binary;      /* for the command; NULL: events are only logged */
	const struct shim_host *host;
};

/* The strings and the host are borrowed. */
struct shim_events *shim_events_new(uv_loop_t *loop, const struct shim_events_target *target);

/* `topic` and `type` are literals: "/tasks/exit", "containerd.events.TaskExit". */
void shim_events_publish(struct shim_events *events, const char *topic, const char *type, const ProtobufCMessage *message);

/* Whether all have been told. */
bool shim_events_idle(const struct shim_events *events);

/* What waits is lost. NULL is fine. */
void shim_events_free(struct shim_events *events);
