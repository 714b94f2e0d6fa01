/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run.h"

int hull_cmd_run(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct hull_create_options o = { .bundle = "." };
	bool detach = false, keep = false;
	const struct hull_option options[] = {
		{ "bundle", 'b', HULL_OPTION_STRING, &o.bundle, "DIR", "the bundle (default: here)" },
		{ "config", 'f', HULL_OPTION_STRING, &o.config, "FILE", "use FILE instead of the bundle's config.json" },
		{ "detach", 'd', HULL_OPTION_FLAG, &detach, NULL, "leave the container in the background" },
		{ "keep", 0, HULL_OPTION_FLAG, &keep, NULL, "do not delete the container when it ends" },
		{ "pid-file", 0, HULL_OPTION_STRING, &o.pid_file, "FILE", "write the container's host pid to FILE" },
		{ "console-socket", 0, HULL_OPTION_STRING, &o.console_socket, "SOCKET", "send the terminal's master to SOCKET" },
		{ "no-pivot", 0, HULL_OPTION_FLAG, &o.no_pivot, NULL, "do not use pivot_root in the guest" },
		{ "no-new-keyring", 0, HULL_OPTION_FLAG, &o.no_new_keyring, NULL, "do not make a session keyring" },
		{ "preserve-fds", 0, HULL_OPTION_NUMBER, &o.preserve_fds, "N", "only 0: descriptors cannot enter a VM" },
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
