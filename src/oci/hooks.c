/* SPDX-License-Identifier: Apache-2.0 */
/* Programs to run at points of a container's life. Source: runtime-spec 1.2, config.md, POSIX-platform Hooks. */
#include "base/cleanup.h"
#include "oci/parse.h"

const struct hull_json_name hull_oci_hook_names[] = {
	{ "prestart", 0 }, { "createRuntime", 0 }, { "createContainer", 0 }, { "startContainer", 0 }, { "poststart", 0 },
	{ "poststop", 0 }, { NULL, 0 },
};

static const struct hull_json_field hook_fields[] = {
	HULL_FIELD("path", hull_json_read_absolute, HULL_AT(struct hull_oci_hook, path), .required = true),
	HULL_FIELD("args", hull_json_read_strings, HULL_AT(struct hull_oci_hook, args)),
	HULL_FIELD("env", hull_json_read_strings, HULL_AT(struct hull_oci_hook, env)),
	HULL_FIELD("timeout", hull_json_read_i32, HULL_AT(struct hull_oci_hook, timeout_s), .min = 1, .max = INT32_MAX),
	HULL_FIELD_END,
};

/* Waits count milliseconds in an int: one of more than 24 days is none. */
static int check_hook(const struct hull_json *v HULL_UNUSED, void *target)
{
	struct hull_oci_hook *hook = target;
	if (hook->timeout_s > INT32_MAX / 1000)
		hook->timeout_s = INT32_MAX / 1000;
	return 0;
}

static const struct hull_json_type hook_type = {
	.fields = hook_fields, .size = sizeof(struct hull_oci_hook), .check = check_hook,
};

#define HOOKS(name, member) \
	HULL_FIELD(name, hull_json_read_objects, HULL_AT(struct hull_oci_spec, member.v), \
		   .aux_at = HULL_AT(struct hull_oci_spec, member.n), .type = &hook_type)
static const struct hull_json_field fields[] = {
	HOOKS("prestart", prestart), HOOKS("createRuntime", create_runtime), HOOKS("createContainer", create_container),
	HOOKS("startContainer", start_container), HOOKS("poststart", poststart), HOOKS("poststop", poststop),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_hooks_type = { .fields = fields };

void hull_oci_hooks_clear(struct hull_oci_hooks *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->v[i].path);
		hull_strv_clear(&h->v[i].args);
		hull_strv_clear(&h->v[i].env);
	}
	free(h->v);
	*h = (struct hull_oci_hooks){ NULL, 0 };
}
