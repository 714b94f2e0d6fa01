/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/create.h"

/*
 * Creates and starts a container. In the foreground (options->foreground) carries signals and the terminal until it ends, deletes it unless
 * `keep`, and returns its exit code. Otherwise returns when it runs. An exit code for main() either way; err is set for Hull's own failures.
 */
int hull_run(const struct hull_cli *cli, const char *id, const struct hull_create_options *options, bool keep,
	     struct hull_error *err);
