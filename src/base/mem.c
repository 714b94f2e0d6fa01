/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void *must(void *p)
{
	if (!p) {
		hull_log_error("out of memory");
		abort();
	}
	return p;
}

void *hull_calloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *hull_realloc(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1));
}

void *hull_reallocarray(void *p, size_t count, size_t size)
{
	return must(reallocarray(p, count ? count : 1, size ? size : 1));
}

char *hull_strdup(const char *s)
{
	return must(strdup(s));
}

char *hull_strndup(const char *s, size_t n)
{
	return must(strndup(s, n));
}

void *hull_memdup(const void *p, size_t n)
{
	void *copy = must(malloc(n ? n : 1));
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

char *hull_vasprintf(const char *fmt, va_list ap)
{
	char *out = NULL;
	if (vasprintf(&out, fmt, ap) < 0)
		out = NULL;
	return must(out);
}

char *hull_asprintf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *out = hull_vasprintf(fmt, ap);
	va_end(ap);
	return out;
}

static void strv_take(struct hull_strv *sv, char *s)
{
	sv->v = hull_reallocarray(sv->v, sv->n + 2, sizeof(char *));
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
}

void hull_strv_add(struct hull_strv *sv, const char *s)
{
	strv_take(sv, hull_strdup(s));
}

void hull_strv_addf(struct hull_strv *sv, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	strv_take(sv, hull_vasprintf(fmt, ap));
	va_end(ap);
}

void hull_strv_clear(struct hull_strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	sv->v = NULL;
	sv->n = 0;
}

void hull_strv_copy(struct hull_strv *to, const struct hull_strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		hull_strv_add(to, from->v[i]);
}
