/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail: these end the process when memory is out, which
 * every part of Hull survives by design (docs/adr/0002-crash-only.md). Sizes that
 * a guest or an engine chose are bounded before they reach an allocator.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* As their namesakes of the C library, but for the end of the process when memory is short. */
void *hull_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *hull_realloc(void *p, size_t size) __attribute__((returns_nonnull));
/* Grows an array of `size`-byte members to `count` members; overflow ends the process. */
void *hull_reallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *hull_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *hull_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *hull_memdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *hull_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *hull_vasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), malloc, returns_nonnull));

#define hull_new(type, count) ((type *)hull_calloc((count), sizeof(type)))

/* A NULL-terminated array of owned strings that grows. */
struct hull_strv {
	char **v;     /* NULL when empty, otherwise v[n] is NULL */
	size_t n;
};

/* Appends a copy of `s`. */
void hull_strv_add(struct hull_strv *sv, const char *s);
/* Appends a formatted string. */
void hull_strv_addf(struct hull_strv *sv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Frees the strings and the array; the struct is empty and usable afterwards. */
void hull_strv_clear(struct hull_strv *sv);
/* Copies all of `from` into the empty `to`. */
void hull_strv_copy(struct hull_strv *to, const struct hull_strv *from);
