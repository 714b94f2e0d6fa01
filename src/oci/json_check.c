/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checker for JSON text: RFC 8259 plus what hull_json_parse() promises. Recursive descent with a bounded depth; it keeps
 * nothing but the keys of the objects it is inside of.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json.h"

struct checker {
	const char *name;
	const char *start, *p, *end;
	unsigned depth;
	struct hull_error *err;
};

__attribute__((format(printf, 2, 3)))
static int fail(struct checker *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *message = hull_vasprintf(fmt, ap);
	va_end(ap);

	size_t line = 1;
	const char *line_start = c->start;
	for (const char *q = c->start; q < c->p; q++)
		if (*q == '\n') {
			line++;
			line_start = q + 1;
		}
	return hull_error_set(c->err, EINVAL, "%s: line %zu, column %zu: %s", c->name, line, (size_t)(c->p - line_start) + 1,
			      message);
}

static int fail_found(struct checker *c, const char *expected)
{
	if (c->p == c->end)
		return fail(c, "expected %s, found the end of the text", expected);
	unsigned char byte = (unsigned char)*c->p;
	if (byte < 0x21 || byte > 0x7e)
		return fail(c, "expected %s, found byte 0x%02x", expected, byte);
	return fail(c, "expected %s, found '%c'", expected, byte);
}

static bool at(const struct checker *c, char byte)
{
	return c->p < c->end && *c->p == byte;
}

static bool at_digit(const struct checker *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

static void skip_space(struct checker *c)
{
	while (at(c, ' ') || at(c, '\t') || at(c, '\n') || at(c, '\r'))
		c->p++;
}

/* Four hexadecimal digits at c->p, which moves behind them. */
static int check_hex4(struct checker *c, unsigned *ret)
{
	unsigned value = 0;
	for (int i = 0; i < 4; i++, c->p++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *digit = c->p < c->end && *c->p ? strchr(digits, *c->p) : NULL;
		if (!digit)
			return fail_found(c, "a hexadecimal digit");
		unsigned n = (unsigned)(digit - digits);
		value = value << 4 | (n < 16 ? n : n - 6);
	}
	*ret = value;
	return 0;
}

/* Behind a backslash. Source: RFC 8259, section 7. */
static int check_escape(struct checker *c)
{
	if (c->p == c->end || !*c->p || !strchr("\"\\/bfnrtu", *c->p))
		return fail_found(c, "an escape");
	if (*c->p++ != 'u')
		return 0;

	unsigned unit, low = 0;
	int r = check_hex4(c, &unit);
	if (r < 0)
		return r;
	if (unit == 0)
		return fail(c, "a string holds a NUL (\\u0000)");
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	if (unit <= 0xdbff && at(c, '\\')) {
		c->p++;
		if (at(c, 'u')) {
			c->p++;
			r = check_hex4(c, &low);
			if (r < 0)
				return r;
		}
	}
	return low >= 0xdc00 && low <= 0xdfff ? 0 : fail(c, "a lone surrogate (\\u%04x)", unit);
}

/* One multi-byte character. Source: RFC 3629, section 4. */
static int check_utf8(struct checker *c)
{
	static const struct { unsigned char first_min, first_max, second_min, second_max, length; } forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *s = (const unsigned char *)c->p;

	for (size_t i = 0; i < HULL_ARRAY_SIZE(forms); i++) {
		if (s[0] < forms[i].first_min || s[0] > forms[i].first_max || c->end - c->p < forms[i].length ||
		    s[1] < forms[i].second_min || s[1] > forms[i].second_max)
			continue;
		int good = 2;
		while (good < forms[i].length && s[good] >= 0x80 && s[good] <= 0xbf)
			good++;
		if (good == forms[i].length) {
			c->p += good;
			return 0;
		}
	}
	return fail(c, "invalid UTF-8 (byte 0x%02x)", s[0]);
}

static int check_string(struct checker *c)
{
	c->p++;
	for (;;) {
		if (c->p == c->end)
			return fail(c, "a string does not end");
		unsigned char byte = (unsigned char)*c->p;
		int r = 0;
		if (byte < 0x20)
			return fail(c, "a string holds control character 0x%02x", byte);
		if (byte >= 0x80) {
			r = check_utf8(c);
		} else {
			c->p++;
			if (byte == '"')
				return 0;
			if (byte == '\\')
				r = check_escape(c);
		}
		if (r < 0)
			return r;
	}
}

static int check_digits(struct checker *c)
{
	if (!at_digit(c))
		return fail_found(c, "a digit");
	while (at_digit(c))
		c->p++;
	return 0;
}

/* Whether the integer of `len` characters fits int64_t or uint64_t; json-c would saturate it. */
static bool integer_fits(const char *s, size_t len)
{
	char copy[24];
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, s, len);
	copy[len] = '\0';
	errno = 0;
	if (copy[0] == '-')
		(void)strtoll(copy, NULL, 10);
	else
		(void)strtoull(copy, NULL, 10);
	return errno == 0;
}

