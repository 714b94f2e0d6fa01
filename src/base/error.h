/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error object that crosses module borders.
 *
 * Low layers return 0 or a negative errno and stay silent. A function at a
 * module's border takes a `struct hull_error *` as its last argument, sets it
 * once where the failure is understood, and callers add context on the way up:
 *
 *     create web: start VM: qemu exited with status 1: no such machine
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#define HULL_ERROR_MESSAGE_MAX 2048

struct hull_error {
	int code;                              /* positive errno, 0 when unset */
	char message[HULL_ERROR_MESSAGE_MAX];  /* always NUL-terminated */
};

#define HULL_ERROR_INIT { .code = 0, .message = "" }

/* Sets code and message, replacing what was there. `err` may be NULL. Returns -code. */
int hull_error_set(struct hull_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As hull_error_set(), and appends ": " and strerror(code). `code` may be negative. Returns -|code|. */
int hull_error_errno(struct hull_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message. Returns the negative code, so it can end a function. */
int hull_error_wrap(struct hull_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets the error. */
void hull_error_clear(struct hull_error *err);
