/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a program a short question: --version, --help. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/*
 * Runs `path` with `argv` to its end, and returns what it wrote to stdout and stderr, NUL-terminated, owned by the
 * caller. Output beyond `max` bytes is cut off. Blocks for timeout_ms at most; then ETIMEDOUT. The process is gone on
 * return. The exit status does not matter.
 */
int hull_spawn_output(const char *path, char *const *argv, size_t max, int timeout_ms, char **ret_text,
		      struct hull_error *err);
