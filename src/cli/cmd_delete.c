/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

int hull_cmd_delete(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	bool force = false;
	const struct hull_option options[] = {
		{ "force", 'f', HULL_OPTION_FLAG, &force, NULL, "kill the container if it still runs; no error if it is not there" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "delete", "CONTAINER…", "Deletes containers and everything that is left of them.", 1, -1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	for (int i = first; i < argc; i++) {
		struct hull_error one = HULL_ERROR_INIT;
		if (hull_delete(cli, argv[i], force, &one) < 0) {
			if (err->code)
				hull_cli_report(cli, err->message);
			*err = one;
			r = -1;
		}
	}
	return r < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
