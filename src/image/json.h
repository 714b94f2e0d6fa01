/* SPDX-License-Identifier: Apache-2.0 */
/* JSON documents of an image: bounded, every field checked for its type, errors that name document and field. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"
#include "image/blob.h"

#define HULL_IMAGE_JSON_BYTES_MAX (4 * 1024 * 1024)

/* A value and where it is. Borrows from the document, which is the value that hull_image_json_load() gave. */
struct hull_image_json {
	json_object *v;          /* NULL: not there, or null */
	char where[192];         /* "index.json: manifests[2].digest" */
};

/* Reads the document in `blob`; `name` is for messages. On success the caller frees `*ret`. */
int hull_image_json_load(const struct hull_image_blob *blob, const char *name, struct hull_image_json *ret,
			 struct hull_error *err);

/* Frees a document. */
void hull_image_json_free(struct hull_image_json *document);

/* The member `key` of an object, which must be of `type`. Absent or null: `ret->v` is NULL and that is no error. */
int hull_image_json_get(const struct hull_image_json *at, const char *key, enum json_type type,
			struct hull_image_json *ret, struct hull_error *err);

/* The same, but it must be there. */
int hull_image_json_need(const struct hull_image_json *at, const char *key, enum json_type type,
			 struct hull_image_json *ret, struct hull_error *err);

/* Member `i` of an array, which must be of `type`. */
int hull_image_json_item(const struct hull_image_json *at, size_t i, enum json_type type, struct hull_image_json *ret,
			 struct hull_error *err);

/* How many members an array has; 0 for one that is not there. */
size_t hull_image_json_count(const struct hull_image_json *at);

/* The string at `key`, NULL when there is none. It lives as long as the document. */
int hull_image_json_string(const struct hull_image_json *at, const char *key, const char **ret, struct hull_error *err);

/* Appends the strings of the array at `key`, none when there is no array. */
int hull_image_json_strings(const struct hull_image_json *at, const char *key, struct hull_strv *ret,
			    struct hull_error *err);
