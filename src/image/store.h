/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an image by name, be they in a directory or in a tar. */
#pragma once

#include "base/error.h"
#include "image/blob.h"
#include "image/image.h"

struct hull_image_store;

/*
 * Opens the directory or tar at `path`. A compressed tar is uncompressed, within `limits`, into a file without a name
 * in the directory `temp_dir`, which ends with the store. On success the caller closes `*ret`.
 */
int hull_image_store_open(const char *path, const char *temp_dir, const struct hull_image_limits *limits,
			  struct hull_image_store **ret, struct hull_error *err);

/* Frees the store. NULL is allowed. */
void hull_image_store_close(struct hull_image_store *store);

/* For _cleanup_(). */
void hull_image_store_closep(struct hull_image_store **store);

/* Opens the file `name`, through links inside the image. On success the caller closes `*ret`. */
int hull_image_store_get(const struct hull_image_store *store, const char *name, struct hull_image_blob *ret,
			 struct hull_error *err);
