/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hull_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end = NULL;
	if (!*text || isspace((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int hull_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char powers[] = "KMGTP";
	char *end = NULL;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;

	unsigned shift = 0;
	if (*end) {
		const char *power = strchr(powers, toupper((unsigned char)*end));
		if (power) {
			shift = 10 * (unsigned)(power - powers + 1);
			end++;
			if (*end == 'i')
				end++;
		}
		if (*end == 'b' || *end == 'B')
			end++;
		if (*end)
			return -EINVAL;
	}
	if (shift && value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = (uint64_t)value << shift;
	return 0;
}

int hull_parse_signal(const char *text)
{
	int64_t number;
	if (hull_parse_i64(text, 1, SIGRTMAX, &number) == 0)
		return (int)number;

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	int base = 0;
	if (strncasecmp(text, "RTMIN", 5) == 0)
		base = SIGRTMIN;
	else if (strncasecmp(text, "RTMAX", 5) == 0)
		base = SIGRTMAX;
	if (base) {
		int64_t offset = 0;
		if (text[5] && hull_parse_i64(text + 5, -64, 64, &offset) < 0)
			return -EINVAL;
		number = base + offset;
		return number >= SIGRTMIN && number <= SIGRTMAX ? (int)number : -EINVAL;
	}
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *name = sigabbrev_np(sig);
		if (name && strcasecmp(name, text) == 0)
			return sig;
	}
	/* Names that glibc lists under another spelling. */
	if (strcasecmp(text, "IOT") == 0)
		return SIGABRT;
	if (strcasecmp(text, "CLD") == 0)
		return SIGCHLD;
	return strcasecmp(text, "IO") == 0 ? SIGIO : -EINVAL;
}

const char *hull_format_size(uint64_t bytes, char buf[static 32])
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t i = 0;
	while (value >= 1024 && i + 1 < sizeof(names) / sizeof(names[0])) {
		value /= 1024;
		i++;
	}
	snprintf(buf, 32, i ? "%.1f %s" : "%.0f %s", value, names[i]);
	return buf;
}

bool hull_container_id_valid(const char *id)
{
	size_t len = strlen(id);
	if (len < 1 || len > 255 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return false;
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+-.", *p))
			return false;
	return true;
}
