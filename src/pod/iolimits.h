/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a pod's disks and what it shares with the host may be, by hull.conf and annotations of its first container. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "oci/spec.h"
#include "vmm/vmm.h"

struct hull_pod_io {
	struct hull_io_limits disk;    /* of each disk of the pod: kept by the VMM */
	struct hull_io_limits share;   /* of each of the host's disks behind the share: kept by the host */
	uint16_t weight;               /* among the host's control groups, 10 to 1000; 0: not said */
	const char *said_by;           /* for errors: "hull.conf" or the annotation's key */
};

/*
 * Reads blkio_cgroup over what *io has from hull.conf, JSON as openEuler's and Kata Containers' users write it:
 *
 *     {"blkiocgroup": [{"path": "/dev/sda", "limits": [{"type": "throttle_read_bps", "value": 1000000}, …]}, …]}
 *
 * The path is one of the host's, under which nobody here knows a pod's disk: the limits hold for each disk, and for each of the host's
 * behind the share; the lowest of several values counts. *io keeps what is not named. Source: openEuler, secure container user guide,
 * "Limiting Block I/O Resources".
 */
int hull_pod_io_parse(const struct hull_oci_spec *spec, struct hull_pod_io *io, struct hull_error *err);

/* Whether the host has something to keep. */
bool hull_pod_io_acts_on_host(const struct hull_pod_io *io);
