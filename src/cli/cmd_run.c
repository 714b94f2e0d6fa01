/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run.h"

int hull_cmd_run(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct hull_create_options o = { .bundle = "." };
	bool detach = false, keep = false;
	const struct hull_option options[] = {
		HULL_CREATE_OPTIONS(o),
		{ "detach", 'd', HULL_OPTION_FLAG, &detach, NULL, "leave the container in the background" },
		{ "keep", 0, HULL_OPTION_FLAG, &keep, NULL, "do not delete the container when it ends" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "run", "CONTAINER", "Creates a container, runs its program and deletes it.", 1, 1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	o.foreground = !detach;
	return hull_run(cli, argv[first], &o, keep, err);
}
