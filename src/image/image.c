/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "image/job.h"
#include "image/unpack.h"

static void say(const struct hull_image_job *job, const char *line)
{
	if (job->progress)
		job->progress(job->data, line);
}

int hull_image_job_layer(struct hull_image_job *job, size_t i, size_t n, const char *name,
			 const struct hull_image_blob *layer, struct hull_error *err)
{
	char size[32], line[256];
	snprintf(line, sizeof(line), "layer %zu of %zu: %s, %s", i + 1, n, name, hull_format_size(layer->size, size));
	say(job, line);
	int r = hull_image_unpack_layer(&job->tree, layer, &job->budget, false, err);
	return r < 0 ? hull_error_wrap(err, "layer %zu of %zu", i + 1, n) : 0;
}

static int unpack_rootfs(struct hull_image_job *job, const char *path, struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	char size[32], line[64];

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "open");
	if (hull_image_blob_from_fd(fd, &blob) < 0)
		return hull_error_set(err, EINVAL, "not a regular file");
	snprintf(line, sizeof(line), "root file system: %s", hull_format_size(blob.size, size));
	say(job, line);
	return hull_image_unpack_layer(&job->tree, &blob, &job->budget, true, err);
}

static int unpack_stored(struct hull_image_job *job, const char *path, enum hull_image_kind kind, const char *dest,
			 struct hull_error *err)
{
	char line[64];
	snprintf(line, sizeof(line), "reading the %s", hull_image_kind_name(kind));
	say(job, line);
	int r = hull_image_store_open(path, dest, &job->budget.limits, &job->store, err);
	if (r < 0)
		return r;
	return kind == HULL_IMAGE_DOCKER_ARCHIVE ? hull_image_docker_unpack(job, err)
						 : hull_image_layout_unpack(job, err);
}

static int unpack_kind(struct hull_image_job *job, const char *path, enum hull_image_kind kind, const char *dest,
		       struct hull_error *err)
{
	switch (kind) {
	case HULL_IMAGE_OCI_LAYOUT:
	case HULL_IMAGE_OCI_ARCHIVE:
	case HULL_IMAGE_DOCKER_ARCHIVE:
		return unpack_stored(job, path, kind, dest, err);
	case HULL_IMAGE_ROOTFS_TAR:
		return unpack_rootfs(job, path, err);
	case HULL_IMAGE_ROOTFS_DIR:
		break;
	}
	return hull_error_set(err, EINVAL, "a %s has nothing to unpack", hull_image_kind_name(kind));
}

static struct hull_image_limits with_defaults(const struct hull_image_limits *limits)
{
	struct hull_image_limits all = HULL_IMAGE_LIMITS_DEFAULT;
	if (limits && limits->bytes_max > 0)
		all.bytes_max = limits->bytes_max;
	if (limits && limits->entries_max > 0)
		all.entries_max = limits->entries_max;
	if (limits && limits->ratio_max > 0)
		all.ratio_max = limits->ratio_max;
	return all;
}

int hull_image_unpack(const char *path, enum hull_image_kind kind, const char *reference, const char *dest,
		      const struct hull_image_limits *limits, void (*progress)(void *data, const char *line), void *data,
		      struct hull_image_config *ret_config, struct hull_error *err)
{
	struct hull_error local = HULL_ERROR_INIT;
	struct hull_image_config config = { 0 };
	struct hull_image_job job = {
		.reference = reference, .tree = HULL_IMAGE_TREE_INIT, .budget = { .limits = with_defaults(limits) },
		.progress = progress, .data = data, .config = &config,
	};
	char size[32], line[128];
	if (!err)
		err = &local;

	int r = hull_image_tree_open(dest, &job.tree);
	if (r < 0)
		return hull_error_errno(err, r, "%s", dest);
	r = unpack_kind(&job, path, kind, dest, err);
	hull_image_store_close(job.store);
	hull_image_tree_close(&job.tree);
	if (r < 0) {
		hull_image_config_clear(&config);
		return hull_error_wrap(err, "%s", path);
	}
	snprintf(line, sizeof(line), "unpacked %" PRIu64 " files, %s", job.budget.entries,
		 hull_format_size(job.budget.bytes_out, size));
	say(&job, line);
	*ret_config = config;
	return 0;
}
