/* SPDX-License-Identifier: Apache-2.0 */
/* hull pod: verbs about whole pods. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/pods.h"

static const struct {
	const char *name;
	hull_verb_fn run;
} verbs[] = {
	{ "ls", hull_cmd_pod_ls }, { "ps", hull_cmd_pod_ps }, { "stats", hull_cmd_pod_stats }, { "inspect", hull_cmd_pod_inspect },
	{ "rm", hull_cmd_pod_rm },
};

int hull_pod_format(const char *verb, const char *format, bool *ret_json, struct hull_error *err)
{
	*ret_json = strcmp(format, "json") == 0;
	if (!*ret_json && strcmp(format, "table") != 0)
		return hull_error_set(err, EINVAL, "%s: --format: expected table or json, found \"%.32s\"", verb, format);
	return 0;
}

int hull_cmd_pod(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "pod", "ls|ps|stats|inspect|rm ...", "Verbs about whole pods; each has a --help.", 1, -1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(verbs); i++)
		if (strcmp(argv[first], verbs[i].name) == 0)
			return verbs[i].run(cli, argc - first, argv + first, err);
	hull_error_set(err, EINVAL, "pod: unknown verb \"%.32s\"; there are ls, ps, stats, inspect and rm", argv[first]);
	return HULL_EXIT_USAGE;
}
