/* SPDX-License-Identifier: Apache-2.0 */
/* What to execute, and the user's home, as runc finds them: inside the container, as the container's user. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

/*
 * Finds the program for args[0]. Returns a new string, or NULL with err set to runc's words; err->code is
 * ENOENT when it is not there (exit status 127) and another errno when it cannot be executed (126).
 * Source: Go os/exec LookPath(), which runc uses.
 */
char *hull_lookup_executable(const char *file, const struct hull_strv *env, struct hull_error *err);

/* The text of an errno in Go's spelling, which engines know: without a capital at the start. */
const char *hull_lookup_strerror(int code, char *buf, size_t size);

/* The value of `name` in an environment, or NULL. Borrowed. The last one wins. */
const char *hull_lookup_env(const struct hull_strv *env, const char *name);

/*
 * The home directory of `uid` by the text of a passwd file, or NULL. Caller frees.
 */
char *hull_lookup_home(const char *passwd, unsigned uid);
