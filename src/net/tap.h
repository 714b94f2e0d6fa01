/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <net/if.h>

#include "net/net.h"

/*
 * Makes a tap in the namespace in which the thread is, with nic->queues descriptors, and opens as many of vhost-net if the host has it.
 * The tap is down, has no address of its own and will get none.
 */
int hull_tap_make(struct hull_net_nic *nic, struct hull_error *err);

void hull_tap_close(struct hull_net_nic *nic);
