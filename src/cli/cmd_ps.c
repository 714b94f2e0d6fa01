/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/ask.h"
#include "pod/state.h"

static void print_table(const Hull__Agent__V1__ProcessList *list)
{
	printf("%-10s %7s %7s %-8s %8s %s\n", "UID", "PID", "PPID", "TTY", "TIME", "CMD");
	for (size_t i = 0; i < list->n_processes; i++) {
		const Hull__Agent__V1__Process *p = list->processes[i];
		unsigned long long s = p->cpu_ms / 1000;
		/* The container chose its arguments, and the guest everything. */
		char uid[16], user[64], tty[32], command[1024];
		hull_text_clean_line(user, sizeof(user), p->user);
		hull_text_clean_line(tty, sizeof(tty), p->tty);
		hull_text_clean_line(command, sizeof(command), p->command);
		snprintf(uid, sizeof(uid), "%u", p->uid);
		printf("%-10s %7d %7d %-8s %02llu:%02llu:%02llu %s\n", user[0] ? user : uid, p->pid, p->ppid,
		       tty[0] ? tty : "?", s / 3600, s / 60 % 60, s % 60, command);
	}
}

/*
 * Engines look the pids of this form up on the host (containerd's Pids, `docker top`, iSulad's top), where a pid of the guest would
 * name a stranger. All there is of the container on the host is its stand-in.
 */
static int print_json(const struct hull_cli *cli, const char *id, struct hull_error *err)
{
	struct hull_state *state = NULL;
	int r = hull_state_load(cli->root, id, NULL, &state, err);
	if (r == 0 && hull_state_effective(state) == HULL_STATUS_STOPPED)
		r = hull_error_set(err, ESRCH, "container not running");
	if (r == 0)
		printf("[%d]\n", (int)state->standin.pid);
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
	const struct hull_usage usage = { "ps", "CONTAINER",
					  "Lists the processes of a container with their pids in the VM; as JSON, its pid on the host.", 1, 1 };
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
	if (json)
		return print_json(cli, argv[first], err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
	if (hull_ask_container(cli, argv[first], "Ps", &hull__agent__v1__process_list__descriptor, &message, err) < 0)
		return HULL_EXIT_FAILURE;
	print_table((const Hull__Agent__V1__ProcessList *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	return HULL_EXIT_OK;
}
