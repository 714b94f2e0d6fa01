/* SPDX-License-Identifier: Apache-2.0 */
/* createContainer and startContainer hooks: the two that run in the guest. */
#pragma once

#include "base/error.h"
#include "oci/spec.h"

/*
 * Runs the hooks one after another with the container's state on stdin, as children of the calling process. `status` is
 * "creating" or "created". A hook that fails or exceeds its timeout ends the row with an error.
 */
int hull_hooks_run(const struct hull_oci_hooks *hooks, const struct hull_oci_spec *spec, const char *container_id,
		   const char *status, struct hull_error *err);
