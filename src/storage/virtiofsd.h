/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of virtiofsd: of QEMU's (C, up to 7.2) and of the Rust one that followed it. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

/* What a binary said it understands. */
struct hull_virtiofsd_features {
	bool rust;                     /* --shared-dir and --long-options rather than -o name=value */
	bool announce_submounts;
	bool xattr;
	bool posix_acl;
	bool killpriv_v2;
	bool rlimit_nofile;
	bool thread_pool_size;
	bool sandbox;
};

/* Reads the features out of the output of `virtiofsd --help`. 0, or -EINVAL when it is neither kind. */
int hull_virtiofsd_parse_help(const char *help, struct hull_virtiofsd_features *ret);

/* Runs `path --help` and parses what it says. Bounded in time and size. */
int hull_virtiofsd_probe(const char *path, struct hull_virtiofsd_features *ret, struct hull_error *err);

/*
 * The arguments, argv[0] included, that serve `source` to whoever connects to the listening socket `listen_fd`,
 * with at most `open_files` descriptors. `ret` is empty and becomes owned by the caller.
 */
void hull_virtiofsd_args(const char *path, const struct hull_virtiofsd_features *features, const char *source,
			 int listen_fd, unsigned long open_files, struct hull_strv *ret);
