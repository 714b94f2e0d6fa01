/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

struct hull_try_options {
	const char *image;             /* NULL: the built-in one */
	const char *reference, *user, *cwd, *memory;
	struct hull_strv env;
	bool interactive, tty, quiet;
};

/*
 * Makes a bundle in the empty directory `work`: config.json, and the rootfs unless the image is a directory to be used in place. `args` is the
 * command, NULL-terminated; when empty, what the image says, or a shell. With !interactive, stdin becomes /dev/null in this process.
 */
int hull_try_bundle(const struct hull_try_options *o, const char *work, char **args, struct hull_error *err);
