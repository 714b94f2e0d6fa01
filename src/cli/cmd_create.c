/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

int hull_cmd_create(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct hull_create_options o = { .bundle = "." };
	const struct hull_option options[] = {
		{ "bundle", 'b', HULL_OPTION_STRING, &o.bundle, "DIR", "the bundle (default: here)" },
		{ "config", 'f', HULL_OPTION_STRING, &o.config, "FILE", "use FILE instead of the bundle's config.json" },
		{ "pid-file", 0, HULL_OPTION_STRING, &o.pid_file, "FILE", "write the container's host pid to FILE" },
		{ "console-socket", 0, HULL_OPTION_STRING, &o.console_socket, "SOCKET", "send the terminal's master to SOCKET" },
		{ "no-pivot", 0, HULL_OPTION_FLAG, &o.no_pivot, NULL, "do not use pivot_root in the guest" },
		{ "no-new-keyring", 0, HULL_OPTION_FLAG, &o.no_new_keyring, NULL, "do not make a session keyring" },
		{ "preserve-fds", 0, HULL_OPTION_NUMBER, &o.preserve_fds, "N", "only 0: descriptors cannot enter a VM" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "create", "CONTAINER", "Creates a container; `hull start` runs its program.", 1, 1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	r = hull_create(cli, argv[first], &o, NULL, err);
	return r < 0 ? hull_cli_exit_code(err) : HULL_EXIT_OK;
}
