/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rootless.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MAP_MAX_BYTES 65536

/* The initial user namespace maps every id to itself. Source: user_namespaces(7). */
static bool in_initial_user_namespace(void)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside = 1, outside = 1, count = 0;
	if (hull_file_read(AT_FDCWD, "/proc/self/uid_map", MAP_MAX_BYTES, &map, NULL) < 0)
		return true;           /* a kernel without them */
	return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 && count == UINT32_MAX;
}

int hull_check_root(struct hull_error *err)
{
	if (geteuid() != 0)
		return hull_error_set(err, EPERM, "Hull has to run as root, not as user %u: it makes mount and network namespaces and jails for the VMs",
				      (unsigned)geteuid());
	if (!in_initial_user_namespace())
		return hull_error_set(err, EPERM, "Hull has to run in the host's own user namespace: rootless engines cannot use it yet");
	return 0;
}
