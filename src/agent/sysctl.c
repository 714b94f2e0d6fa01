/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sysctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

int hull_sysctl_set(const char *name, const char *value, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_strdup(name);
	/* Source: sysctl(8): the first separator decides which one separates. */
	char first = path[strcspn(path, "./")];
	for (char *p = path; first == '.' && *p; p++) {
		if (*p == '.')
			*p = '/';
	}
	_cleanup_close_ int root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return hull_error_errno(err, errno, "/proc/sys");
	_cleanup_close_ int fd = hull_open_in_root(root, path, O_WRONLY, 0);
	if (fd < 0)
		return hull_error_errno(err, fd, "sysctl %s", name);
	int r = hull_fd_write_all(fd, value, strlen(value));
	return r < 0 ? hull_error_errno(err, r, "sysctl %s = %s", name, value) : 0;
}

int hull_sysctl_apply(const struct hull_oci_kvs *values, struct hull_error *err)
{
	for (size_t i = 0; i < values->n; i++) {
		int r = hull_sysctl_set(values->v[i].key, values->v[i].value, err);
		if (r < 0)
			return r;
	}
	return 0;
}
