/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp in two steps: libseccomp compiles the profile once, when the container is made; the raw BPF program is kept and
 * installed in each process of the container, exec included, with one system call.
 */
#pragma once

#include <stddef.h>
#include <linux/filter.h>

#include "base/error.h"
#include "oci/spec.h"

struct hull_filter {
	struct sock_filter *v;         /* NULL: no filter */
	size_t n;
	unsigned flags;                /* SECCOMP_FILTER_FLAG_… */
};

/* Compiles into the memory file `fd`. */
int hull_filter_compile(const struct hull_oci_seccomp *profile, int fd, struct hull_error *err);

/* SECCOMP_FILTER_FLAG_… of the profile. */
unsigned hull_filter_flags(const struct hull_oci_seccomp *profile);

/* Reads what hull_filter_compile() wrote. An empty file is no filter. */
int hull_filter_read(int fd, unsigned flags, struct hull_filter *ret, struct hull_error *err);

/* Puts the calling process under the filter. Needs no_new_privs or CAP_SYS_ADMIN. */
int hull_filter_install(const struct hull_filter *filter, struct hull_error *err);
