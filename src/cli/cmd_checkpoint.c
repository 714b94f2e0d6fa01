/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint and restore: known verbs that this version refuses, so that engines hear why. */
#include "cli/cli.h"

static int refuse(const char *verb, struct hull_error *err)
{
	hull_error_set(err, EOPNOTSUPP, "%s: not supported: the state of a container is inside its VM, and this version cannot save a VM", verb);
	return HULL_EXIT_FAILURE;
}

int hull_cmd_checkpoint(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	(void)cli;
	(void)argc;
	(void)argv;
	return refuse("checkpoint", err);
}

int hull_cmd_restore(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	(void)cli;
	(void)argc;
	(void)argv;
	return refuse("restore", err);
}
