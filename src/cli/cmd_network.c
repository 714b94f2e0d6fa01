/* SPDX-License-Identifier: Apache-2.0 */
/* hull network: interfaces and routes of a running pod by hand. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/netjson.h"

#define INPUT_MAX_BYTES (1u << 20)
/* Hot-plug into an emulated guest under load. */
#define EDIT_TIMEOUT_MS 60000

static const struct verb {
	const char *name;
	Hull__Pod__V1__NetworkEdit__Verb verb;
	bool routes, input;
} verbs[] = {
	{ "add-iface", HULL__POD__V1__NETWORK_EDIT__VERB__ADD_INTERFACE, false, true },
	{ "del-iface", HULL__POD__V1__NETWORK_EDIT__VERB__DELETE_INTERFACE, false, true },
	{ "update-iface", HULL__POD__V1__NETWORK_EDIT__VERB__UPDATE_INTERFACE, false, true },
	{ "list-ifaces", HULL__POD__V1__NETWORK_EDIT__VERB__LIST, false, false },
	{ "add-route", HULL__POD__V1__NETWORK_EDIT__VERB__ADD_ROUTE, true, true },
	{ "del-route", HULL__POD__V1__NETWORK_EDIT__VERB__DELETE_ROUTE, true, true },
	{ "update-routes", HULL__POD__V1__NETWORK_EDIT__VERB__UPDATE_ROUTES, true, true },
	{ "list-routes", HULL__POD__V1__NETWORK_EDIT__VERB__LIST, true, false },
};

static int read_input(const struct verb *verb, const char *path, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = strcmp(path, "-") == 0 ? hull_fd_read_all(STDIN_FILENO, INPUT_MAX_BYTES, &text, NULL)
				       : hull_file_read(AT_FDCWD, path, INPUT_MAX_BYTES, &text, NULL);
	if (r < 0)
		return hull_error_errno(err, r, "read %s", path);
	return verb->routes ? hull_netjson_routes(text, edit, err) : hull_netjson_interfaces(text, edit, err);
}

static int edit_pod(const struct hull_cli *cli, const char *pod, const struct verb *verb, const Hull__Pod__V1__NetworkEdit *edit,
		    struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	ProtobufCMessage *answer = NULL;
	int r = hull_client_connect(cli->root, pod, &client, err);
	if (r == 0)
		r = hull_client_call(client, "EditNetwork", &edit->base, &hull__pod__v1__network_list__descriptor, EDIT_TIMEOUT_MS, NULL, 0,
				     &answer, err);
	if (r < 0)
		return r;
	const Hull__Pod__V1__NetworkList *list = (const Hull__Pod__V1__NetworkList *)answer;
	json_object *out = verb->routes ? hull_netjson_from_routes(list) : hull_netjson_from_interfaces(list);
	printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(out);
	protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int hull_cmd_network(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "network", "add-iface|del-iface|update-iface|list-ifaces|add-route|del-route|update-routes|list-routes POD "
					  "[FILE|-]", "Changes the network of a running pod; JSON in, JSON out. hull(8) has the form.", 2, 3 };
	Hull__Pod__V1__NetworkEdit edit = HULL__POD__V1__NETWORK_EDIT__INIT;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	const struct verb *verb = find_verb(argv[first]);
	if (!verb || argc - first != (verb->input ? 3 : 2)) {
		hull_error_set(err, EINVAL, verb ? "network %.32s: expected a pod%s" : "network: unknown verb \"%.32s\"%s", argv[first],
			       verb && verb->input ? " and a file, or - for stdin" : "");
		return HULL_EXIT_USAGE;
	}
	edit.verb = verb->verb;
	r = verb->input ? read_input(verb, argv[first + 2], &edit, err) : 0;
	if (r == 0)
		r = edit_pod(cli, argv[first + 1], verb, &edit, err);
	hull_netjson_clear(&edit);
	if (r < 0)
		hull_error_wrap(err, "network %s", argv[first]);
	return r < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
