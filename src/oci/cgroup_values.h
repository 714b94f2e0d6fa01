/* SPDX-License-Identifier: Apache-2.0 */
/* Values of cgroup v1, which the specification uses, in terms of cgroup v2. For host and guest. */
#pragma once

#include <stdint.h>

/* Source: crun and runc, shares to weight: [2, 262144] to [1, 10000]. 0 stays 0: not set. */
uint64_t hull_oci_shares_to_weight(uint64_t shares);

/* Source: runc, blkio weight [10, 1000] to io.weight [1, 10000]. 0 stays 0. */
uint64_t hull_oci_blkio_to_io_weight(uint64_t weight);
