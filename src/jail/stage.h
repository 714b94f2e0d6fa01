/* SPDX-License-Identifier: Apache-2.0 */
/* The larger stages of hull_spawn(). They run between clone and exec: system calls only, no allocation. */
#pragma once

#include "jail/spawn.h"

#define HULL_STAGE_WHAT_MAX 256

/* What a stage was doing when it failed. */
struct hull_stage {
	char what[HULL_STAGE_WHAT_MAX];
};

/* Notes what failed and returns `code` (a negative errno), so it can end a function. */
int hull_stage_fail(struct hull_stage *stage, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* root: the host's file system. Leaves a read-only tmpfs with the binds and device nodes that `s` names. */
int hull_stage_root(const struct hull_spawn *s, struct hull_stage *stage);

/* privileges: root, its groups, every capability, and the ways to regain one. */
int hull_stage_privileges(const struct hull_spawn *s, struct hull_stage *stage);
