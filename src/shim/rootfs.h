/* SPDX-License-Identifier: Apache-2.0 */
/* The rootfs that a snapshotter describes as mounts, in fstab's terms. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "shim/containerd.pb-c.h"

/* What one entry's options mean for mount(2). */
struct shim_mount_options {
	unsigned long flags;           /* MS_… */
	unsigned long propagation;     /* MS_PRIVATE and the like, with MS_REC; 0: none */
	bool loop;                     /* the source is a file that a loop device stands for */
	bool loop_direct;              /* which goes around the page cache */
	char *data;                    /* for the file system; "" when nothing is left */
};

/* Options that nobody knows are the file system's own. Source: mount(8), "filesystem-independent mount options". */
void shim_mount_options_parse(char *const *options, size_t n, struct shim_mount_options *ret);

/*
 * For an overlay whose data is longer than the page that mount(2) takes: the longest directory that all of its lower layers begin
 * with; *ret_data is the data with those paths relative to it. NULL: nothing is gained. Both are new memory.
 */
char *shim_overlay_shorten(const char *data, char **ret_data);

/* Performs the mounts at `rootfs`, in this process' mount namespace and, for a moment, its working directory. */
int shim_rootfs_mount(Hull__Containerd__Mount *const *mounts, size_t n, const char *rootfs, struct hull_error *err);
