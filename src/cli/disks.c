/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/disks.h"

#include "base/mem.h"

static const Hull__Pod__V1__Disk__Kind kinds[] = {
	[HULL_BLOCK_ROOTFS] = HULL__POD__V1__DISK__KIND__ROOTFS, [HULL_BLOCK_MOUNT] = HULL__POD__V1__DISK__KIND__MOUNT,
	[HULL_BLOCK_DEVICE] = HULL__POD__V1__DISK__KIND__DEVICE, [HULL_BLOCK_BIND] = HULL__POD__V1__DISK__KIND__BIND,
};

Hull__Pod__V1__Disk **hull_disk_messages(const struct hull_blocks *blocks)
{
	size_t n = blocks->n;
	if (n == 0)
		return NULL;
	Hull__Pod__V1__Disk **pointers = hull_calloc(n, sizeof(*pointers) + sizeof(**pointers));
	Hull__Pod__V1__Disk *disks = (Hull__Pod__V1__Disk *)(pointers + n);
	for (size_t i = 0; i < n; i++) {
		const struct hull_block *b = &blocks->v[i];
		hull__pod__v1__disk__init(&disks[i]);
		disks[i].kind = kinds[b->kind];
		disks[i].index = b->index;
		disks[i].readonly = b->readonly;
		disks[i].host_major = b->host_major;
		disks[i].host_minor = b->host_minor;
		if (b->fstype)
			disks[i].fstype = b->fstype;
		if (b->options)
			disks[i].options = b->options;
		pointers[i] = &disks[i];
	}
	return pointers;
}

const struct hull_block *hull_disk_of_rootfs(const struct hull_blocks *blocks)
{
	for (size_t i = 0; i < blocks->n; i++)
		if (blocks->v[i].kind == HULL_BLOCK_ROOTFS)
			return &blocks->v[i];
	return NULL;
}

const struct hull_block *hull_disk_of_mount(const struct hull_blocks *blocks, unsigned index)
{
	for (size_t i = 0; i < blocks->n; i++) {
		const struct hull_block *b = &blocks->v[i];
		if ((b->kind == HULL_BLOCK_MOUNT || b->kind == HULL_BLOCK_BIND) && b->index == index)
			return b;
	}
	return NULL;
}
