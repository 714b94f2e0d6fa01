/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static struct {
	int fd;
	enum hull_log_format format;
	enum hull_log_level level;
	size_t budget;
	bool bounded;
	char tag[80];
} sink = { .fd = STDERR_FILENO, .format = HULL_LOG_TEXT, .level = HULL_LOG_WARNING };

static const char *const level_names[] = {
	[HULL_LOG_ERROR] = "error",
	[HULL_LOG_WARNING] = "warning",
	[HULL_LOG_INFO] = "info",
	[HULL_LOG_DEBUG] = "debug",
};

void hull_log_setup(int fd, enum hull_log_format format, enum hull_log_level level, size_t max_bytes)
{
	if (sink.fd != STDERR_FILENO && sink.fd != fd)
		close(sink.fd);
	sink.fd = fd;
	sink.format = format;
	sink.level = level;
	sink.budget = max_bytes;
	sink.bounded = max_bytes > 0;
}

int hull_log_level_parse(const char *text, enum hull_log_level *ret_level)
{
	static const struct {
		const char *name;
		enum hull_log_level level;
	} names[] = {
		{ "panic", HULL_LOG_ERROR }, { "fatal", HULL_LOG_ERROR }, { "error", HULL_LOG_ERROR },
		{ "warning", HULL_LOG_WARNING }, { "warn", HULL_LOG_WARNING }, { "info", HULL_LOG_INFO },
		{ "debug", HULL_LOG_DEBUG }, { "trace", HULL_LOG_DEBUG },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(text, names[i].name) == 0) {
			*ret_level = names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

enum hull_log_level hull_log_level_get(void)
{
	return sink.level;
}

void hull_log_tag(const char *tag)
{
	snprintf(sink.tag, sizeof(sink.tag), "%s", tag ? tag : "");
}

/* Appends `text` as the inside of a quoted JSON (and logfmt) string; bytes that are not printable ASCII or UTF-8 tails are escaped. */
static size_t append_quoted(char *out, size_t room, const char *text)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p && n + 8 < room; p++) {
		if (*p == '"' || *p == '\\') {
			out[n++] = '\\';
			out[n++] = (char)*p;
		} else if (*p == '\n' || *p == '\t') {
			out[n++] = '\\';
			out[n++] = *p == '\n' ? 'n' : 't';
		} else if (*p < 0x20 || *p == 0x7f) {
			n += (size_t)snprintf(out + n, room - n, "\\u%04x", *p);
		} else {
			out[n++] = (char)*p;
		}
	}
	out[n] = '\0';
	return n;
}

static size_t format_line(char *line, size_t room, enum hull_log_format format, enum hull_log_level level,
			  const char *message)
{
	struct timespec now;
	struct tm tm;
	char when[48], quoted[LINE_MAX_BYTES - 256];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof(when) - n, ".%09ldZ", now.tv_nsec);
	append_quoted(quoted, sizeof(quoted), message);

	const char *shape = format == HULL_LOG_JSON ? "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n"
						    : "level=%s msg=\"%s\" time=\"%s\"\n";
	/* The shape is one of two literals above, which the compiler cannot see through the pointer. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int len = snprintf(line, room, shape, level_names[level], quoted, when);
#pragma GCC diagnostic pop
	return len < 0 ? 0 : (size_t)len;
}

static void write_line(int fd, const char *line, size_t len)
{
	/* A log that cannot be written has nowhere to complain to. */
	while (len > 0) {
		ssize_t n = write(fd, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		len -= (size_t)n;
	}
}

void hull_log_line(int fd, enum hull_log_format format, enum hull_log_level level, const char *message)
{
	char line[LINE_MAX_BYTES];
	write_line(fd, line, format_line(line, sizeof(line), format, level, message));
}

void hull_log(enum hull_log_level level, const char *fmt, ...)
{
	if (level > sink.level || sink.fd < 0)
		return;

	int saved = errno;
	char message[LINE_MAX_BYTES - 512], line[LINE_MAX_BYTES];
	int n = sink.tag[0] ? snprintf(message, sizeof(message), "%s: ", sink.tag) : 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message + n, sizeof(message) - (size_t)n, fmt, ap);
	va_end(ap);

	size_t len = format_line(line, sizeof(line), sink.format, level, message);
	if (sink.bounded && len >= sink.budget) {
		if (sink.budget > 0)
			hull_log_line(sink.fd, sink.format, HULL_LOG_WARNING, "log is full, later lines are dropped");
		sink.budget = 0;
	} else {
		if (sink.bounded)
			sink.budget -= len;
		write_line(sink.fd, line, len);
	}
	errno = saved;
}
