/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

int hull_cmd_create(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	struct hull_create_options o = { .bundle = "." };
	const struct hull_option options[] = {
		HULL_CREATE_OPTIONS(o),
		{ "supervised", 0, HULL_OPTION_FLAG, &o.supervised, NULL, "for containerd-shim-hull-v2: it supervises the pod itself" },
		{ "rootfs-block", 0, HULL_OPTION_STRING, &o.rootfs_block, "TYPE:SOURCE", "the rootfs is a file system on a block device or image" },
		{ "rootfs-block-options", 0, HULL_OPTION_STRING, &o.rootfs_block_options, "LIST", "and these are its mount options" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "create", "CONTAINER", "Creates a container; `hull start` runs its program.", 1, 1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	/* The stdio is the container's, and the caller reads --log. */
	cli->quiet = o.supervised;
	r = hull_create(cli, argv[first], &o, NULL, err);
	return r < 0 ? hull_cli_exit_code(err) : HULL_EXIT_OK;
}
