/* SPDX-License-Identifier: Apache-2.0 */
/* Names inside archives: made plain, or refused. */
#pragma once

#include "base/error.h"

/* Enough for the first 200 bytes of a name, each escaped, and "...". */
#define HULL_IMAGE_SHOW_MAX 840

/*
 * Turns an archive member's name into a relative path without ".", empty components and trailing slashes; "" is the
 * root itself. Refuses (-EINVAL, naming the member) absolute names, "..", and what is too long or too deep to be real.
 * The caller frees `*ret`.
 */
int hull_image_path_clean(const char *name, char **ret, struct hull_error *err);

/*
 * What the symbolic link `link` (a clean path) with the text `target` names, by the letters alone: a clean path inside
 * the archive. -EXDEV when it leaves the archive. The caller frees `*ret`.
 */
int hull_image_path_follow(const char *link, const char *target, char **ret);

/* Writes `name` into `buf` so that it can be printed on a terminal: what is not plain ASCII becomes \xNN. */
const char *hull_image_path_show(const char *name, char buf[static HULL_IMAGE_SHOW_MAX]);

/* The last component of a clean path. */
const char *hull_image_path_base(const char *path);
