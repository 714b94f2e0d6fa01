/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

void hull_cli_report(const struct hull_cli *cli, const char *message)
{
	if (!cli->quiet)
		fprintf(stderr, "hull: %s\n", message);
	/* Engines take the error from here. Source: conmon and go-runc read the last line with level "error". */
	if (cli->log_fd >= 0)
		hull_log_line(cli->log_fd, cli->log_format, HULL_LOG_ERROR, message);
}

int hull_cli_exit_code(const struct hull_error *err)
{
	/* runc's words for a program that cannot be run; the agent uses them too. */
	if (!strstr(err->message, "exec: ") && !strstr(err->message, "unable to start container process: exec /"))
		return HULL_EXIT_FAILURE;
	if (strstr(err->message, "executable file not found") || strstr(err->message, "no such file or directory"))
		return HULL_EXIT_NOT_FOUND;
	if (strstr(err->message, "permission denied") || strstr(err->message, "is a directory") ||
	    strstr(err->message, "exec format error"))
		return HULL_EXIT_CANNOT_EXEC;
	return HULL_EXIT_FAILURE;
}
