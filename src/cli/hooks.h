/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks that run on the host: all but startContainer. */
#pragma once

#include "oci/spec.h"
#include "pod/state.h"

/*
 * Runs the hooks one after the other in the directory `cwd`, with the container's state on stdin. The first that fails (status, signal, timeout) ends it with an
 * error that names the hook and quotes its stderr. Source: OCI runtime specification 1.2, "POSIX-platform Hooks".
 */
int hull_hooks_run(const struct hull_oci_hooks *hooks, const char *kind, const struct hull_state *state,
		   enum hull_status status, const char *cwd, struct hull_error *err);

/* The same for hooks whose failure is logged as a warning, after which the others still run: poststop. */
void hull_hooks_run_each(const struct hull_oci_hooks *hooks, const char *kind, const struct hull_state *state,
			 enum hull_status status, const char *cwd);
