/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: a variable marked with one of these attributes is
 * released when its scope ends; TAKE_PTR and TAKE_FD are the visible hand-over.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

static inline void hull_freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd if it is open and preserves errno, so that it is safe on error paths. */
static inline void hull_closep(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
		*fd = -1;
	}
}

static inline void hull_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(hull_freep)
#define _cleanup_close_ _cleanup_(hull_closep)
#define _cleanup_fclose_ _cleanup_(hull_fclosep)

#define TAKE_PTR(p) ({ __typeof__(p) *_pp = &(p); __typeof__(p) _v = *_pp; *_pp = NULL; _v; })
#define TAKE_FD(fd) ({ int *_pf = &(fd); int _v = *_pf; *_pf = -1; _v; })

#define HULL_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define HULL_UNUSED __attribute__((unused))
