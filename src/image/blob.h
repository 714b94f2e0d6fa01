/* SPDX-License-Identifier: Apache-2.0 */
/* A run of bytes in a file: a layer or a document, in a directory or inside a tar. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define HULL_IMAGE_SHA256_HEX (64 + 1)

struct hull_image_blob {
	int fd;                  /* owned, -1: none */
	uint64_t offset, size;   /* in bytes */
};

#define HULL_IMAGE_BLOB_INIT { .fd = -1 }

/* Takes `fd` over: all of a regular file. -EINVAL (and `fd` closed) for anything else. */
int hull_image_blob_from_fd(int fd, struct hull_image_blob *ret);

/* The blob's bytes from `at`: how many there were, 0 at its end, or -errno. -EIO when the file has become shorter. */
ssize_t hull_image_blob_pread(const struct hull_image_blob *blob, void *data, size_t len, uint64_t at);

/* All bytes with a NUL behind them, -EFBIG when there are more than `max`. The caller frees `*ret`. */
int hull_image_blob_read(const struct hull_image_blob *blob, size_t max, char **ret, size_t *ret_len);

/* The SHA-256 of the bytes in lower-case hexadecimal. 0 or -errno. */
int hull_image_blob_sha256(const struct hull_image_blob *blob, char hex[static HULL_IMAGE_SHA256_HEX]);

/* Closes it; what was closed may be closed again. */
void hull_image_blob_close(struct hull_image_blob *blob);
