/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a container's root, of which everything may be hostile. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Resolves `path` as a process whose root is `rootfd` would and makes what is missing: directories (0755), and an
 * empty file (0644) at the end unless `directory`. The target of a dangling symbolic link is made, inside the root.
 * Returns an O_PATH descriptor or -errno.
 */
int hull_inroot_make(int rootfd, const char *path, bool directory);

/*
 * As hull_inroot_make() for all but the last component, which is copied to `name` (of NAME_MAX + 1 bytes).
 * Returns a descriptor of the parent that *at() calls may use. -EINVAL when the path has no last component.
 */
int hull_inroot_make_parent(int rootfd, const char *path, char *name);
