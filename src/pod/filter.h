/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp profiles become BPF programs here, on the host: libseccomp's work is the longest part of a container's start in an emulated
 * guest. The program, and not the profile, goes to the agent.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "oci/spec.h"

struct hull_seccomp_program {
	uint8_t *bpf;                  /* struct sock_filter's, as the kernel takes them; NULL: no filter */
	size_t len;                    /* bytes */
	unsigned flags;                /* SECCOMP_FILTER_FLAG_… */
};

/* The last profile of a pod and what became of it: most engines give all containers the same. */
struct hull_seccomp_cache {
	char *profile;                 /* JSON */
	struct hull_seccomp_program program;
};

/*
 * The program of `profile`, whose JSON is `text`, compiled unless it is the last one. The copy in *ret is the caller's. 0 or a negative
 * errno with `err` naming the field.
 */
int hull_seccomp_compile(struct hull_seccomp_cache *cache, const struct hull_oci_seccomp *profile, const char *text,
			 struct hull_seccomp_program *ret, struct hull_error *err);

void hull_seccomp_program_clear(struct hull_seccomp_program *program);
void hull_seccomp_cache_clear(struct hull_seccomp_cache *cache);
