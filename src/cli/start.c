/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a created container, for `start` and `run`. */
#include <signal.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/client.h"
#include "cli/create.h"
#include "cli/hooks.h"
#include "pod/paths.h"
#include "pod/state.h"

#define START_TIMEOUT_MS 60000
#define KILL_TIMEOUT_MS 8000

/* A failed poststart hook ends the container that it came too late for. Source: runtime-spec 1.2.1, lifecycle; runc does so, too. */
static void stop_again(struct hull_client *client, char *id)
{
	struct hull_error err = HULL_ERROR_INIT;
	Hull__Pod__V1__KillRequest m = HULL__POD__V1__KILL_REQUEST__INIT;
	m.container_id = id;
	m.signal = SIGKILL;
	if (hull_client_call(client, "Kill", &m.base, &hull__pod__v1__empty__descriptor, KILL_TIMEOUT_MS, NULL, 0, NULL, &err) < 0)
		hull_log_warning("kill %s after its poststart hook failed: %s", id, err.message);
}

int hull_start(const struct hull_cli *cli, const char *id, struct hull_error *err)
{
	struct hull_state *state = NULL;
	_cleanup_close_ int dirfd = -1;
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	_cleanup_free_ char *text = NULL;
	struct hull_oci_spec *spec = NULL;
	size_t len;

	int r = hull_state_load(cli->root, id, &dirfd, &state, err);
	if (r < 0)
		return r;
	enum hull_status status = hull_state_effective(state);
	/* The texts are runc's. */
	if (status == HULL_STATUS_STOPPED)
		r = hull_error_set(err, EINVAL, "cannot start a container that has stopped");
	else if (status == HULL_STATUS_RUNNING)
		r = hull_error_set(err, EINVAL, "cannot start an already running container");
	else if (status != HULL_STATUS_CREATED)
		r = hull_error_set(err, EINVAL, "cannot start a container in the %s state", hull_status_name(status));
	if (r == 0)
		r = hull_client_connect(cli->root, state->pod_id, &client, err);
	if (r == 0)
		r = hull_client_call_container(client, "Start", id, START_TIMEOUT_MS, err);
	if (r == 0 && hull_file_read(dirfd, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &text, &len) == 0 &&
	    hull_oci_spec_parse(text, len, &spec, err) == 0) {
		r = hull_hooks_run(&spec->poststart, "poststart", state, HULL_STATUS_RUNNING, state->bundle, err);
		if (r < 0)
			stop_again(client, state->id);
	}
	hull_oci_spec_free(spec);
	hull_state_free(state);
	return r;
}
