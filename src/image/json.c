/* SPDX-License-Identifier: Apache-2.0 */
#include "image/json.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/path.h"

#define DEPTH_MAX 32

/* json-c needs up to 800 bytes for "{}": what bounds memory is the number of values and not of bytes. */
#define VALUES_MAX 200000

static int check_values(const char *text, size_t len)
{
	size_t values = 0;
	for (size_t i = 0; i < len; i++)
		values += text[i] == ',' || text[i] == '{' || text[i] == '[';
	return values > VALUES_MAX ? -EFBIG : 0;
}

static int parse(const char *text, size_t len, json_object **ret, const char **ret_why)
{
	json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	if (!tok)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With the NUL behind the text, so that a number at the end is known to be whole. */
	json_object *v = json_tokener_parse_ex(tok, text, (int)len + 1);
	enum json_tokener_error status = json_tokener_get_error(tok);
	size_t end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);

	if (status != json_tokener_success) {
		*ret_why = json_tokener_error_desc(status);
		json_object_put(v);
		return -EBADMSG;
	}
	*ret_why = "something follows the document";
	while (end < len && strchr(" \t\r\n", text[end]) && text[end])
		end++;
	if (end < len) {
		json_object_put(v);
		return -EBADMSG;
	}
	*ret = v;
	return 0;
}

int hull_image_json_load(const struct hull_image_blob *blob, const char *name, struct hull_image_json *ret,
			 struct hull_error *err)
{
	_cleanup_free_ char *text = NULL;
	const char *why = "out of memory";
	char shown[HULL_IMAGE_SHOW_MAX];
	size_t len;
	name = hull_image_path_show(name, shown);
	int r = hull_image_blob_read(blob, HULL_IMAGE_JSON_BYTES_MAX, &text, &len);
	if (r == 0)
		r = check_values(text, len);
	if (r == -EFBIG)
		return hull_error_set(err, EFBIG, "%s: too large for a JSON document", name);
	if (r < 0)
		return hull_error_errno(err, r, "%s", name);

	struct hull_image_json document = { .v = NULL };
	snprintf(document.where, sizeof(document.where), "%.130s", name);
	r = parse(text, len, &document.v, &why);
	if (r < 0)
		return hull_error_set(err, -r, "%s: not a JSON document: %s", name, why);
	*ret = document;
	return 0;
}

void hull_image_json_free(struct hull_image_json *document)
{
	json_object_put(document->v);
	document->v = NULL;
}

static int check_type(const struct hull_image_json *at, enum json_type type, struct hull_error *err)
{
	if (json_object_is_type(at->v, type))
		return 0;
	return hull_error_set(err, EINVAL, "%s: expected %s, found %s", at->where, json_type_to_name(type),
			      json_type_to_name(json_object_get_type(at->v)));
}

int hull_image_json_get(const struct hull_image_json *at, const char *key, enum json_type type,
			struct hull_image_json *ret, struct hull_error *err)
{
	if (!json_object_is_type(at->v, json_type_object))
		return check_type(at, json_type_object, err);

	struct hull_image_json value = { .v = NULL };
	const char *joint = strstr(at->where, ": ") ? "." : ": ";
	json_object_object_get_ex(at->v, key, &value.v);
	snprintf(value.where, sizeof(value.where), "%.140s%s%.40s", at->where, joint, key);
	int r = value.v ? check_type(&value, type, err) : 0;
	if (r == 0)
		*ret = value;
	return r;
}

int hull_image_json_need(const struct hull_image_json *at, const char *key, enum json_type type,
			 struct hull_image_json *ret, struct hull_error *err)
{
	int r = hull_image_json_get(at, key, type, ret, err);
	if (r == 0 && !ret->v)
		return hull_error_set(err, EINVAL, "%s: missing", ret->where);
	return r;
}

int hull_image_json_item(const struct hull_image_json *at, size_t i, enum json_type type, struct hull_image_json *ret,
			 struct hull_error *err)
{
	struct hull_image_json value = { .v = json_object_array_get_idx(at->v, i) };
	snprintf(value.where, sizeof(value.where), "%.160s[%zu]", at->where, i);
	int r = check_type(&value, type, err);
	if (r == 0)
		*ret = value;
	return r;
}

size_t hull_image_json_count(const struct hull_image_json *at)
{
	return at->v ? json_object_array_length(at->v) : 0;
}

/* A NUL inside would cut the string short for everyone who reads it later. */
static int take_string(const struct hull_image_json *at, const char **ret, struct hull_error *err)
{
	const char *s = json_object_get_string(at->v);
	if (strlen(s) != (size_t)json_object_get_string_len(at->v))
		return hull_error_set(err, EINVAL, "%s: a NUL in the string", at->where);
	*ret = s;
	return 0;
}

int hull_image_json_string(const struct hull_image_json *at, const char *key, const char **ret, struct hull_error *err)
{
	struct hull_image_json value;
	int r = hull_image_json_get(at, key, json_type_string, &value, err);
	if (r < 0)
		return r;
	*ret = NULL;
	return value.v ? take_string(&value, ret, err) : 0;
}

int hull_image_json_strings(const struct hull_image_json *at, const char *key, struct hull_strv *ret,
			    struct hull_error *err)
{
	struct hull_image_json array, item;
	const char *s = NULL;
	int r = hull_image_json_get(at, key, json_type_array, &array, err);
	for (size_t i = 0; r == 0 && i < hull_image_json_count(&array); i++) {
		r = hull_image_json_item(&array, i, json_type_string, &item, err);
		if (r == 0)
			r = take_string(&item, &s, err);
		if (r == 0)
			hull_strv_add(ret, s);
	}
	return r;
}
