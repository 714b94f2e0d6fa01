/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a container as the OCI specification and runc print it. */
#pragma once

#include "pod/state.h"

struct json_object;

/* The object of `state`, `list --format json` and a hook's stdin. The caller puts it. */
struct json_object *hull_state_json(const struct hull_state *state, enum hull_status status);

/* runc's shape: indented, a space behind each colon. Freed by the caller. */
char *hull_json_text(struct json_object *object);
