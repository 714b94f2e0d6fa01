/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/locals.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)
#define OVERCOMMIT "/proc/sys/vm/nr_overcommit_hugepages"

static int mount_one(const Hull__Agent__V1__LocalVolume *local, struct hull_error *err)
{
	size_t n = strspn(local->name, "0123456789abcdef-");
	if (n == 0 || local->name[n] || (strcmp(local->fstype, "tmpfs") != 0 && strcmp(local->fstype, "hugetlbfs") != 0))
		return hull_error_set(err, EINVAL, "no volume of the guest: %.64s", local->name);
	_cleanup_free_ char *path = hull_asprintf(HULL_LOCAL_DIR "/%s", local->name);
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : hull_error_errno(err, errno, "mkdir %s", path);
	if (mount(local->fstype, path, local->fstype, 0, local->options) < 0) {
		int error = errno;
		rmdir(path);
		return hull_error_errno(err, error, "mount %s (%s)", local->fstype, local->options);
	}
	return 0;
}

int hull_locals_mount(Hull__Agent__V1__LocalVolume *const *locals, size_t n, struct hull_error *err)
{
	if (n > 0 && mkdir(HULL_LOCAL_DIR, 0755) < 0 && errno != EEXIST)
		return hull_error_errno(err, errno, "mkdir %s", HULL_LOCAL_DIR);
	for (size_t i = 0; i < n; i++) {
		int r = mount_one(locals[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Source: linux Documentation/admin-guide/mm/hugetlbpage.rst, nr_overcommit_hugepages. */
void hull_hugepages_allow(const struct hull_oci_spec *spec)
{
	_cleanup_free_ char *old = NULL;
	uint64_t pages = 0;
	char text[32];
	for (size_t i = 0; i < spec->resources.n_hugepages; i++)
		if (strcmp(spec->resources.hugepages[i].page_size, "2MB") == 0)
			pages += spec->resources.hugepages[i].limit / HUGE_PAGE_BYTES;
	if (pages == 0 || hull_file_read(AT_FDCWD, OVERCOMMIT, 64, &old, NULL) < 0)
		return;
	pages += strtoull(old, NULL, 10);
	snprintf(text, sizeof(text), "%" PRIu64, pages);
	hull_file_write(AT_FDCWD, OVERCOMMIT, text);
}
