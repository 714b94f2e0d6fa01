/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_message(struct hull_error *err, int code, const char *suffix, const char *fmt, va_list ap)
{
	if (code < 0)
		code = -code;
	if (code == 0)
		code = EIO;
	if (!err)
		return -code;

	err->code = code;
	int n = vsnprintf(err->message, sizeof(err->message), fmt, ap);
	if (n >= 0 && suffix && (size_t)n < sizeof(err->message))
		snprintf(err->message + n, sizeof(err->message) - (size_t)n, ": %s", suffix);
	return -code;
}

int hull_error_set(struct hull_error *err, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = set_message(err, code, NULL, fmt, ap);
	va_end(ap);
	return r;
}

int hull_error_errno(struct hull_error *err, int code, const char *fmt, ...)
{
	char text[128];
	const char *suffix = strerror_r(abs(code), text, sizeof(text));
	va_list ap;
	va_start(ap, fmt);
	int r = set_message(err, code, suffix, fmt, ap);
	va_end(ap);
	return r;
}

int hull_error_wrap(struct hull_error *err, const char *fmt, ...)
{
	if (!err)
		return -EIO;

	char context[HULL_ERROR_MESSAGE_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	if (n < 0)
		return -err->code;

	size_t used = (size_t)n < sizeof(context) ? (size_t)n : sizeof(context) - 1;
	snprintf(context + used, sizeof(context) - used, ": %s", err->message);
	memcpy(err->message, context, sizeof(err->message));
	return -(err->code ? err->code : EIO);
}

void hull_error_clear(struct hull_error *err)
{
	if (err) {
		err->code = 0;
		err->message[0] = '\0';
	}
}
