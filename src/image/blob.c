/* SPDX-License-Identifier: Apache-2.0 */
#include "image/blob.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "image/digest.h"

#define CHUNK_BYTES (256 * 1024)

int hull_image_blob_from_fd(int fd, struct hull_image_blob *ret)
{
	_cleanup_close_ int owned = fd;
	struct stat st;
	if (fstat(owned, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (struct hull_image_blob){ .fd = TAKE_FD(owned), .size = (uint64_t)st.st_size };
	return 0;
}

ssize_t hull_image_blob_pread(const struct hull_image_blob *blob, void *data, size_t len, uint64_t at)
{
	if (at >= blob->size)
		return 0;
	if (len > blob->size - at)
		len = (size_t)(blob->size - at);
	for (;;) {
		ssize_t n = pread(blob->fd, data, len, (off_t)(blob->offset + at));
		if (n > 0)
			return n;
		if (n == 0)
			return -EIO;
		if (errno != EINTR)
			return -errno;
	}
}

int hull_image_blob_read(const struct hull_image_blob *blob, size_t max, char **ret, size_t *ret_len)
{
	if (blob->size > max)
		return -EFBIG;
	size_t len = (size_t)blob->size, got = 0;
	_cleanup_free_ char *data = hull_calloc(len + 1, 1);
	while (got < len) {
		ssize_t n = hull_image_blob_pread(blob, data + got, len - got, got);
		if (n < 0)
			return (int)n;
		got += (size_t)n;
	}
	*ret = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}

int hull_image_blob_sha256(const struct hull_image_blob *blob, char hex[static HULL_IMAGE_SHA256_HEX])
{
	_cleanup_free_ uint8_t *data = hull_calloc(CHUNK_BYTES, 1);
	struct sha256_ctx ctx;
	uint64_t at = 0;
	ssize_t n;

	sha256_init(&ctx);
	while ((n = hull_image_blob_pread(blob, data, CHUNK_BYTES, at)) > 0) {
		sha256_update(&ctx, (size_t)n, data);
		at += (uint64_t)n;
	}
	if (n < 0)
		return (int)n;
	hull_image_sha256_hex(&ctx, hex);
	return 0;
}

void hull_image_blob_close(struct hull_image_blob *blob)
{
	hull_closep(&blob->fd);
}
