/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logging. The sink is the one mutable global of the project.
 *
 * Text lines look like   time="…" level=warning msg="…"
 * JSON lines look like   {"level":"warning","msg":"…","time":"…"}
 * which is what engines parse from a runtime's --log file.
 * Source: runc and conmon read the keys level, msg and time of each line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum hull_log_level { HULL_LOG_ERROR, HULL_LOG_WARNING, HULL_LOG_INFO, HULL_LOG_DEBUG };
enum hull_log_format { HULL_LOG_TEXT, HULL_LOG_JSON };

/*
 * Sends lines to `fd` (owned from now on unless it is stderr). `max_bytes` bounds what one
 * process may write (0: no bound); the last line says that the log was cut.
 */
void hull_log_setup(int fd, enum hull_log_format format, enum hull_log_level level, size_t max_bytes);

/* "error", "warning"/"warn", "info", "debug" (and runc's "trace", "fatal", "panic"). 0 or -EINVAL. */
int hull_log_level_parse(const char *text, enum hull_log_level *ret_level);

enum hull_log_level hull_log_level_get(void);

/* The tag that starts each message, for example a pod's id. Copied; NULL removes it. */
void hull_log_tag(const char *tag);

/* One message, without a newline. errno stays as it was. */
void hull_log(enum hull_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes one line in `format` to `fd` and nothing else: for --log files that another sink owns. */
void hull_log_line(int fd, enum hull_log_format format, enum hull_log_level level, const char *message);

#define hull_log_error(...) hull_log(HULL_LOG_ERROR, __VA_ARGS__)
#define hull_log_warning(...) hull_log(HULL_LOG_WARNING, __VA_ARGS__)
#define hull_log_info(...) hull_log(HULL_LOG_INFO, __VA_ARGS__)
#define hull_log_debug(...) hull_log(HULL_LOG_DEBUG, __VA_ARGS__)
