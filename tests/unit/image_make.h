/* SPDX-License-Identifier: Apache-2.0 */
/* Makes images for the tests of src/image, and unpacks them beside a canary. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"
#include "image/reader.h"

/* A directory of its own for each test: `base`, with base/dest to unpack into and base/canary that must stay as it is. */
struct place {
	char base[64];
	char dest[96];
	struct hull_image_config config;
	struct hull_error err;
	unsigned lines;           /* of progress */
};

/* cmocka setup and teardown: *state is a struct place. Teardown fails the test if anything but dest was touched. */
int place_setup(void **state);
int place_teardown(void **state);

/* Empties base/dest. */
void place_reset(struct place *p);

/* Unpacks base/`name` into base/dest. */
int place_unpack(struct place *p, const char *name, enum hull_image_kind kind, const char *reference);

/* Fails the test unless that is refused with `message` in its text, and nothing is outside of dest. */
void place_refuse(struct place *p, const char *name, enum hull_image_kind kind, const char *message);

/* Whether dest/`path` is a file with that content, or exists at all for NULL. Links are not followed. */
bool place_has(const struct place *p, const char *path, const char *content);

/* An item says only what matters of it; the rest is 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* A member of a tar. `type`: 'f' file, 'd' directory, 'l' symbolic, 'h' hard link, 'p' fifo, 'c' and 'b' devices. */
struct item {
	char type;
	const char *name;
	const char *text;         /* content or target */
	unsigned mode;            /* 0: 0755 for directories, 0644 otherwise */
	unsigned uid, gid;
	long mtime;
};

#define ITEMS(...) ((const struct item[]){ __VA_ARGS__, { .type = 0 } })

/* A tar in memory; `filter` is "", "gzip", "zstd", "xz" or "gzip gzip". The caller frees. */
char *make_tar(const char *filter, const struct item *items, size_t *ret_len);

/* Compresses bytes. The caller frees. */
char *make_compressed(const char *filter, const void *data, size_t len, size_t *ret_len);

/* Writes base/`name`, directories included. */
void put_bytes(const struct place *p, const char *name, const void *data, size_t len);
void put_text(const struct place *p, const char *name, const char *text);

/* Writes an OCI blob below base/`layout` and returns its descriptor, without the braces; the caller frees. */
char *put_blob(const struct place *p, const char *layout, const char *media_type, const void *data, size_t len);

/* A layout base/`layout` of one image whose layers are these tars, each compressed another way. */
void put_layout(const struct place *p, const char *layout, const struct item *const *layers, size_t n);

/* Tars the directory base/`from` to base/`to`. */
void tar_directory(const struct place *p, const char *from, const char *to, const char *filter);

void sha256_of(const void *data, size_t len, char hex[static 65]);
