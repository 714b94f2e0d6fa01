/* SPDX-License-Identifier: Apache-2.0 */
#include "image/reader.h"

#include <archive.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/units.h"
#include "image/digest.h"

/* Bytes read from the file at once. */
#define WINDOW_BYTES (256 * 1024)

/*
 * Compressed bytes handed to libarchive at once. The budget is looked at whenever it asks for more, so this bounds
 * what happens unseen in between: zstd makes up to 16 MiB of 512 bytes.
 */
#define SLICE_BYTES 512

/* Names, extended attributes and the map of a sparse file, which libarchive holds in memory. */
#define HEADER_BYTES_MAX (8 * 1024 * 1024)

/* Small archives may expand as they like. */
#define RATIO_FREE_BYTES (64ULL * 1024 * 1024)

#define TAR_BLOCK 512

struct hull_image_reader {
	struct archive *archive;
	const struct hull_image_blob *blob;
	struct hull_image_budget *budget;
	uint64_t position;               /* in the blob, of the next byte for libarchive */
	uint64_t charged_in, charged_out;
	uint64_t header_start;           /* in the uncompressed bytes */
	bool plain, started, in_header;
	char *window;                    /* of the blob's bytes, [window_start, window_start + window_len) */
	uint64_t window_start;
	size_t window_len;
	locale_t utf8;                   /* (locale_t)0: not available */
	struct hull_error refused;       /* why a callback ended the reading */
};

static uint64_t uncompressed(const struct hull_image_reader *r)
{
	int64_t n = archive_filter_bytes(r->archive, 0);
	return n > 0 ? (uint64_t)n : 0;
}

/* Books what was read since the last time. The reason of a refusal is kept in the reader. */
static int charge(struct hull_image_reader *r)
{
	struct hull_image_budget *b = r->budget;
	uint64_t out = uncompressed(r);
	char text[32];

	b->bytes_in += r->position - r->charged_in;
	r->charged_in = r->position;
	if (out > r->charged_out) {
		b->bytes_out += out - r->charged_out;
		r->charged_out = out;
	}
	if (b->bytes_out > b->limits.bytes_max)
		return hull_error_set(&r->refused, EFBIG, "refused: more than %s when unpacked",
				      hull_format_size(b->limits.bytes_max, text));
	if (b->bytes_out > RATIO_FREE_BYTES && b->bytes_out / b->limits.ratio_max > b->bytes_in)
		return hull_error_set(&r->refused, EFBIG, "refused: it grows more than %u-fold when unpacked",
				      b->limits.ratio_max);
	if (r->in_header && out > r->header_start + HEADER_BYTES_MAX)
		return hull_error_set(&r->refused, EFBIG, "refused: the header of a member is larger than %s",
				      hull_format_size(HEADER_BYTES_MAX, text));
	return 0;
}

static la_ssize_t read_blob(struct archive *archive, void *data, const void **ret)
{
	struct hull_image_reader *r = data;
	if (charge(r) < 0) {
		archive_set_error(archive, EFBIG, "refused");
		return ARCHIVE_FATAL;
	}
	if (r->position < r->window_start || r->position >= r->window_start + r->window_len) {
		ssize_t n = hull_image_blob_pread(r->blob, r->window, WINDOW_BYTES, r->position);
		if (n < 0) {
			hull_error_errno(&r->refused, (int)n, "read");
			archive_set_error(archive, (int)-n, "read");
			return ARCHIVE_FATAL;
		}
		r->window_start = r->position;
		r->window_len = (size_t)n;
	}
	size_t at = (size_t)(r->position - r->window_start), len = r->window_len - at;
	if (!r->plain && len > SLICE_BYTES)
		len = SLICE_BYTES;
	r->position += len;
	*ret = r->window + at;
	return (la_ssize_t)len;
}

static la_int64_t skip_blob(struct archive *archive HULL_UNUSED, void *data, la_int64_t request)
{
	struct hull_image_reader *r = data;
	uint64_t left = r->blob->size > r->position ? r->blob->size - r->position : 0;
	uint64_t n = request < 0 ? 0 : (uint64_t)request;
	if (n > left)
		n = left;
	r->position += n;
	return (la_int64_t)n;
}

static int fail(struct hull_image_reader *r, struct hull_error *err)
{
	if (r->refused.code != 0)
		return hull_error_set(err, r->refused.code, "%s", r->refused.message);
	const char *why = archive_error_string(r->archive);
	return hull_error_set(err, EBADMSG, "not a readable tar archive: %s", why ? why : "unreadable");
}

/* Only what libarchive does itself: for other filters it would start programs, and says so with ARCHIVE_WARN. */
static int support(struct archive *a, enum hull_image_reader_format format)
{
	static int (*const filters[])(struct archive *) = {
		archive_read_support_filter_gzip,
		archive_read_support_filter_zstd,
		archive_read_support_filter_xz,
		archive_read_support_filter_bzip2,
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(filters); i++)
		if (filters[i](a) != ARCHIVE_OK)
			return -EOPNOTSUPP;
	int r = format == HULL_IMAGE_READER_TAR ? archive_read_support_format_tar(a)
						: archive_read_support_format_raw(a);
	return r == ARCHIVE_OK ? 0 : -EOPNOTSUPP;
}

