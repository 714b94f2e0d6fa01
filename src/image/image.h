/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as files, for `hull try`: what they say to run, and their layers as one directory tree.
 * Everything in an archive is hostile. Nothing is written outside the destination, and what is
 * read and written is bounded.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

enum hull_image_kind {
	HULL_IMAGE_ROOTFS_DIR,         /* a directory to be used as it is */
	HULL_IMAGE_OCI_LAYOUT,         /* a directory with oci-layout and index.json */
	HULL_IMAGE_OCI_ARCHIVE,        /* the same as a tar, also compressed */
	HULL_IMAGE_DOCKER_ARCHIVE,     /* docker save: manifest.json in a tar */
	HULL_IMAGE_ROOTFS_TAR,         /* a plain tar of a root file system */
};

/* What the image's configuration says. Members may be empty. */
struct hull_image_config {
	struct hull_strv entrypoint, cmd, env;
	char *working_dir, *user, *stop_signal, *architecture;
};

/* A member that is 0 means its default. */
struct hull_image_limits {
	uint64_t bytes_max;            /* unpacked, all layers together (16 GiB) */
	uint64_t entries_max;          /* files of all layers together (2,000,000) */
	unsigned ratio_max;            /* unpacked bytes for each byte of the archive, once beyond 64 MiB (1,000) */
};

#define HULL_IMAGE_LIMITS_DEFAULT { \
	.bytes_max = 16ULL * 1024 * 1024 * 1024, \
	.entries_max = 2000000, \
	.ratio_max = 1000, \
}

/* Looks at `path` (a file or directory). Errors say what was expected. */
int hull_image_detect(const char *path, enum hull_image_kind *ret, struct hull_error *err);
const char *hull_image_kind_name(enum hull_image_kind kind);

/*
 * Unpacks the image into the empty directory `dest` and fills `ret_config`. `reference` picks one of several images by
 * name or tag; NULL: the only one, an error that lists them otherwise. Digests are verified. On an error `dest` may hold a part; the
 * caller removes it. `limits` NULL: the defaults. `progress` (may be NULL) is called with a line for people.
 */
int hull_image_unpack(const char *path, enum hull_image_kind kind, const char *reference, const char *dest,
		      const struct hull_image_limits *limits, void (*progress)(void *data, const char *line), void *data,
		      struct hull_image_config *ret_config, struct hull_error *err);

void hull_image_config_clear(struct hull_image_config *config);
