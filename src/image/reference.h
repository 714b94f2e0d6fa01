/* SPDX-License-Identifier: Apache-2.0 */
/* Picking one of several images by what people call it. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

/*
 * Whether `reference` means the image that an archive calls `name`. For "docker.io/library/alpine:3.19" that is the
 * whole, each end of it that starts after a slash ("alpine:3.19"), and the tag alone ("3.19"). A reference without
 * a tag also means ":latest".
 */
bool hull_image_reference_matches(const char *name, const char *reference);

/* The error that says that `reference` (may be NULL) means none or several of the images, and lists `names`. */
int hull_image_reference_error(const char *reference, size_t matches, const struct hull_strv *names,
			       struct hull_error *err);