int hull_image_reader_open(const struct hull_image_blob *blob, enum hull_image_reader_format format,
			   struct hull_image_budget *budget, struct hull_image_reader **ret, struct hull_error *err)
{
	_cleanup_(hull_image_reader_closep) struct hull_image_reader *r = hull_new(struct hull_image_reader, 1);
	r->blob = blob;
	r->budget = budget;
	r->window = hull_calloc(WINDOW_BYTES, 1);
	r->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	r->archive = archive_read_new();
	if (!r->archive || support(r->archive, format) < 0)
		return hull_error_set(err, EOPNOTSUPP, "this libarchive was built without what images need");

	archive_read_set_read_callback(r->archive, read_blob);
	archive_read_set_skip_callback(r->archive, skip_blob);
	archive_read_set_callback_data(r->archive, r);
	if (archive_read_open1(r->archive) != ARCHIVE_OK)
		return fail(r, err);
	/* The blob counts as one; more than a compression on top of it would hide work from the budget. */
	if (archive_filter_count(r->archive) > 2)
		return hull_error_set(err, EINVAL, "refused: compressed more than once");
	r->plain = archive_filter_count(r->archive) == 1;
	*ret = TAKE_PTR(r);
	return 0;
}

/*
 * libarchive converts the names of pax headers, which are UTF-8, to the locale's character set, and a program that
 * did not choose a locale has ASCII. The choice here is for this thread and this call only.
 */
static int next_header(struct hull_image_reader *r, struct archive_entry **ret)
{
	locale_t before = r->utf8 ? uselocale(r->utf8) : (locale_t)0;
	int result = archive_read_next_header(r->archive, ret);
	if (before)
		uselocale(before);

	/* A name in another character set, which libarchive then leaves as it is, and that is right. */
	const char *why = result == ARCHIVE_WARN ? archive_error_string(r->archive) : NULL;
	return why && strstr(why, "can't be converted") ? ARCHIVE_OK : result;
}

int hull_image_reader_next(struct hull_image_reader *r, struct archive_entry **ret, struct hull_error *err)
{
	if (r->started && archive_read_data_skip(r->archive) < ARCHIVE_WARN)
		return fail(r, err);
	r->started = true;
	r->header_start = uncompressed(r);
	r->in_header = true;
	int result = next_header(r, ret);
	r->in_header = false;
	if (result == ARCHIVE_EOF)
		return 0;
	/* Any other warning is about something that would come out as something else. */
	if (result != ARCHIVE_OK || charge(r) < 0)
		return fail(r, err);
	if (++r->budget->entries > r->budget->limits.entries_max)
		return hull_error_set(err, EFBIG, "refused: more than %" PRIu64 " files", r->budget->limits.entries_max);
	return 1;
}

int hull_image_reader_block(struct hull_image_reader *r, const void **ret_data, size_t *ret_len,
			    uint64_t *ret_offset, struct hull_error *err)
{
	la_int64_t offset;
	int result = archive_read_data_block(r->archive, ret_data, ret_len, &offset);
	if (result == ARCHIVE_EOF)
		return 0;
	if (result != ARCHIVE_OK || offset < 0 || charge(r) < 0)
		return fail(r, err);
	*ret_offset = (uint64_t)offset;
	return 1;
}

bool hull_image_reader_plain(const struct hull_image_reader *r)
{
	return r->plain;
}

uint64_t hull_image_reader_position(const struct hull_image_reader *r)
{
	return r->header_start;
}

bool hull_image_reader_ended(const struct hull_image_reader *r)
{
	return uncompressed(r) >= r->header_start + TAR_BLOCK;
}

void hull_image_reader_close(struct hull_image_reader *r)
{
	if (!r)
		return;
	archive_read_free(r->archive);
	if (r->utf8)
		freelocale(r->utf8);
	free(r->window);
	free(r);
}

void hull_image_reader_closep(struct hull_image_reader **r)
{
	hull_image_reader_close(*r);
}

int hull_image_reader_diff_id(const struct hull_image_blob *blob, const struct hull_image_limits *limits,
			      char hex[static HULL_IMAGE_SHA256_HEX], struct hull_error *err)
{
	struct hull_image_budget budget = { .limits = *limits };
	_cleanup_(hull_image_reader_closep) struct hull_image_reader *reader = NULL;
	struct archive_entry *entry;
	struct sha256_ctx ctx;
	const void *data;
	uint64_t offset;
	size_t len;

	int r = hull_image_reader_open(blob, HULL_IMAGE_READER_RAW, &budget, &reader, err);
	if (r < 0)
		return r;
	r = hull_image_reader_next(reader, &entry, err);
	if (r < 0)
		return r;
	sha256_init(&ctx);
	while ((r = hull_image_reader_block(reader, &data, &len, &offset, err)) > 0)
		sha256_update(&ctx, len, data);
	if (r < 0)
		return r;
	hull_image_sha256_hex(&ctx, hex);
	return 0;
}
