/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: one call each. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "pod/state.h"

#define PAUSE_TIMEOUT_MS 30000

static int change(const struct hull_cli *cli, const char *id, const char *method, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_state *state = NULL;
	int r = hull_state_load(cli->root, id, NULL, &state, err);
	if (r < 0)
		return r;
	if (hull_state_effective(state) == HULL_STATUS_STOPPED)
		r = hull_error_set(err, ESRCH, "container not running");
	if (r == 0)
		r = hull_client_connect(cli->root, state->pod_id, &client, err);
	if (r == 0)
		r = hull_client_call_container(client, method, id, PAUSE_TIMEOUT_MS, err);
	hull_state_free(state);
	return r;
}

static int run(const struct hull_cli *cli, const struct hull_usage *usage, const char *method, int argc, char **argv,
	       struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	int first;
	int r = hull_options_parse(usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	return change(cli, argv[first], method, err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}

int hull_cmd_pause(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_usage usage = { "pause", "CONTAINER", "Freezes every process of a running container.", 1, 1 };
	return run(cli, &usage, "Pause", argc, argv, err);
}

int hull_cmd_resume(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_usage usage = { "resume", "CONTAINER", "Lets a paused container go on.", 1, 1 };
	return run(cli, &usage, "Resume", argc, argv, err);
}
