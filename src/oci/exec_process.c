/* SPDX-License-Identifier: Apache-2.0 */
/* The process object of an exec without --process: config.json's own, changed by the command line as runc does. */
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "oci/json.h"
#include "oci/spec.h"

/* The member `key` of `object`, made of `type` if it is absent or null. Borrowed. */
static struct json_object *need_member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *member = NULL;
	json_object_object_get_ex(object, key, &member);
	if (!member) {
		member = type == json_type_array ? json_object_new_array() : json_object_new_object();
		json_object_object_add(object, key, member);
	}
	return member;
}

static void append_strings(struct json_object *object, const char *key, const struct hull_strv *strings)
{
	struct json_object *array = need_member(object, key, json_type_array);
	for (size_t i = 0; i < strings->n; i++)
		json_object_array_add(array, json_object_new_string(strings->v[i]));
}

static int parse_id(const char *text, uint32_t *ret, struct hull_error *err)
{
	int64_t id;
	int r = hull_parse_i64(text, 0, UINT32_MAX - 1, &id);
	if (r < 0)
		return hull_error_set(err, EINVAL, "\"%.64s\" is not a numeric user or group id", text);
	*ret = (uint32_t)id;
	return 0;
}

static void set_id(struct json_object *user, const char *key, uint32_t id)
{
	json_object_object_add(user, key, json_object_new_int64(id));
}

/* `text` is UID[:GID]; a group that is not named stays what it was. */
static int apply_user(struct json_object *process, const char *text, struct hull_error *err)
{
	_cleanup_free_ char *uid_text = hull_strdup(text);
	char *gid_text = strchr(uid_text, ':');
	if (gid_text)
		*gid_text++ = '\0';

	uint32_t uid = 0, gid = 0;
	int r = parse_id(uid_text, &uid, err);
	if (r == 0 && gid_text)
		r = parse_id(gid_text, &gid, err);
	if (r < 0)
		return r;

	struct json_object *user = need_member(process, "user", json_type_object);
	set_id(user, "uid", uid);
	if (gid_text)
		set_id(user, "gid", gid);
	return 0;
}

/* The sets that runc's --cap adds to. */
static int apply_caps(struct json_object *process, const struct hull_strv *caps, struct hull_error *err)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "ambient" };
	struct json_object *object = need_member(process, "capabilities", json_type_object);

	for (size_t i = 0; i < caps->n; i++)
		if (hull_oci_capability_parse(caps->v[i]) < 0)
			return hull_error_set(err, EINVAL, "\"%.64s\" is not a capability", caps->v[i]);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(sets); i++)
		append_strings(object, sets[i], caps);
	return 0;
}

static int apply_overrides(struct json_object *process, const struct hull_oci_exec_overrides *o, struct hull_error *err)
{
	int r = 0;

	if (o->args) {
		json_object_object_del(process, "args");
		append_strings(process, "args", o->args);
	}
	if (o->cwd && *o->cwd)
		json_object_object_add(process, "cwd", json_object_new_string(o->cwd));
	if (o->env)
		append_strings(process, "env", o->env);
	json_object_object_add(process, "terminal", json_object_new_boolean(o->terminal));
	if (o->no_new_privileges)
		json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(true));
	if (o->user && *o->user)
		r = apply_user(process, o->user, err);
	if (r == 0 && o->caps && o->caps->n)
		r = apply_caps(process, o->caps, err);
	if (r == 0 && o->n_additional_gids) {
		struct json_object *gids = need_member(need_member(process, "user", json_type_object), "additionalGids",
						       json_type_array);
		for (size_t i = 0; i < o->n_additional_gids; i++)
			json_object_array_add(gids, json_object_new_int64(o->additional_gids[i]));
	}
	return r;
}

int hull_oci_exec_process(const char *config_text, size_t len, const struct hull_oci_exec_overrides *o, char **ret_json,
			  struct hull_error *err)
{
	/* Validated before it is changed: what follows may rely on the types. */
	struct hull_oci_spec *spec = NULL;
	int r = hull_oci_spec_parse(config_text, len, &spec, err);
	if (r < 0)
		return r;
	bool has_process = spec->has_process;
	hull_oci_spec_free(spec);
	if (!has_process)
		return hull_error_set(err, EINVAL, "config.json: process: missing");

	_cleanup_json_ struct json_object *config = NULL;
	r = hull_json_parse("config.json", config_text, len, HULL_OCI_CONFIG_MAX_BYTES, &config, err);
	if (r < 0)
		return r;
	struct json_object *process = json_object_object_get(config, "process");
	r = apply_overrides(process, o, err);
	if (r < 0)
		return r;

	/* And afterwards, for what came from the command line: invalid UTF-8, a relative cwd, no args. */
	const char *json = json_object_to_json_string_ext(process, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	struct hull_oci_process *checked = NULL;
	r = hull_oci_process_parse(json, strlen(json), &checked, err);
	if (r < 0)
		return r;
	hull_oci_process_free(checked);
	*ret_json = hull_strdup(json);
	return 0;
}
