/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/iolimits.h"

#include <errno.h>
#include <json-c/json.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const keys[] = { "io.katacontainers.blkio_cgroup", "com.github.containers.virtcontainers.blkio_cgroup" };

static const struct {
	const char *name;
	size_t at;
} types[] = {
	{ "throttle_read_bps", offsetof(struct hull_io_limits, read_bps) },
	{ "throttle_write_bps", offsetof(struct hull_io_limits, write_bps) },
	{ "throttle_read_iops", offsetof(struct hull_io_limits, read_iops) },
	{ "throttle_write_iops", offsetof(struct hull_io_limits, write_iops) },
};

#define WEIGHT_MIN 10
#define WEIGHT_MAX 1000

struct reading {
	const char *key;
	struct hull_io_limits found;
	uint16_t weight;
	struct hull_error *err;
};

static int bad(const struct reading *r, const char *what)
{
	return hull_error_set(r->err, EINVAL, "annotations: \"%s\": %s", r->key, what);
}

static int read_limit(struct reading *r, json_object *limit)
{
	json_object *type, *value;
	if (!json_object_object_get_ex(limit, "type", &type) || !json_object_is_type(type, json_type_string) ||
	    !json_object_object_get_ex(limit, "value", &value) || !json_object_is_type(value, json_type_int))
		return bad(r, "each of \"limits\" needs a \"type\" and a number as its \"value\"");
	const char *name = json_object_get_string(type);
	int64_t number = json_object_get_int64(value);
	if (strcmp(name, "blkio_weight") == 0) {
		if (number < WEIGHT_MIN || number > WEIGHT_MAX)
			return bad(r, "blkio_weight has to be from 10 to 1000");
		r->weight = (uint16_t)number;
		return 0;
	}
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++) {
		uint64_t *at = (uint64_t *)(void *)((char *)&r->found + types[i].at);
		if (strcmp(types[i].name, name) != 0)
			continue;
		if (number <= 0 || number == INT64_MAX)
			return bad(r, "a limit has to be larger than 0");
		if (*at == 0 || (uint64_t)number < *at)
			*at = (uint64_t)number;
		return 0;
	}
	return hull_error_set(r->err, ENOTSUP, "annotations: \"%s\": %.40s is not supported; throttle_{read,write}_{bps,iops} and "
			      "blkio_weight are", r->key, name);
}

static int read_item(struct reading *r, json_object *item)
{
	json_object *limits;
	if (!json_object_object_get_ex(item, "limits", &limits) || !json_object_is_type(limits, json_type_array))
		return bad(r, "each of \"blkiocgroup\" needs an array \"limits\"");
	for (size_t i = 0; i < json_object_array_length(limits); i++) {
		int n = read_limit(r, json_object_array_get_idx(limits, i));
		if (n < 0)
			return n;
	}
	return 0;
}

static int read_text(struct reading *r, const char *text)
{
	json_object *all = json_tokener_parse(text), *items;
	int n = 0;
	if (!json_object_object_get_ex(all, "blkiocgroup", &items) || !json_object_is_type(items, json_type_array))
		n = bad(r, "expected {\"blkiocgroup\": [{\"path\": …, \"limits\": [{\"type\": …, \"value\": …}]}]}");
	else
		for (size_t i = 0; n == 0 && i < json_object_array_length(items); i++)
			n = read_item(r, json_object_array_get_idx(items, i));
	json_object_put(all);
	return n;
}

/* What the annotation does not name stays. */
static void merge(struct hull_io_limits *limits, const struct hull_io_limits *found)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++) {
		const uint64_t *from = (const uint64_t *)(const void *)((const char *)found + types[i].at);
		if (*from)
			*(uint64_t *)(void *)((char *)limits + types[i].at) = *from;
	}
}

int hull_pod_io_parse(const struct hull_oci_spec *spec, struct hull_pod_io *io, struct hull_error *err)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(keys); i++) {
		const char *text = hull_oci_annotation(spec, keys[i]);
		struct reading r = { .key = keys[i], .err = err };
		if (!text || !*text)
			continue;
		int n = read_text(&r, text);
		if (n < 0)
			return n;
		merge(&io->disk, &r.found);
		merge(&io->share, &r.found);
		if (r.weight)
			io->weight = r.weight;
		io->said_by = keys[i];
	}
	return 0;
}

bool hull_pod_io_acts_on_host(const struct hull_pod_io *io)
{
	return io->share.read_bps || io->share.write_bps || io->share.read_iops || io->share.write_iops || io->weight;
}
