/* SPDX-License-Identifier: Apache-2.0 */
/* startContainer hooks: programs of the container, run in it. The other kinds run on the host or are refused there. */
#pragma once

#include "base/error.h"
#include "oci/spec.h"

/*
 * Runs the hooks one after another with the container's state on stdin, as children of the calling process. A hook that
 * fails or exceeds its timeout ends the row with an error.
 */
int hull_hooks_run(const struct hull_oci_spec *spec, const char *container_id, struct hull_error *err);
