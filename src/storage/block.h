/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks for a container: which of config.json's words name one, and how it is opened.
 *
 * That something is a disk is said, never concluded from what lies at a path: a container could have made a device node there.
 *
 *   said by                                                         becomes
 *   annotation io.hull.rootfs.block = "ext4:/path"                  the rootfs (or the caller: containerd's snapshotters)
 *   mounts[] with a type of hull_block_fstype()                     a mounted volume
 *   linux.devices[] of type b, with a rule in linux.resources.devices that allows this very device      the device node
 *   mounts[] that binds a device node: with such a rule, or when hull.conf's [disk] volumes names the source    the device node
 *
 * A device that only a rule for all devices allows (--privileged, which lists every device of the host) is not attached.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/spec.h"

#define HULL_BLOCK_ROOTFS_ANNOTATION "io.hull.rootfs.block"

enum hull_block_kind { HULL_BLOCK_ROOTFS, HULL_BLOCK_MOUNT, HULL_BLOCK_DEVICE, HULL_BLOCK_BIND };

struct hull_block {
	enum hull_block_kind kind;
	unsigned index;                /* in mounts[] or linux.devices[] */
	int fd;
	bool readonly;
	char *fstype, *options;        /* of a rootfs; options may be NULL */
	uint32_t host_major, host_minor;       /* of a device, as config.json has it; 0:0 of a file */
};

struct hull_blocks {
	struct hull_block *v;
	size_t n;
};

/* Whether a mount of this type holds its files in a block device or image: ext4, xfs, erofs and so on. */
bool hull_block_fstype(const char *type);

/*
 * Opens every disk that the configuration names. `volumes` is hull.conf's list (patterns, comma-separated; may be ""). `rootfs` is
 * TYPE:/PATH of a rootfs that the caller names, with `rootfs_options` (comma-separated or NULL); NULL: the annotation's, if any. On
 * failure nothing is open; err names the field. hull_blocks_clear() closes.
 */
int hull_blocks_find(const struct hull_oci_spec *spec, const char *rootfs, const char *rootfs_options, const char *volumes,
		     struct hull_blocks *ret, struct hull_error *err);

/* Whether the rules let the container use a block device with this number, by whatever rule. */
bool hull_block_is_allowed(const struct hull_oci_spec *spec, int64_t major, int64_t minor);

void hull_blocks_clear(struct hull_blocks *blocks);
