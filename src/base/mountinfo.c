/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mountinfo.h"

#include <stddef.h>
#include <string.h>

/* Ten fixed fields and a few optional ones; more are not read. */
#define FIELDS_MAX 24
/* Number of fields before the optional ones. */
#define FIELDS_FIRST 6

void hull_mountinfo_unescape(char *text)
{
	char *to = text;
	for (const char *p = text; *p; to++) {
		if (p[0] == '\\' && strspn(p + 1, "01234567") >= 3) {
			*to = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
}

bool hull_mountinfo_parse(char *line, struct hull_mountinfo *ret)
{
	char *fields[FIELDS_MAX], *rest = NULL;
	size_t n = 0, dash = 0;
	for (char *f = strtok_r(line, " ", &rest); f && n < FIELDS_MAX; f = strtok_r(NULL, " ", &rest)) {
		if (!dash && n >= FIELDS_FIRST && strcmp(f, "-") == 0)
			dash = n;
		fields[n++] = f;
	}
	if (!dash || dash + 3 >= n)
		return false;
	*ret = (struct hull_mountinfo){ .device = fields[2], .root = fields[3], .point = fields[4], .type = fields[dash + 1],
					.source = fields[dash + 2], .options = fields[dash + 3] };
	hull_mountinfo_unescape(ret->root);
	hull_mountinfo_unescape(ret->point);
	hull_mountinfo_unescape(ret->source);
	return true;
}
