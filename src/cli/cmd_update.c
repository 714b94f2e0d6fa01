/* SPDX-License-Identifier: Apache-2.0 */
/* hull update: changes limits of a running container, from a file (--resources) or from options. */
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/ask.h"

#define UPDATE_TIMEOUT_MS 30000
#define RESOURCES_MAX_BYTES (1u << 20)

enum kind { KIND_INT, KIND_SIZE, KIND_TEXT };

/* Where an option's value goes in the OCI "linux.resources" object. Source: runc's update. */
struct limit {
	const char *option, *section, *field, *arg, *help;
	enum kind kind;
};

static const struct limit limits[] = {
	{ "memory", "memory", "limit", "BYTES", "memory limit", KIND_SIZE },
	{ "memory-reservation", "memory", "reservation", "BYTES", "memory soft limit", KIND_SIZE },
	{ "memory-swap", "memory", "swap", "BYTES", "memory and swap together; -1: no limit", KIND_SIZE },
	{ "cpu-period", "cpu", "period", "US", "CPU period", KIND_INT },
	{ "cpu-quota", "cpu", "quota", "US", "CPU time in each period", KIND_INT },
	{ "cpu-share", "cpu", "shares", "N", "CPU shares", KIND_INT },
	{ "cpu-burst", "cpu", "burst", "US", "CPU time that may be saved up", KIND_INT },
	{ "cpu-idle", "cpu", "idle", "N", "1: run only when nothing else wants to", KIND_INT },
	{ "cpuset-cpus", "cpu", "cpus", "LIST", "CPUs of the VM", KIND_TEXT },
	{ "cpuset-mems", "cpu", "mems", "LIST", "memory nodes of the VM", KIND_TEXT },
	{ "pids-limit", "pids", "limit", "N", "number of processes; -1: no limit", KIND_INT },
	{ "blkio-weight", "blockIO", "weight", "N", "IO weight, 10 to 1000", KIND_INT },
};
#define N_LIMITS HULL_ARRAY_SIZE(limits)

static json_object *section_of(json_object *resources, const char *name)
{
	json_object *section;
	if (!json_object_object_get_ex(resources, name, &section)) {
		section = json_object_new_object();
		json_object_object_add(resources, name, section);
	}
	return section;
}

static int put_limit(json_object *resources, const struct limit *l, const char *text, struct hull_error *err)
{
	json_object *value;
	int64_t number;
	uint64_t bytes;
	if (l->kind == KIND_TEXT)
		value = json_object_new_string(text);
	else if (hull_parse_i64(text, INT64_MIN, INT64_MAX, &number) == 0)
		value = json_object_new_int64(number);
	else if (l->kind == KIND_SIZE && hull_parse_size(text, &bytes) == 0 && bytes <= INT64_MAX)
		value = json_object_new_int64((int64_t)bytes);
	else
		return hull_error_set(err, EINVAL, "update: --%s: expected a %s, found \"%.32s\"", l->option,
				      l->kind == KIND_SIZE ? "size" : "number", text);
	json_object_object_add(section_of(resources, l->section), l->field, value);
	return 0;
}

/* The resources object as text; new memory. */
static int read_file(const char *path, char **ret, struct hull_error *err)
{
	int r = strcmp(path, "-") == 0 ? hull_fd_read_all(STDIN_FILENO, RESOURCES_MAX_BYTES, ret, NULL)
				       : hull_file_read(AT_FDCWD, path, RESOURCES_MAX_BYTES, ret, NULL);
	return r < 0 ? hull_error_errno(err, r, "update: --resources: read %s", path) : 0;
}

static int gather(const char *file, const char *const *values, char **ret, struct hull_error *err)
{
	size_t given = 0;
	int r = 0;
	for (size_t i = 0; i < N_LIMITS; i++)
		given += values[i] != NULL;
	if (file && given > 0)
		return hull_error_set(err, EINVAL, "update: --resources and single limits exclude each other");
	if (file)
		return read_file(file, ret, err);
	if (given == 0)
		return hull_error_set(err, EINVAL, "update: nothing to change: give --resources FILE or limits");
	json_object *resources = json_object_new_object();
	for (size_t i = 0; r == 0 && i < N_LIMITS; i++)
		r = values[i] ? put_limit(resources, &limits[i], values[i], err) : 0;
	if (r == 0)
		*ret = hull_strdup(json_object_to_json_string_ext(resources, JSON_C_TO_STRING_PLAIN));
	json_object_put(resources);
	return r;
}

static int update(const struct hull_cli *cli, const char *id, char *json, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	Hull__Pod__V1__UpdateRequest m = HULL__POD__V1__UPDATE_REQUEST__INIT;
	int r = hull_ask_connect(cli, id, &client, err);
	if (r < 0)
		return r;
	m.container_id = (char *)(uintptr_t)id;
	m.resources_json = (ProtobufCBinaryData){ .len = strlen(json), .data = (uint8_t *)json };
	return hull_client_call(client, "Update", &m.base, &hull__pod__v1__empty__descriptor, UPDATE_TIMEOUT_MS, NULL, 0, NULL, err);
}

int hull_cmd_update(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *file = NULL, *values[N_LIMITS] = { NULL };
	struct hull_option options[N_LIMITS + 2] = {
		{ "resources", 'r', HULL_OPTION_STRING, &file, "FILE", "an OCI resources object as JSON; - for stdin" },
	};
	const struct hull_usage usage = { "update", "CONTAINER", "Changes limits of a running container.", 1, 1 };
	_cleanup_free_ char *json = NULL;
	int first;

	for (size_t i = 0; i < N_LIMITS; i++)
		options[i + 1] = (struct hull_option){ limits[i].option, 0, HULL_OPTION_STRING, &values[i], limits[i].arg, limits[i].help };
	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (gather(file, values, &json, err) < 0 || update(cli, argv[first], json, err) < 0)
		return HULL_EXIT_FAILURE;
	return HULL_EXIT_OK;
}
