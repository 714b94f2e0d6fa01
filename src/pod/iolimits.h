/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a pod's disks may be, by annotations of its first container. */
#pragma once

#include "base/error.h"
#include "oci/spec.h"
#include "vmm/vmm.h"

/*
 * Reads blkio_cgroup, JSON as openEuler's and Kata Containers' users write it:
 *
 *     {"blkiocgroup": [{"path": "/dev/sda", "limits": [{"type": "throttle_read_bps", "value": 1000000}, …]}, …]}
 *
 * The path is the host's, under which nobody here knows a pod's disk: the limits hold for each disk, the lowest of several values
 * counts. Weights are refused: they need a control group on the host. *limits keeps what is not named. `*ret_found` says whether
 * there was one. Source: openEuler, secure container user guide, "Limiting Block I/O Resources".
 */
int hull_io_limits_parse(const struct hull_oci_spec *spec, struct hull_io_limits *limits, bool *ret_found, struct hull_error *err);
