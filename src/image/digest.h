/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 as the image documents write it. */
#pragma once

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "image/blob.h"

/* Ends the computation and writes it in lower-case hexadecimal. */
static inline void hull_image_sha256_hex(struct sha256_ctx *ctx, char hex[static HULL_IMAGE_SHA256_HEX])
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	sha256_digest(ctx, sizeof(sum), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

/* Whether `text` starts with a SHA-256 in lower-case hexadecimal; what may follow it is the caller's business. */
static inline bool hull_image_sha256_valid(const char *text)
{
	return strspn(text, "0123456789abcdef") == HULL_IMAGE_SHA256_HEX - 1;
}
