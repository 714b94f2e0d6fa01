/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to localhost in a pod's network namespace on the host. The pod's servers are in its VM, but engines that forward a port
 * (kubectl port-forward) connect to localhost in the namespace: a small BPF program gives whatever TCP connection they make there to
 * one listening socket. It goes with its descriptors; nothing is left in the namespace.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct hull_loopback {
	int listener;                  /* not blocking */
	int link;                      /* what ties the program to the namespace */
};
#define HULL_LOOPBACK_NONE { -1, -1 }

/*
 * -errno with err set if this kernel cannot do that (Linux 5.9, BPF not locked down): forwarding does not work then, and all else does.
 * Source: kernel documentation, BPF sk_lookup program.
 */
int hull_loopback_open(int netns_fd, struct hull_loopback *ret, struct hull_error *err);

/* The port that an accepted connection was made to; 0: not known. */
uint16_t hull_loopback_port(int fd);

void hull_loopback_close(struct hull_loopback *loopback);
