/* SPDX-License-Identifier: Apache-2.0 */
/* A container's disks in a Create request. */
#pragma once

#include "rpc/pod.pb-c.h"
#include "storage/block.h"

/* One message a disk, in one allocation that the caller frees; their strings stay the blocks'. NULL when there is none. */
Hull__Pod__V1__Disk **hull_disk_messages(const struct hull_blocks *blocks);

/* The disk that is the rootfs, or that stands for mounts[index]; NULL: none. */
const struct hull_block *hull_disk_of_rootfs(const struct hull_blocks *blocks);
const struct hull_block *hull_disk_of_mount(const struct hull_blocks *blocks, unsigned index);
