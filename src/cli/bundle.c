/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bundle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

static int read_config(struct hull_bundle *b, const char *config, struct hull_error *err)
{
	_cleanup_free_ char *path = config ? hull_strdup(config) : hull_asprintf("%s/config.json", b->path);
	struct stat st;
	/* Not blocking: a fifo in this place must not hang an engine. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return hull_error_set(err, EINVAL, "%s: not a regular file", path);
	int r = hull_fd_read_all(fd, HULL_OCI_CONFIG_MAX_BYTES, &b->text, &b->len);
	if (r == -EFBIG)
		return hull_error_set(err, EFBIG, "%s: larger than %u MiB", path, HULL_OCI_CONFIG_MAX_BYTES >> 20);
	if (r < 0)
		return hull_error_errno(err, r, "read %s", path);
	return 0;
}

static int resolve_rootfs(struct hull_bundle *b, struct hull_error *err)
{
	struct stat st;
	_cleanup_free_ char *path = b->spec->root_path[0] == '/' ? hull_strdup(b->spec->root_path)
								  : hull_asprintf("%s/%s", b->path, b->spec->root_path);
	b->rootfs = realpath(path, NULL);
	if (!b->rootfs)
		return hull_error_errno(err, errno, "config.json: root.path: %s", path);
	if (stat(b->rootfs, &st) < 0)
		return hull_error_errno(err, errno, "config.json: root.path: %s", b->rootfs);
	if (!S_ISDIR(st.st_mode))
		return hull_error_set(err, ENOTDIR, "config.json: root.path: %s is not a directory", b->rootfs);
	if (strcmp(b->rootfs, "/") == 0)
		return hull_error_set(err, EPERM, "config.json: root.path: the host's own root cannot be a container's rootfs");
	return 0;
}

int hull_bundle_load(const char *path, const char *config, struct hull_bundle *ret, struct hull_error *err)
{
	struct hull_bundle b = { 0 };
	int r;

	b.path = realpath(path, NULL);
	if (!b.path)
		return hull_error_errno(err, errno, "bundle %s", path);
	r = read_config(&b, config, err);
	if (r == 0)
		r = hull_oci_spec_parse(b.text, b.len, &b.spec, err);
	if (r == 0)
		r = hull_oci_spec_check_supported(b.spec, err);
	if (r == 0 && !b.spec->has_process)
		r = hull_error_set(err, EINVAL, "config.json: process: missing, so there is nothing to run");
	if (r == 0)
		r = resolve_rootfs(&b, err);
	if (r < 0) {
		hull_bundle_clear(&b);
		return r;
	}
	*ret = b;
	return 0;
}

void hull_bundle_clear(struct hull_bundle *b)
{
	free(b->path);
	free(b->text);
	hull_oci_spec_free(b->spec);
	free(b->rootfs);
	*b = (struct hull_bundle){ 0 };
}
