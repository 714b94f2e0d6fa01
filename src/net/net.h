/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's network namespace on the host. For each interface in it there is a tap, and frames are redirected between the two before the
 * namespace's own stack sees them; the VM gets the tap, and a description of everything else (addresses, routes, neighbours).
 *
 * The namespace is the engine's, and the truth: what changes in it is carried over by another hull_net_refresh(). Nothing of it stays
 * when the pod is gone: taps live as long as their descriptors, and hull_net_free() takes the redirects away.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "netlink/rtnl.h"
#include "rpc/agent.pb-c.h"
#include "rpc/pod.pb-c.h"

#define HULL_NET_QUEUES_MAX 8
#define HULL_NET_NICS_MAX 30

struct hull_net;

/* Bits per second; 0: no limit. */
struct hull_net_limits {
	uint64_t ingress_bps;          /* to the pod */
	uint64_t egress_bps;           /* from the pod */
};

struct hull_net_nic {
	struct hull_net_nic *next;
	int link_index;                /* of the engine's interface */
	char id[16];                   /* for the VMM */
	char name[IFNAMSIZ];           /* the engine's name of it, for people */
	uint8_t mac[6];                /* with which it is plugged; unique in the VM */
	char mac_text[18];
	int tap_index;
	int tap_fds[HULL_NET_QUEUES_MAX], vhost_fds[HULL_NET_QUEUES_MAX];     /* -1: the VMM has them, or there are none */
	unsigned queues;
	bool vhost;

	/* The caller's: whether the VMM has it, and whether the VMM is at work on it. */
	bool plugged, busy;
	bool gone;                     /* the engine's interface is not there any more, or not to be carried */
	bool failed;                   /* could not be plugged, and will not be tried again */
};

/*
 * Takes over `netns_fd`. `queues`: of each interface, 1 to HULL_NET_QUEUES_MAX. Whether the namespace may be used at all is asked before:
 * hull_netns_check_….
 */
int hull_net_open(int netns_fd, unsigned queues, const struct hull_net_limits *limits, struct hull_net **ret, struct hull_error *err);

/*
 * Reads the namespace: makes what is needed for new interfaces (not yet plugged), marks those that went as gone. An interface that
 * cannot be carried is left alone; *ret_unsupported then says why (borrowed until the next call), otherwise it is "".
 */
int hull_net_refresh(struct hull_net *net, const char **ret_unsupported, struct hull_error *err);

struct hull_rtnl *hull_net_rtnl(struct hull_net *net);

/* Readable when something in the namespace may have changed; hull_net_acknowledge() reads it empty. */
int hull_net_watch_fd(const struct hull_net *net);
bool hull_net_acknowledge(struct hull_net *net);

/* All interfaces, the ones that are gone included. */
struct hull_net_nic *hull_net_nics(const struct hull_net *net);

/* The VMM has its descriptors now: ours are closed. */
void hull_net_nic_handed_over(struct hull_net_nic *nic);

/* Takes the redirect away and forgets the interface. */
void hull_net_nic_free(struct hull_net *net, struct hull_net_nic *nic);

/* What the guest is to have, as of the last refresh: of interfaces that are plugged. Borrowed until the next refresh. */
const Hull__Agent__V1__Network *hull_net_describe(struct hull_net *net);

/*
 * Does by hand what engines do: changes the namespace, from which the next refresh carries it over. An error names what it is about; what
 * came before it in the request has been done.
 */
int hull_net_edit(struct hull_net *net, const Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err);

/* What hull_net_describe() says, as `hull network` prints it. Freed with hull__pod__v1__network_list__free_unpacked(). */
Hull__Pod__V1__NetworkList *hull_net_list(struct hull_net *net);

/* Takes every redirect away. NULL is fine. */
void hull_net_free(struct hull_net *net);

/*
 * Takes away what a pod left behind in a namespace that outlives it, when it was killed before it could: for `hull delete`. What
 * belongs to a pod that runs is left alone.
 */
int hull_net_clean(int netns_fd, struct hull_error *err);
