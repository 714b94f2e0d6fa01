/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the well-formed character at `p`, 0 if there is none. Source: RFC 3629, section 4. */
static size_t utf8_length(const unsigned char *p)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;

	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* U+0000 to U+001F, U+007F to U+009F. */
static bool is_control(const unsigned char *p)
{
	return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

static char *clean(char *out, size_t room, const char *text, const char *kept)
{
	const unsigned char *p = (const unsigned char *)(text ? text : "");
	size_t used = 0;

	while (*p) {
		size_t n = utf8_length(p);
		bool keep = n > 0 && (!is_control(p) || strchr(kept, p[0]));
		if (used + (keep ? n : 1) >= room)
			break;
		if (keep)
			memcpy(out + used, p, n);
		else
			out[used] = '?';
		used += keep ? n : 1;
		p += n ? n : 1;
	}
	out[used] = '\0';
	return out;
}

char *hull_text_clean(char *out, size_t room, const char *text)
{
	return clean(out, room, text, "\n\t");
}

char *hull_text_clean_line(char *out, size_t room, const char *text)
{
	return clean(out, room, text, "");
}
