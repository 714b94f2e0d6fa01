/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON on top of json-c: RFC 8259 and nothing else, every value with the path that leads to it.
 *
 * json-c overwrites duplicate keys, saturates numbers, accepts NaN and cuts strings at \u0000. hull_json_parse() lets none
 * of that through, so whoever reads the tree sees what any other reader of the same text sees, and may take strings as C strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/error.h"
#include "base/mem.h"

#define HULL_JSON_DEPTH_MAX 32         /* objects and arrays within each other */
#define HULL_JSON_ARRAY_MAX 65536      /* elements of an array that a typed reader takes */
#define HULL_JSON_SHOWN_MAX 64         /* bytes of a value or key in an error */

/*
 * Parses `len` bytes of `text` (no NUL needed behind them), which must be one JSON value of at most `max_len` bytes. `name`
 * ("config.json") starts the error messages. On success *ret is a new reference for json_object_put(); it may be NULL, which is
 * json-c's way to say null. Refused: duplicate keys, \u0000, invalid UTF-8, lone surrogates, control characters in strings,
 * integers beyond 64 bits, nesting deeper than HULL_JSON_DEPTH_MAX, anything behind the value. -EINVAL, -EFBIG.
 */
int hull_json_parse(const char *name, const char *text, size_t len, size_t max_len, struct json_object **ret,
		    struct hull_error *err);

/* Checks the text as hull_json_parse() does, without making a tree. Used by hull_json_parse(). */
int hull_json_check(const char *name, const char *text, size_t len, struct hull_error *err);

static inline void hull_json_putp(struct json_object **o)
{
	if (*o)
		json_object_put(*o);
}
#define _cleanup_json_ __attribute__((cleanup(hull_json_putp)))

/* What all values of one document share. */
struct hull_json_doc {
	const char *name;              /* starts each error; NULL: nothing does */
	struct hull_strv *ignored;     /* takes the paths of tolerated unknown fields; NULL: nobody wants them */
	struct hull_error *err;
};

/* A value and where it stands. Lives on the reader's stack; borrows everything. */
struct hull_json {
	const struct hull_json_doc *doc;
	const struct hull_json *parent;
	const char *key;               /* NULL: element `index` of an array, or the unnamed root */
	size_t index;
	struct json_object *value;     /* NULL: absent or null, which mean the same (as in Go's encoding/json) */
};

/* The top of a document. `key` starts every path, NULL for none. */
struct hull_json hull_json_root(const struct hull_json_doc *doc, const char *key, struct json_object *value);
struct hull_json hull_json_member(const struct hull_json *object, const char *key);
struct hull_json hull_json_element(const struct hull_json *array, size_t index);

/* "linux.resources.pids.limit", "mounts[3].options[0]", "annotations["a.b"]". Caller frees. */
char *hull_json_path(const struct hull_json *v);

/* Sets "name: path: message" and returns -EINVAL. */
int hull_json_error(const struct hull_json *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "expected `what`, found a string ("10m")". Returns -EINVAL. */
int hull_json_unexpected(const struct hull_json *v, const char *what);

/* Notes the path of `v` on the document's list of ignored fields. */
void hull_json_ignore(const struct hull_json *v);

/* Typed access; a value that is absent, of another type or out of range is an error. Strings are borrowed. */
int hull_json_get_bool(const struct hull_json *v, bool *ret);
int hull_json_get_string(const struct hull_json *v, const char **ret);
int hull_json_get_i64(const struct hull_json *v, int64_t min, int64_t max, int64_t *ret);
int hull_json_get_u64(const struct hull_json *v, uint64_t max, uint64_t *ret);
int hull_json_expect_object(const struct hull_json *v);
int hull_json_expect_array(const struct hull_json *v, size_t *ret_n);

/*
 * Writes at most `max` bytes of `s` as printable ASCII between quotes, with \xNN for the rest and "…" where it was cut: what
 * an error may show of untrusted text. Caller frees.
 */
char *hull_json_quote(const char *s, size_t max);
