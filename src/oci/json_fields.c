/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_fields.h"

#include <string.h>

#include "base/cleanup.h"

static void *member(const struct hull_json_field *f, void *target)
{
	return (char *)target + f->at;
}

static size_t *count_member(const struct hull_json_field *f, void *target)
{
	return (size_t *)(void *)((char *)target + f->aux_at);
}

static const struct hull_json_field *find_field(const struct hull_json_type *type, const char *name)
{
	for (const struct hull_json_field *f = type->fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int read_field(const struct hull_json *v, const struct hull_json_type *type, void *target)
{
	const struct hull_json_field *f = find_field(type, v->key);
	if (!f) {
		if (!type->tolerant)
			return hull_json_error(v, "unknown field");
		hull_json_ignore(v);
		return 0;
	}
	if (!v->value)
		return 0;

	int r = f->read(v, f, target);
	if (r == 0 && f->present_at)
		*(bool *)((char *)target + f->present_at) = true;
	return r < 0 ? r : 0;
}

int hull_json_read_struct(const struct hull_json *v, const struct hull_json_type *type, void *target)
{
	int r = hull_json_expect_object(v);
	if (r < 0)
		return r;
	/* Required fields first, so that a broken element is refused before it takes memory. */
	for (const struct hull_json_field *f = type->fields; f->name; f++) {
		struct hull_json field = hull_json_member(v, f->name);
		if (f->required && !field.value)
			return hull_json_error(&field, "missing");
	}
	json_object_object_foreach(v->value, key, value) {
		struct hull_json field = { .doc = v->doc, .parent = v, .key = key, .value = value };
		r = read_field(&field, type, target);
		if (r < 0)
			return r;
	}
	return type->check ? type->check(v, target) : 0;
}

int hull_json_read_bool(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return hull_json_get_bool(v, member(f, target));
}

static int read_signed(const struct hull_json *v, const struct hull_json_field *f, int64_t min, int64_t max, int64_t *ret)
{
	bool bounded = f->min || f->max;
	return hull_json_get_i64(v, bounded ? f->min : min, bounded ? f->max : max, ret);
}

static int read_unsigned(const struct hull_json *v, const struct hull_json_field *f, uint64_t max, uint64_t *ret)
{
	return hull_json_get_u64(v, f->max ? (uint64_t)f->max : max, ret);
}

int hull_json_read_i64(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return read_signed(v, f, INT64_MIN, INT64_MAX, member(f, target));
}

int hull_json_read_i32(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int64_t value = 0;
	int r = read_signed(v, f, INT32_MIN, INT32_MAX, &value);
	*(int32_t *)member(f, target) = (int32_t)value;
	return r;
}

int hull_json_read_u64(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return read_unsigned(v, f, UINT64_MAX, member(f, target));
}

int hull_json_read_u32(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t value = 0;
	int r = read_unsigned(v, f, UINT32_MAX, &value);
	*(uint32_t *)member(f, target) = (uint32_t)value;
	return r;
}

int hull_json_read_u16(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t value = 0;
	int r = read_unsigned(v, f, UINT16_MAX, &value);
	*(uint16_t *)member(f, target) = (uint16_t)value;
	return r;
}

int hull_json_read_nonzero_i64(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_i64(v, f, target);
	return r == 0 && *(int64_t *)member(f, target) == 0 ? HULL_JSON_ABSENT : r;
}

int hull_json_read_nonzero_u64(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_u64(v, f, target);
	return r == 0 && *(uint64_t *)member(f, target) == 0 ? HULL_JSON_ABSENT : r;
}

int hull_json_read_nonzero_u16(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_u16(v, f, target);
	return r == 0 && *(uint16_t *)member(f, target) == 0 ? HULL_JSON_ABSENT : r;
}

int hull_json_read_string(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	const char *value;
	int r = hull_json_get_string(v, &value);
	if (r < 0)
		return r;
	if (!*value)
		return f->required ? hull_json_error(v, "must not be empty") : HULL_JSON_ABSENT;
	*(char **)member(f, target) = hull_strdup(value);
	return 0;
}

int hull_json_read_absolute(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_string(v, f, target);
	if (r == 0 && **(char **)member(f, target) != '/')
		return hull_json_unexpected(v, "an absolute path");
	return r;
}

static int read_string_array(const struct hull_json *v, bool absolute, struct hull_strv *ret)
{
	size_t n;
	int r = hull_json_expect_array(v, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		const char *value;
		r = hull_json_get_string(&element, &value);
		if (r == 0 && absolute && *value != '/')
			r = hull_json_unexpected(&element, "an absolute path");
		if (r == 0)
			hull_strv_add(ret, value);
	}
	return r;
}

int hull_json_read_strings(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return read_string_array(v, false, member(f, target));
}

int hull_json_read_absolutes(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return read_string_array(v, true, member(f, target));
}

int hull_json_lookup(const struct hull_json *v, const struct hull_json_name *names, uint64_t *ret)
{
	const char *text;
	int r = hull_json_get_string(v, &text);
	if (r < 0)
		return r;
	for (; names->name; names++)
		if (strcmp(names->name, text) == 0) {
			*ret = names->value;
			return 0;
		}
	_cleanup_free_ char *quoted = hull_json_quote(text, HULL_JSON_SHOWN_MAX);
	return hull_json_error(v, "unknown value %s", quoted);
}

int hull_json_read_name32(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t value = 0;
	int r = hull_json_lookup(v, f->names, &value);
	*(uint32_t *)member(f, target) = (uint32_t)value;
	return r;
}

int hull_json_read_u32s(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	size_t n, *count = count_member(f, target);
	int r = hull_json_expect_array(v, &n);
	if (r < 0)
		return r;

	uint32_t *values = *(uint32_t **)member(f, target) = hull_new(uint32_t, n);
	for (size_t i = 0; i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		uint64_t value;
		r = f->names ? hull_json_lookup(&element, f->names, &value) : hull_json_get_u64(&element, UINT32_MAX, &value);
		if (r < 0)
			return r;
		values[(*count)++] = (uint32_t)value;
	}
	return 0;
}

static int read_flags(const struct hull_json *v, const struct hull_json_name *names, uint64_t *ret)
{
	size_t n;
	int r = hull_json_expect_array(v, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		uint64_t bit = 0;
		r = hull_json_lookup(&element, names, &bit);
		*ret |= bit;
	}
	return r;
}

int hull_json_read_flags32(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t bits = 0;
	int r = read_flags(v, f->names, &bits);
	*(uint32_t *)member(f, target) = (uint32_t)bits;
	return r;
}

int hull_json_read_flags64(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return read_flags(v, f->names, member(f, target));
}

int hull_json_read_object(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	return hull_json_read_struct(v, f->type, member(f, target));
}

int hull_json_read_objects(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	size_t n, *count = count_member(f, target);
	int r = hull_json_expect_array(v, &n);
	if (r < 0)
		return r;

	size_t room = 0;
	char *array = NULL;
	for (size_t i = 0; i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		if (i == room) {
			room = room ? room * 2 : 8;
			array = hull_reallocarray(array, room, f->type->size);
			/* The member points to a type that only the table knows. */
			memcpy(member(f, target), &array, sizeof(array));
		}
		void *slot = array + i * f->type->size;
		memset(slot, 0, f->type->size);
		*count = i + 1;
		r = hull_json_read_struct(&element, f->type, slot);
		if (r < 0)
			return r;
	}
	return 0;
}

int hull_json_read_ignored(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target HULL_UNUSED)
{
	hull_json_ignore(v);
	return 0;
}

static bool is_empty(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
		return json_object_object_length(value) == 0;
	case json_type_array:
		return json_object_array_length(value) == 0;
	case json_type_string:
		return json_object_get_string_len(value) == 0;
	default:
		return false;
	}
}

int hull_json_read_presence(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target HULL_UNUSED)
{
	int r = hull_json_expect_object(v);
	return r == 0 && is_empty(v->value) ? HULL_JSON_ABSENT : r;
}

int hull_json_read_refused(const struct hull_json *v, const struct hull_json_field *f, void *target HULL_UNUSED)
{
	return is_empty(v->value) ? 0 : hull_json_error(v, "not supported: %s", f->reason);
}
