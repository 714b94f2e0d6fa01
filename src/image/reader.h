/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a tar, compressed or not, out of a blob. All that bounds an archive as a stream is here: bytes, expansion,
 * number of members, size of a member's header, compression once only. Nothing is written and no program is started.
 */
#pragma once

#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "image/blob.h"
#include "image/image.h"

/* What has been used up of the limits; shared by all layers of an image. */
struct hull_image_budget {
	struct hull_image_limits limits;
	uint64_t bytes_in, bytes_out;    /* compressed, uncompressed */
	uint64_t entries;
};

enum hull_image_reader_format {
	HULL_IMAGE_READER_TAR,
	HULL_IMAGE_READER_RAW,           /* the uncompressed bytes as one member */
};

struct hull_image_reader;

/* Starts reading `blob`, which like `budget` must outlive the reader. On success the caller closes `*ret`. */
int hull_image_reader_open(const struct hull_image_blob *blob, enum hull_image_reader_format format,
			   struct hull_image_budget *budget, struct hull_image_reader **ret, struct hull_error *err);

/* The next member, past what is left of the one before: 1, 0 at the end, or a negative error. The reader owns `*ret`. */
int hull_image_reader_next(struct hull_image_reader *reader, struct archive_entry **ret, struct hull_error *err);

/* The next piece of the member's data, with holes left out: 1, 0 at its end, or a negative error. */
int hull_image_reader_block(struct hull_image_reader *reader, const void **ret_data, size_t *ret_len,
			    uint64_t *ret_offset, struct hull_error *err);

/* Whether the archive is not compressed, so that its bytes are the blob's. */
bool hull_image_reader_plain(const struct hull_image_reader *reader);

/* Where the last hull_image_reader_next() began to read, in uncompressed bytes: where the member before ended. */
uint64_t hull_image_reader_position(const struct hull_image_reader *reader);

/* After hull_image_reader_next() said 0: whether the end was marked. A tar that was cut between members has no mark. */
bool hull_image_reader_ended(const struct hull_image_reader *reader);

/* Frees the reader. NULL is allowed. */
void hull_image_reader_close(struct hull_image_reader *reader);

/* For _cleanup_(). */
void hull_image_reader_closep(struct hull_image_reader **reader);

/* The SHA-256 of the blob's uncompressed bytes: what an image calls a layer's diff ID. */
int hull_image_reader_diff_id(const struct hull_image_blob *blob, const struct hull_image_limits *limits,
			      char hex[static HULL_IMAGE_SHA256_HEX], struct hull_error *err);
