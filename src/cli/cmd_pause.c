/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: one call each. */
#include "cli/ask.h"

static int run(const struct hull_cli *cli, const struct hull_usage *usage, const char *method, int argc, char **argv,
	       struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	ProtobufCMessage *answer = NULL;
	int first;
	int r = hull_options_parse(usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	r = hull_ask_container(cli, argv[first], method, &hull__pod__v1__empty__descriptor, &answer, err);
	protobuf_c_message_free_unpacked(answer, NULL);
	return r < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
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
