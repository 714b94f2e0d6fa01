/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/cli.h"
#include "oci/spec.h"

int hull_cmd_spec(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *bundle = NULL;
	bool rootless = false;
	const struct hull_option options[] = {
		{ "bundle", 'b', HULL_OPTION_STRING, &bundle, "DIR", "write config.json into DIR (default: here)" },
		{ "rootless", 0, HULL_OPTION_FLAG, &rootless, NULL, "refused: Hull runs as root" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "spec", "", "Writes a config.json to start from.", 0, 0 };
	int first;
	(void)cli;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (rootless) {
		hull_error_set(err, EOPNOTSUPP, "spec: --rootless: Hull runs as root; leave the option out");
		return HULL_EXIT_FAILURE;
	}
	_cleanup_free_ char *path = hull_asprintf("%s/config.json", bundle ? bundle : ".");
	_cleanup_free_ char *text = hull_oci_default_config();
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		hull_error_errno(err, errno, "write %s", path);
		return HULL_EXIT_FAILURE;
	}
	r = hull_fd_write_all(fd, text, strlen(text));
	if (r < 0) {
		unlink(path);
		hull_error_errno(err, r, "write %s", path);
		return HULL_EXIT_FAILURE;
	}
	return HULL_EXIT_OK;
}
