/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics as containerd and CRI read them. */
#pragma once

#include "rpc/agent.pb-c.h"
#include "shim/containerd.pb-c.h"

/* Both containerd 1.6 and 2.x register this name. Source: containerd/cgroups v1.0 and v3, cgroup2/stats. */
#define SHIM_METRICS_TYPE "io.containerd.cgroups.v2.Metrics"

/* The guest's control group as packed Metrics: new memory. The numbers are the guest's, and are only shown. */
uint8_t *shim_metrics_pack(const Hull__Agent__V1__Stats *stats, size_t *ret_len);
