/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static void freep_tokener(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

int hull_json_parse(const char *name, const char *text, size_t len, size_t max_len, struct json_object **ret,
		    struct hull_error *err)
{
	if (len > max_len || len >= INT32_MAX)
		return hull_error_set(err, EFBIG, "%s: %zu bytes are more than the %zu allowed", name, len, max_len);
	int r = hull_json_check(name, text, len, err);
	if (r < 0)
		return r;

	/* One level more than was checked, because json-c counts the scalars inside the innermost array too. */
	__attribute__((cleanup(freep_tokener))) struct json_tokener *tok = json_tokener_new_ex(HULL_JSON_DEPTH_MAX + 2);
	if (!tok)
		return hull_error_set(err, ENOMEM, "%s: out of memory", name);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

	_cleanup_json_ struct json_object *value = json_tokener_parse_ex(tok, text, (int)len);
	/* A number at the top ends only where the text does. */
	if (json_tokener_get_error(tok) == json_tokener_continue)
		value = json_tokener_parse_ex(tok, "", 1);
	if (json_tokener_get_error(tok) != json_tokener_success)
		return hull_error_set(err, EINVAL, "%s: %s", name, json_tokener_error_desc(json_tokener_get_error(tok)));
	*ret = TAKE_PTR(value);
	return 0;
}

struct hull_json hull_json_root(const struct hull_json_doc *doc, const char *key, struct json_object *value)
{
	return (struct hull_json){ .doc = doc, .key = key, .value = value };
}

struct hull_json hull_json_member(const struct hull_json *object, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(object->value, key, &value);
	return (struct hull_json){ .doc = object->doc, .parent = object, .key = key, .value = value };
}

struct hull_json hull_json_element(const struct hull_json *array, size_t index)
{
	return (struct hull_json){ .doc = array->doc, .parent = array, .index = index,
				   .value = json_object_array_get_idx(array->value, index) };
}

char *hull_json_quote(const char *s, size_t max)
{
	size_t len = strlen(s);
	size_t shown = len > max ? max : len;
	size_t room = shown * 4 + sizeof("\"…\"");
	char *out = hull_calloc(room, 1), *p = out;

	*p++ = '"';
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			p += snprintf(p, room - (size_t)(p - out), "\\x%02x", c);
		else
			*p++ = (char)c;
	}
	p = stpcpy(p, shown < len ? "…" : "");
	*p = '"';
	return out;
}

static bool is_plain_key(const char *key)
{
	for (const char *p = key; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return false;
	return *key && strlen(key) <= HULL_JSON_SHOWN_MAX;
}

char *hull_json_path(const struct hull_json *v)
{
	if (!v->parent)
		return hull_strdup(v->key ? v->key : "");

	_cleanup_free_ char *front = hull_json_path(v->parent);
	if (!v->key)
		return hull_asprintf("%s[%zu]", front, v->index);
	if (is_plain_key(v->key))
		return hull_asprintf("%s%s%s", front, *front ? "." : "", v->key);
	_cleanup_free_ char *quoted = hull_json_quote(v->key, HULL_JSON_SHOWN_MAX);
	return hull_asprintf("%s[%s]", front, quoted);
}

int hull_json_error(const struct hull_json *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *message = hull_vasprintf(fmt, ap);
	va_end(ap);

	_cleanup_free_ char *path = hull_json_path(v);
	return hull_error_set(v->doc->err, EINVAL, "%s%s%s%s%s", v->doc->name ? v->doc->name : "", v->doc->name ? ": " : "",
			      path, *path ? ": " : "", message);
}

void hull_json_ignore(const struct hull_json *v)
{
	if (v->doc->ignored) {
		_cleanup_free_ char *path = hull_json_path(v);
		hull_strv_add(v->doc->ignored, path);
	}
}

int hull_json_unexpected(const struct hull_json *v, const char *what)
{
	static const char *const nouns[] = {
		[json_type_null] = "nothing", [json_type_boolean] = "a boolean", [json_type_double] = "a number",
		[json_type_int] = "a number", [json_type_object] = "an object", [json_type_array] = "an array",
		[json_type_string] = "a string",
	};
	enum json_type type = json_object_get_type(v->value);

	if (type == json_type_null)
		return hull_json_error(v, "missing: expected %s", what);
	if (type == json_type_object || type == json_type_array)
		return hull_json_error(v, "expected %s, found %s", what, nouns[type]);
	if (type == json_type_string) {
		_cleanup_free_ char *quoted = hull_json_quote(json_object_get_string(v->value), HULL_JSON_SHOWN_MAX);
		return hull_json_error(v, "expected %s, found a string (%s)", what, quoted);
	}
	return hull_json_error(v, "expected %s, found %s (%.*s)", what, nouns[type], HULL_JSON_SHOWN_MAX,
			       json_object_to_json_string(v->value));
}

int hull_json_get_bool(const struct hull_json *v, bool *ret)
{
	if (!json_object_is_type(v->value, json_type_boolean))
		return hull_json_unexpected(v, "a boolean");
	*ret = json_object_get_boolean(v->value);
	return 0;
}

int hull_json_get_string(const struct hull_json *v, const char **ret)
{
	if (!json_object_is_type(v->value, json_type_string))
		return hull_json_unexpected(v, "a string");
	*ret = json_object_get_string(v->value);
	return 0;
}

static int expect_whole(const struct hull_json *v)
{
	if (json_object_is_type(v->value, json_type_int))
		return 0;
	return hull_json_unexpected(v, json_object_is_type(v->value, json_type_double) ? "a whole number" : "a number");
}

int hull_json_get_i64(const struct hull_json *v, int64_t min, int64_t max, int64_t *ret)
{
	int r = expect_whole(v);
	if (r < 0)
		return r;
	int64_t value = json_object_get_int64(v->value);
	/* json-c keeps what is above INT64_MAX apart and saturates it here. */
	bool fits = value != INT64_MAX || json_object_get_uint64(v->value) == INT64_MAX;

	if (!fits || value < min || value > max) {
		_cleanup_free_ char *what = hull_asprintf("a number from %lld to %lld", (long long)min, (long long)max);
		return hull_json_unexpected(v, what);
	}
	*ret = value;
	return 0;
}

int hull_json_get_u64(const struct hull_json *v, uint64_t max, uint64_t *ret)
{
	int r = expect_whole(v);
	if (r < 0)
		return r;
	/* json-c makes 0 of a negative number. */
	uint64_t value = json_object_get_uint64(v->value);

	if (json_object_get_int64(v->value) < 0 || value > max) {
		_cleanup_free_ char *what = hull_asprintf("a number from 0 to %llu", (unsigned long long)max);
		return hull_json_unexpected(v, what);
	}
	*ret = value;
	return 0;
}

int hull_json_expect_object(const struct hull_json *v)
{
	return json_object_is_type(v->value, json_type_object) ? 0 : hull_json_unexpected(v, "an object");
}

int hull_json_expect_array(const struct hull_json *v, size_t *ret_n)
{
	if (!json_object_is_type(v->value, json_type_array))
		return hull_json_unexpected(v, "an array");
	size_t n = json_object_array_length(v->value);
	if (n > HULL_JSON_ARRAY_MAX)
		return hull_json_error(v, "%zu elements are more than the %d allowed", n, HULL_JSON_ARRAY_MAX);
	*ret_n = n;
	return 0;
}
