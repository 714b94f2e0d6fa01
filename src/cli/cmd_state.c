/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/statejson.h"

int hull_cmd_state(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "state", "CONTAINER", "Prints the state of a container as JSON.", 1, 1 };
	struct hull_state *state = NULL;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_state_load(cli->root, argv[first], NULL, &state, err) < 0)
		return HULL_EXIT_FAILURE;
	json_object *obj = hull_state_json(state, hull_state_effective(state));
	_cleanup_free_ char *text = hull_json_text(obj);
	printf("%s\n", text);
	json_object_put(obj);
	hull_state_free(state);
	return HULL_EXIT_OK;
}
