/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp: the supervisor sends the profile as a BPF program. It is kept and installed in each process of the container, exec
 * included, with one system call.
 */
#pragma once

#include <stddef.h>
#include <linux/filter.h>

#include "base/error.h"

struct hull_filter {
	struct sock_filter *v;         /* NULL: no filter */
	size_t n;
	unsigned flags;                /* SECCOMP_FILTER_FLAG_… */
};

/* Copies a program of `len` bytes; none is no filter. `flags`: SECCOMP_FILTER_FLAG_… */
int hull_filter_take(const void *program, size_t len, unsigned flags, struct hull_filter *ret, struct hull_error *err);

/* Puts the calling process under the filter. Needs no_new_privs or CAP_SYS_ADMIN. */
int hull_filter_install(const struct hull_filter *filter, struct hull_error *err);
