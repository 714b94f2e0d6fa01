/* SPDX-License-Identifier: Apache-2.0 */
/* New file systems as detached mounts. */
#pragma once

#include "base/error.h"

/* MS_… to MOUNT_ATTR_… for what belongs to one mount; other bits are dropped. */
unsigned long hull_mount_attrs(unsigned long ms_flags);

/*
 * Makes a file system of `type` with the comma-separated options `data` (may be NULL) and returns it as a detached mount with
 * the attributes of `ms_flags`, or -errno. The kernel's own explanation goes to `reason` (may be empty).
 */
int hull_fsmount(const char *type, const char *source, const char *data, unsigned long ms_flags,
		 char reason[static 256]);

/* Sets and clears attributes of the mount behind `fd`. */
int hull_mount_set_attrs(int fd, unsigned long set, unsigned long clear, unsigned long propagation, int recursive);
