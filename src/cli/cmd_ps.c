/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "pod/state.h"

#define PS_TIMEOUT_MS 30000

static void print_table(const Hull__Pod__V1__PsResponse *list)
{
	printf("%-10s %7s %7s %-8s %8s %s\n", "UID", "PID", "PPID", "TTY", "TIME", "CMD");
	for (size_t i = 0; i < list->n_processes; i++) {
		const Hull__Pod__V1__Process *p = list->processes[i];
		unsigned long long s = p->cpu_ms / 1000;
		char uid[16];
		snprintf(uid, sizeof(uid), "%u", p->uid);
		printf("%-10s %7d %7d %-8s %02llu:%02llu:%02llu %s\n", p->user[0] ? p->user : uid, p->pid, p->ppid,
		       p->tty[0] ? p->tty : "?", s / 3600, s / 60 % 60, s % 60, p->command);
	}
}

static void print_json(const Hull__Pod__V1__PsResponse *list)
{
	printf("[");
	for (size_t i = 0; i < list->n_processes; i++)
		printf("%s%d", i ? "," : "", list->processes[i]->pid);
	printf("]\n");
}

static int ask(const struct hull_cli *cli, const char *id, ProtobufCMessage **ret, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_state *state = NULL;
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	int r = hull_state_load(cli->root, id, NULL, &state, err);
	if (r < 0)
		return r;
	if (hull_state_effective(state) == HULL_STATUS_STOPPED)
		r = hull_error_set(err, ESRCH, "container not running");
	if (r == 0)
		r = hull_client_connect(cli->root, state->pod_id, &client, err);
	ref.container_id = state->id;
	if (r == 0)
		r = hull_client_call(client, "Ps", &ref.base, &hull__pod__v1__ps_response__descriptor, PS_TIMEOUT_MS, NULL, 0, ret, err);
	hull_state_free(state);
	return r;
}

int hull_cmd_ps(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *format = "table";
	const struct hull_option options[] = {
		{ "format", 'f', HULL_OPTION_STRING, &format, "FORMAT", "table (default) or json" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "ps", "CONTAINER", "Lists the processes of a container, with their pids in the VM.", 1, 1 };
	ProtobufCMessage *message = NULL;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	bool json = strcmp(format, "json") == 0;
	if (!json && strcmp(format, "table") != 0) {
		hull_error_set(err, EINVAL, "ps: --format: expected table or json, found \"%.32s\"", format);
		return HULL_EXIT_FAILURE;
	}
	if (ask(cli, argv[first], &message, err) < 0)
		return HULL_EXIT_FAILURE;
	if (json)
		print_json((const Hull__Pod__V1__PsResponse *)message);
	else
		print_table((const Hull__Pod__V1__PsResponse *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	return HULL_EXIT_OK;
}
