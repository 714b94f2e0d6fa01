/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/args.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/role.h"

struct option {
	const char *name;
	const char **text;             /* one of the three */
	bool *flag;
	int *fd;
};

static int take(const struct option *o, const char *value, struct hull_error *err)
{
	int64_t fd;
	if (o->flag) {
		*o->flag = !value || strcmp(value, "false") != 0;
		return 0;
	}
	if (o->text) {
		*o->text = value;
		return 0;
	}
	if (hull_parse_i64(value, 3, 1 << 20, &fd) < 0)
		return hull_error_set(err, EINVAL, "-%s: expected a descriptor, found \"%.32s\"", o->name, value);
	*o->fd = (int)fd;
	return 0;
}

/* `word` is argv[*i] without its dashes. */
static int parse_option(const struct option *options, size_t n, const char *word, int argc, char **argv, int *i, struct hull_error *err)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	for (size_t k = 0; k < n; k++) {
		const struct option *o = &options[k];
		if (strlen(o->name) != len || strncmp(o->name, word, len) != 0)
			continue;
		const char *value = equals ? equals + 1 : NULL;
		if (!o->flag && !value) {
			if (*i + 1 >= argc)
				return hull_error_set(err, EINVAL, "-%s needs a value", o->name);
			value = argv[++*i];
		}
		return take(o, value, err);
	}
	return hull_error_set(err, EINVAL, "unknown option %.64s", argv[*i]);
}

static int check(const struct shim_args *a, struct hull_error *err)
{
	if (a->version || a->info)
		return 0;
	if (!a->action)
		return hull_error_set(err, EINVAL, "nothing to do: start, delete, -info or -v; containerd starts this program, not people");
	if (!a->namespace || !hull_container_id_valid(a->namespace) || strchr(a->namespace, HULL_NAMESPACE_SEPARATOR))
		return hull_error_set(err, EINVAL, "-namespace: missing or invalid");
	if (!a->id || !hull_container_id_valid(a->id) || strchr(a->id, HULL_NAMESPACE_SEPARATOR))
		return hull_error_set(err, EINVAL, "-id: missing or invalid");
	_cleanup_free_ char *whole = shim_hull_id(a, a->id);
	if (!hull_container_id_valid(whole))
		return hull_error_set(err, ENAMETOOLONG, "-id: together with its namespace longer than 255 characters");
	return 0;
}

int shim_args_parse(int argc, char **argv, struct shim_args *ret, struct hull_error *err)
{
	struct shim_args a = { .pod_fd = -1, .task_fd = -1 };
	const struct option options[] = {
		{ "namespace", &a.namespace, NULL, NULL },
		{ "id", &a.id, NULL, NULL },
		{ "bundle", &a.bundle, NULL, NULL },
		{ "address", &a.address, NULL, NULL },
		{ "publish-binary", &a.publish_binary, NULL, NULL },
		{ "root", &a.root, NULL, NULL },
		{ "socket", &a.socket, NULL, NULL },
		{ "debug", NULL, &a.debug, NULL },
		{ "v", NULL, &a.version, NULL },
		{ "version", NULL, &a.version, NULL },
		{ "info", NULL, &a.info, NULL },
		{ "pod-fd", NULL, NULL, &a.pod_fd },
		{ "task-fd", NULL, NULL, &a.task_fd },
	};
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-') {
			if (a.action)
				return hull_error_set(err, EINVAL, "more than one action: %s, %.32s", a.action, argv[i]);
			a.action = argv[i];
			continue;
		}
		const char *word = argv[i] + (argv[i][1] == '-' ? 2 : 1);
		int r = parse_option(options, HULL_ARRAY_SIZE(options), word, argc, argv, &i, err);
		if (r < 0)
			return r;
	}
	*ret = a;
	return check(ret, err);
}

char *shim_hull_id(const struct shim_args *args, const char *id)
{
	return hull_asprintf("%s%c%s", args->namespace, HULL_NAMESPACE_SEPARATOR, id);
}
