/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a pod: keeps the VM's interfaces, and what the guest knows of them, what they are in the pod's network namespace.
 *
 * It works in rounds: read the namespace, plug what is new, unplug what is gone, tell the agent. Whatever happens in the namespace
 * meanwhile makes another round. One order of steps for interfaces that were there before the VM, and for later ones.
 */
#pragma once

#include <uv.h>

#include "net/net.h"
#include "oci/spec.h"
#include "pod/vm.h"

struct hull_network;

/* `err` NULL: the guest has everything that was in the namespace when this was asked for. */
typedef void (*hull_network_settled_fn)(void *data, const struct hull_error *err);

/* What the configuration and the annotations of Kubernetes say about bandwidth; the annotations win. Bits per second. */
int hull_network_limits(const struct hull_config *config, const struct hull_oci_spec *spec, struct hull_net_limits *ret,
			struct hull_error *err);

/* Reads the namespace (taken over) for the first time; what cannot be given to a VM is an error here. */
int hull_network_new(uv_loop_t *loop, int netns_fd, unsigned queues, const struct hull_net_limits *limits, struct hull_network **ret,
		     struct hull_error *err);

/* The interfaces for a VM that is about to start; freed by the caller, their strings and descriptors borrowed. */
struct hull_nic *hull_network_nics(const struct hull_network *network, size_t *ret_n);

/* The VM has started with hull_network_nics(). */
void hull_network_plugged(struct hull_network *network, struct hull_vm *vm);

/* The agent answers: the first round begins. */
void hull_network_ready(struct hull_network *network);

/* Calls `fn` once what the namespace holds now is in the guest, or with the reason why not. Not before hull_network_ready(). */
void hull_network_settle(struct hull_network *network, hull_network_settled_fn fn, void *data);

/* Whoever waits under this `data` does not any more. */
void hull_network_forget(struct hull_network *network, const void *data);

/* Calls `fn` after every round from now on, until hull_network_stop(). */
void hull_network_watch(struct hull_network *network, void (*fn)(void *data), void *data);

struct hull_net *hull_network_net(struct hull_network *network);

/* The VM is about to be freed: no round begins any more, and nobody who waits is called. NULL is fine. */
void hull_network_stop(struct hull_network *network);

/* After hull_network_stop() and the VM's end. NULL is fine. */
void hull_network_free(struct hull_network *network);
