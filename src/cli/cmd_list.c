/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/statejson.h"

struct entries {
	struct hull_state **v;
	size_t n;
};

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct hull_state *const *)a)->id, (*(struct hull_state *const *)b)->id);
}

/* Containers that vanish while the list is made are left out. */
static int collect(const struct hull_cli *cli, struct entries *ret, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_asprintf("%s/containers", cli->root);
	DIR *dir = opendir(path);
	struct dirent *entry;
	if (!dir)
		return errno == ENOENT ? 0 : hull_error_errno(err, errno, "open %s", path);
	while ((entry = readdir(dir)) != NULL) {
		struct hull_error one = HULL_ERROR_INIT;
		struct hull_state *state;
		if (!hull_container_id_valid(entry->d_name))
			continue;
		int r = hull_state_load(cli->root, entry->d_name, NULL, &state, &one);
		if (r < 0) {
			if (r != -ENOENT)
				hull_log_warning("%s", one.message);
			continue;
		}
		ret->v = hull_reallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
		ret->v[ret->n++] = state;
	}
	closedir(dir);
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_id);
	return 0;
}

static size_t wider(size_t width, const char *text)
{
	size_t n = strlen(text) + 3;
	return n > width ? n : width;
}

/* runc's columns: at least 12 wide, three spaces apart. */
static void print_table(const struct entries *e)
{
	size_t id_width = 12, bundle_width = 12, created_width = 12;
	for (size_t i = 0; i < e->n; i++) {
		id_width = wider(id_width, e->v[i]->id);
		bundle_width = wider(bundle_width, e->v[i]->bundle);
		created_width = wider(created_width, e->v[i]->created);
	}
	printf("%-*s%-12s%-12s%-*s%-*s%s\n", (int)id_width, "ID", "PID", "STATUS", (int)bundle_width, "BUNDLE", (int)created_width,
	       "CREATED", "OWNER");
	for (size_t i = 0; i < e->n; i++) {
		const struct hull_state *s = e->v[i];
		enum hull_status status = hull_state_effective(s);
		printf("%-*s%-12d%-12s%-*s%-*s%s\n", (int)id_width, s->id, status == HULL_STATUS_STOPPED ? 0 : (int)s->standin.pid,
		       hull_status_name(status), (int)bundle_width, s->bundle, (int)created_width, s->created,
		       s->owner ? s->owner : "");
	}
}

static void print_json(const struct entries *e)
{
	json_object *array = json_object_new_array();
	for (size_t i = 0; i < e->n; i++)
		json_object_array_add(array, hull_state_json(e->v[i], hull_state_effective(e->v[i])));
	printf("%s\n", e->n == 0 ? "null" : json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
}

int hull_cmd_list(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *format = "table";
	bool quiet = false;
	const struct hull_option options[] = {
		{ "format", 'f', HULL_OPTION_STRING, &format, "FORMAT", "table (default) or json" },
		{ "quiet", 'q', HULL_OPTION_FLAG, &quiet, NULL, "print ids only" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "list", "", "Lists the containers of the state directory.", 0, 0 };
	struct entries e = { 0 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0) {
		hull_error_set(err, EINVAL, "list: --format: expected table or json, found \"%.32s\"", format);
		return HULL_EXIT_FAILURE;
	}
	if (collect(cli, &e, err) < 0)
		return HULL_EXIT_FAILURE;
	if (quiet)
		for (size_t i = 0; i < e.n; i++)
			printf("%s\n", e.v[i]->id);
	else if (strcmp(format, "json") == 0)
		print_json(&e);
	else
		print_table(&e);
	for (size_t i = 0; i < e.n; i++)
		hull_state_free(e.v[i]);
	free(e.v);
	return HULL_EXIT_OK;
}
