/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name server that Docker has in the network namespaces of its own networks' containers: dockerd listens on 127.0.0.11, on a port
 * of the kernel's choice, and a rule in the namespace leads port 53 there. Source: moby libnetwork, resolver.go, resolver_unix.go.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Port 53 of it. */
#define HULL_RESOLVER_ADDRESS 0x7f00000bu
#define HULL_RESOLVER_PORT 53

/* Whether somebody hears datagrams at that address in the namespace. */
bool hull_resolver_present(int netns_fd);

/*
 * A socket in the namespace, not blocking, on its way to the server (`tcp`) or to send to it and hear from it alone (UDP). The
 * descriptor, or -errno with err set.
 */
int hull_resolver_connect(int netns_fd, bool tcp, struct hull_error *err);
