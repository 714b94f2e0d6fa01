/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle: a directory with config.json and, usually, the rootfs. */
#pragma once

#include "oci/spec.h"

struct hull_bundle {
	char *path;                    /* absolute */
	char *text;                    /* config.json */
	size_t len;
	struct hull_oci_spec *spec;
	char *rootfs;                  /* absolute, a directory */
};

/*
 * Reads, validates and resolves. `config` is --config's file, or NULL for the bundle's config.json. What Hull does not
 * support is refused here, before anything is made.
 */
int hull_bundle_load(const char *path, const char *config, struct hull_bundle *ret, struct hull_error *err);
void hull_bundle_clear(struct hull_bundle *bundle);
