/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the host's disks are behind a pod's shared directories. */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct hull_disk_number {
	unsigned major, minor;
};

struct hull_share_disks {
	struct hull_disk_number *v;    /* whole disks, each once */
	size_t n;
	char *other;                   /* place and type of a mount that is on no disk and not in memory either, or NULL */
};

/*
 * Looks at every mount at or below `dir` in `mountinfo` (a text as in /proc/self/mountinfo), this process' own view of the host: a disk's
 * file system counts with its disk, an overlay with those of its upper and its topmost lower directory, file systems in memory not
 * at all.
 */
void hull_share_disks_find(const char *mountinfo, const char *dir, struct hull_share_disks *ret);

/* The same for the share at `dir` now. */
int hull_share_disks_now(const char *dir, struct hull_share_disks *ret, struct hull_error *err);

void hull_share_disks_clear(struct hull_share_disks *disks);
