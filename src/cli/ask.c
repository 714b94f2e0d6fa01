/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include "base/cleanup.h"
#include "pod/state.h"

#define ASK_TIMEOUT_MS 30000

int hull_ask_connect(const struct hull_cli *cli, const char *id, struct hull_client **ret, struct hull_error *err)
{
	struct hull_state *state = NULL;
	int r = hull_state_load(cli->root, id, NULL, &state, err);
	if (r < 0)
		return r;
	if (hull_state_effective(state) == HULL_STATUS_STOPPED)
		r = hull_error_set(err, ESRCH, "container not running");
	else
		r = hull_client_connect(cli->root, state->pod_id, ret, err);
	hull_state_free(state);
	return r;
}

int hull_ask_container(const struct hull_cli *cli, const char *id, const char *method, const ProtobufCMessageDescriptor *answer_type,
		       ProtobufCMessage **ret, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	int r = hull_ask_connect(cli, id, &client, err);
	if (r < 0)
		return r;
	ref.container_id = (char *)(uintptr_t)id;
	return hull_client_call(client, method, &ref.base, answer_type, ASK_TIMEOUT_MS, NULL, 0, ret, err);
}
