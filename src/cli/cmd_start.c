/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

int hull_cmd_start(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "start", "CONTAINER", "Starts the program of a created container.", 1, 1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	return hull_start(cli, argv[first], err) < 0 ? hull_cli_exit_code(err) : HULL_EXIT_OK;
}
