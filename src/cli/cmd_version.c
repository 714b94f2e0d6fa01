/* SPDX-License-Identifier: Apache-2.0 */
/* version and features: what this Hull is and can do. */
#include <json-c/json_c_version.h>
#include <seccomp.h>
#include <stdio.h>
#include <uv.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "oci/spec.h"

int hull_cmd_version(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "version", "", "Prints versions in runc's form.", 0, 0 };
	int first;
	(void)cli;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	const struct scmp_version *seccomp = seccomp_version();
	/* Engines look for "NAME version X" and for the line "spec:". */
	printf("hull version %s\nspec: %s\nlibseccomp: %u.%u.%u\nlibuv: %s\njson-c: %s\n", HULL_VERSION, HULL_OCI_VERSION, seccomp->major,
	       seccomp->minor, seccomp->micro, uv_version_string(), json_c_version());
	return HULL_EXIT_OK;
}

int hull_cmd_features(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "features", "", "Prints what the runtime supports as JSON.", 0, 0 };
	int first;
	(void)cli;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	_cleanup_free_ char *text = hull_oci_features(HULL_VERSION);
	printf("%s\n", text);
	return HULL_EXIT_OK;
}
