/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "pod/state.h"

/* A little longer than the supervisor gives the agent before it ends the pod instead. */
#define KILL_TIMEOUT_MS 8000

static int kill_running(const struct hull_cli *cli, const struct hull_state *state, int sig, bool all, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	Hull__Pod__V1__KillRequest m = HULL__POD__V1__KILL_REQUEST__INIT;
	int r = hull_client_connect(cli->root, state->pod_id, &client, err);
	if (r < 0)
		return r;
	m.container_id = state->id;
	m.signal = sig;
	m.all = all;
	return hull_client_call(client, "Kill", &m.base, &hull__pod__v1__empty__descriptor, KILL_TIMEOUT_MS, NULL, 0, NULL, err);
}

static int kill_container(const struct hull_cli *cli, const char *id, int sig, bool all, struct hull_error *err)
{
	struct hull_state *state = NULL;
	int r = hull_state_load(cli->root, id, NULL, &state, err);
	if (r < 0)
		return r;
	if (hull_state_effective(state) != HULL_STATUS_STOPPED) {
		r = sig == 0 ? 0 : kill_running(cli, state, sig, all, err);
		/* A supervisor that hangs or died a moment ago must not keep a SIGKILL from working. */
		if (sig == SIGKILL && (r == -ETIMEDOUT || r == -ECONNREFUSED || r == -ENOTCONN)) {
			hull_procref_kill(&state->supervisor, SIGKILL);
			hull_error_clear(err);
			r = 0;
		}
	} else if (!all) {
		/* runc's words; engines compare them. Source: libcontainer/error.go. */
		r = hull_error_set(err, ESRCH, "container not running");
	}
	hull_state_free(state);
	return r;
}

int hull_cmd_kill(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	bool all = false;
	const struct hull_option options[] = {
		{ "all", 'a', HULL_OPTION_FLAG, &all, NULL, "send the signal to every process of the container" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "kill", "CONTAINER [SIGNAL]", "Sends a signal (default TERM; a name or number) to a container's program.", 1, 2 };
	int first, sig = SIGTERM;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (first + 1 < argc) {
		/* 0 only asks, as in kill(2). */
		sig = strcmp(argv[first + 1], "0") == 0 ? 0 : hull_parse_signal(argv[first + 1]);
		if (sig < 0) {
			hull_error_set(err, EINVAL, "unknown signal \"%.32s\"", argv[first + 1]);
			return HULL_EXIT_FAILURE;
		}
	}
	return kill_container(cli, argv[first], sig, all, err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
