/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "image/blob.h"
#include "image/image.h"
#include "image/path.h"
#include "image/reader.h"

#define EXPECTED "expected a directory with a root file system or an OCI layout, or a tar of one of these or from " \
		 "`docker save`"

const char *hull_image_kind_name(enum hull_image_kind kind)
{
	static const char *const names[] = {
		[HULL_IMAGE_ROOTFS_DIR] = "directory with a root file system",
		[HULL_IMAGE_OCI_LAYOUT] = "OCI layout",
		[HULL_IMAGE_OCI_ARCHIVE] = "OCI archive",
		[HULL_IMAGE_DOCKER_ARCHIVE] = "Docker archive",
		[HULL_IMAGE_ROOTFS_TAR] = "tar of a root file system",
	};
	return (size_t)kind < HULL_ARRAY_SIZE(names) ? names[kind] : "unknown";
}

static int detect_directory(int dir, enum hull_image_kind *ret, struct hull_error *err)
{
	if (faccessat(dir, "oci-layout", F_OK, 0) == 0 && faccessat(dir, "index.json", F_OK, 0) == 0) {
		*ret = HULL_IMAGE_OCI_LAYOUT;
		return 0;
	}
	static const char *const expected[] = { "bin", "etc", "lib", "sbin", "usr" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(expected); i++) {
		if (faccessat(dir, expected[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			*ret = HULL_IMAGE_ROOTFS_DIR;
			return 0;
		}
	}
	return hull_error_set(err, EINVAL, "neither a root file system nor an OCI layout; " EXPECTED);
}

/* Files that tell what an archive is. A directory of a root file system settles it before all of it was read. */
struct signs {
	bool oci_layout, oci_index, docker_manifest, rootfs;
};

static void look_at(const char *path, struct signs *signs)
{
	static const char *const directories[] = {
		"bin", "boot", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root", "run", "sbin", "srv", "sys",
		"tmp", "usr", "var",
	};
	size_t len = strcspn(path, "/");
	signs->oci_layout = signs->oci_layout || strcmp(path, "oci-layout") == 0;
	signs->oci_index = signs->oci_index || strcmp(path, "index.json") == 0;
	signs->docker_manifest = signs->docker_manifest || strcmp(path, "manifest.json") == 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(directories); i++)
		if (strlen(directories[i]) == len && strncmp(directories[i], path, len) == 0)
			signs->rootfs = true;
}

static int detect_tar(const struct hull_image_blob *blob, enum hull_image_kind *ret, struct hull_error *err)
{
	struct hull_image_budget budget = { .limits = HULL_IMAGE_LIMITS_DEFAULT };
	_cleanup_(hull_image_reader_closep) struct hull_image_reader *reader = NULL;
	struct signs signs = { 0 };
	struct archive_entry *entry;

	int r = hull_image_reader_open(blob, HULL_IMAGE_READER_TAR, &budget, &reader, err);
	while (r >= 0 && !signs.rootfs && !(signs.oci_layout && signs.oci_index) &&
	       (r = hull_image_reader_next(reader, &entry, err)) > 0) {
		_cleanup_free_ char *path = NULL;
		const char *name = archive_entry_pathname(entry);
		if (name && hull_image_path_clean(name, &path, NULL) == 0)
			look_at(path, &signs);
	}
	if (r < 0) {
		struct hull_error why = *err;
		return hull_error_set(err, why.code, "%s; " EXPECTED, why.message);
	}
	if (budget.entries == 0)
		return hull_error_set(err, EINVAL, "an empty archive; " EXPECTED);
	/* Docker writes both since version 25; every byte of a layout has a digest, so that is the better one. */
	if (signs.rootfs)
		*ret = HULL_IMAGE_ROOTFS_TAR;
	else if (signs.oci_layout && signs.oci_index)
		*ret = HULL_IMAGE_OCI_ARCHIVE;
	else
		*ret = signs.docker_manifest ? HULL_IMAGE_DOCKER_ARCHIVE : HULL_IMAGE_ROOTFS_TAR;
	return 0;
}

int hull_image_detect(const char *path, enum hull_image_kind *ret, struct hull_error *err)
{
	struct hull_error local = HULL_ERROR_INIT;
	struct stat st;
	if (!err)
		err = &local;

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "%s", path);
	int r;
	if (S_ISDIR(st.st_mode)) {
		r = detect_directory(fd, ret, err);
	} else {
		_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
		r = hull_image_blob_from_fd(TAKE_FD(fd), &blob);
		r = r < 0 ? hull_error_set(err, EINVAL, "neither a file nor a directory; " EXPECTED)
			  : detect_tar(&blob, ret, err);
	}
	return r < 0 ? hull_error_wrap(err, "%s", path) : 0;
}