static int check_number(struct checker *c)
{
	const char *first = c->p;
	bool whole = true;
	int r = 0;

	if (at(c, '-'))
		c->p++;
	if (at(c, '0'))
		c->p++;
	else
		r = check_digits(c);
	if (r == 0 && at(c, '.')) {
		whole = false;
		c->p++;
		r = check_digits(c);
	}
	if (r == 0 && (at(c, 'e') || at(c, 'E'))) {
		whole = false;
		c->p++;
		if (at(c, '+') || at(c, '-'))
			c->p++;
		r = check_digits(c);
	}
	if (r == 0 && whole && !integer_fits(first, (size_t)(c->p - first)))
		return fail(c, "a number is out of range");
	return r;
}

static int check_literal(struct checker *c)
{
	static const char *const words[] = { "true", "false", "null" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i]);
		if ((size_t)(c->end - c->p) >= len && memcmp(c->p, words[i], len) == 0) {
			c->p += len;
			return 0;
		}
	}
	return fail_found(c, "a value");
}

static int check_value(struct checker *c);

static int check_array(struct checker *c)
{
	c->p++;
	skip_space(c);
	if (at(c, ']')) {
		c->p++;
		return 0;
	}
	for (;;) {
		int r = check_value(c);
		if (r < 0)
			return r;
		if (at(c, ']')) {
			c->p++;
			return 0;
		}
		if (!at(c, ','))
			return fail_found(c, "',' or ']'");
		c->p++;
	}
}

/* Adds the key that was written as `len` checked bytes, quotes included, to the set `keys`. */
static int add_key(struct checker *c, struct json_object *keys, const char *quoted, size_t len)
{
	_cleanup_json_ struct json_object *decoded = NULL;
	_cleanup_free_ char *copy = hull_strndup(quoted + 1, len - 2);
	const char *key = copy;

	if (strchr(copy, '\\')) {
		_cleanup_free_ char *text = hull_strndup(quoted, len);
		decoded = json_tokener_parse(text);
		key = json_object_get_string(decoded);
	}
	if (json_object_object_get_ex(keys, key, NULL)) {
		_cleanup_free_ char *shown = hull_json_quote(key, HULL_JSON_SHOWN_MAX);
		return fail(c, "key %s occurs twice in one object", shown);
	}
	json_object_object_add(keys, key, NULL);
	return 0;
}

static int check_object(struct checker *c)
{
	_cleanup_json_ struct json_object *keys = json_object_new_object();

	c->p++;
	skip_space(c);
	if (at(c, '}')) {
		c->p++;
		return 0;
	}
	for (;;) {
		skip_space(c);
		if (!at(c, '"'))
			return fail_found(c, "a key");
		const char *quoted = c->p;
		int r = check_string(c);
		if (r == 0)
			r = add_key(c, keys, quoted, (size_t)(c->p - quoted));
		if (r < 0)
			return r;
		skip_space(c);
		if (!at(c, ':'))
			return fail_found(c, "':'");
		c->p++;
		r = check_value(c);
		if (r < 0)
			return r;
		if (at(c, '}')) {
			c->p++;
			return 0;
		}
		if (!at(c, ','))
			return fail_found(c, "',' or '}'");
		c->p++;
	}
}

/* A value and the white space around it. */
static int check_value(struct checker *c)
{
	int r;

	skip_space(c);
	if (at(c, '{') || at(c, '[')) {
		if (++c->depth > HULL_JSON_DEPTH_MAX)
			return fail(c, "nested deeper than %d", HULL_JSON_DEPTH_MAX);
		r = *c->p == '{' ? check_object(c) : check_array(c);
		c->depth--;
	} else if (at(c, '"')) {
		r = check_string(c);
	} else if (at(c, '-') || at_digit(c)) {
		r = check_number(c);
	} else {
		r = check_literal(c);
	}
	skip_space(c);
	return r;
}

int hull_json_check(const char *name, const char *text, size_t len, struct hull_error *err)
{
	struct checker c = { .name = name, .start = text, .p = text, .end = text + len, .err = err };
	int r = check_value(&c);
	if (r < 0)
		return r;
	return c.p == c.end ? 0 : fail_found(&c, "the end of the text");
}
