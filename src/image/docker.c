/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "image/digest.h"
#include "image/job.h"
#include "image/path.h"
#include "image/reference.h"

#define MANIFEST "manifest.json"

#define LAYERS_MAX 512

static int load(const struct hull_image_job *job, const char *name, struct hull_image_json *ret, struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	int r = hull_image_store_get(job->store, name, &blob, err);
	return r < 0 ? r : hull_image_json_load(&blob, name, ret, err);
}

/* Whether the image at `item` is meant. What it is called goes to `names`. */
static int match(const struct hull_image_job *job, const struct hull_image_json *item, struct hull_strv *names,
		 bool *ret, struct hull_error *err)
{
	const char *config;
	size_t before = names->n;

	int r = hull_image_json_strings(item, "RepoTags", names, err);
	if (r == 0)
		r = hull_image_json_string(item, "Config", &config, err);
	if (r < 0)
		return r;
	*ret = !job->reference;
	for (size_t i = before; i < names->n && !*ret; i++)
		*ret = hull_image_reference_matches(names->v[i], job->reference);
	/* The image's ID is the name of its configuration. */
	if (!*ret && config)
		*ret = strncmp(hull_image_path_base(config), job->reference, HULL_IMAGE_SHA256_HEX - 1) == 0 &&
		       hull_image_sha256_valid(job->reference);
	if (names->n == before && config)
		hull_strv_add(names, config);
	return 0;
}

/* Picks the one image of manifest.json that the reference means. */
static int choose(const struct hull_image_job *job, const struct hull_image_json *document,
		  struct hull_image_json *ret, struct hull_error *err)
{
	struct hull_strv names = { 0 };
	struct hull_image_json item;
	size_t matches = 0;
	bool meant;
	int r = 0;

	if (!json_object_is_type(document->v, json_type_array))
		return hull_error_set(err, EINVAL, MANIFEST ": expected array");
	for (size_t i = 0; r == 0 && i < hull_image_json_count(document); i++) {
		r = hull_image_json_item(document, i, json_type_object, &item, err);
		if (r == 0)
			r = match(job, &item, &names, &meant, err);
		if (r == 0 && meant && matches++ == 0)
			*ret = item;
	}
	if (r == 0 && hull_image_json_count(document) == 0)
		r = hull_error_set(err, ENOENT, MANIFEST ": there is no image");
	else if (r == 0 && matches != 1)
		r = hull_image_reference_error(job->reference, matches, &names, err);
	hull_strv_clear(&names);
	return r;
}

/* "<digest>.json", "blobs/sha256/<digest>": a name that is a digest must be the right one. */
static int check_config(const struct hull_image_job *job, const char *name, struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	const char *base = hull_image_path_base(name);
	char hex[HULL_IMAGE_SHA256_HEX], shown[HULL_IMAGE_SHOW_MAX];

	if (!hull_image_sha256_valid(base))
		return 0;
	int r = hull_image_store_get(job->store, name, &blob, err);
	if (r < 0)
		return r;
	if (blob.size > HULL_IMAGE_JSON_BYTES_MAX)
		return hull_error_set(err, EFBIG, "%s: too large for a JSON document", hull_image_path_show(name, shown));
	r = hull_image_blob_sha256(&blob, hex);
	if (r < 0)
		return hull_error_errno(err, r, "%s", hull_image_path_show(name, shown));
	if (strncmp(base, hex, sizeof(hex) - 1) != 0)
		return hull_error_set(err, EBADMSG, "%s: the content has another digest, sha256:%s",
				      hull_image_path_show(name, shown), hex);
	return 0;
}

/* The digests of the uncompressed layers, the only ones in these archives. Empty: the configuration has none. */
static int read_diff_ids(const struct hull_image_json *config, struct hull_strv *ret, struct hull_error *err)
{
	struct hull_image_json rootfs;
	int r = hull_image_json_get(config, "rootfs", json_type_object, &rootfs, err);
	return r < 0 || !rootfs.v ? r : hull_image_json_strings(&rootfs, "diff_ids", ret, err);
}

static int unpack_layer(struct hull_image_job *job, const struct hull_strv *layers, size_t i, const char *diff_id,
			struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	const char *name = layers->v[i];
	char shown[HULL_IMAGE_SHOW_MAX], hex[HULL_IMAGE_SHA256_HEX];

	int r = hull_image_store_get(job->store, name, &blob, err);
	if (r < 0)
		return r;
	r = hull_image_reader_diff_id(&blob, &job->budget.limits, hex, err);
	if (r < 0)
		return hull_error_wrap(err, "%s", hull_image_path_show(name, shown));
	if (strncmp(diff_id, "sha256:", 7) != 0 || strcmp(diff_id + 7, hex) != 0)
		return hull_error_set(err, EBADMSG, "%s: the content has another digest, sha256:%s",
				      hull_image_path_show(name, shown), hex);
	snprintf(shown, sizeof(shown), "sha256:%.12s", hex);
	return hull_image_job_layer(job, i, layers->n, shown, &blob, err);
}

static int unpack_image(struct hull_image_job *job, const char *config_name, const struct hull_strv *layers,
			struct hull_strv *diff_ids, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json config = { .v = NULL };

	int r = check_config(job, config_name, err);
	if (r == 0)
		r = load(job, config_name, &config, err);
	if (r == 0)
		r = hull_image_config_parse(&config, job->config, err);
	if (r == 0)
		r = read_diff_ids(&config, diff_ids, err);
	if (r < 0)
		return r;
	if (layers->n > LAYERS_MAX)
		return hull_error_set(err, EFBIG, MANIFEST ": Layers: more than %d", LAYERS_MAX);
	if (diff_ids->n != layers->n)
		return hull_error_set(err, EINVAL, "%s: rootfs.diff_ids: %zu, but " MANIFEST " has %zu layers",
				      config.where, diff_ids->n, layers->n);
	for (size_t i = 0; r == 0 && i < layers->n; i++)
		r = unpack_layer(job, layers, i, diff_ids->v[i], err);
	return r;
}

int hull_image_docker_unpack(struct hull_image_job *job, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json document = { .v = NULL };
	_cleanup_(hull_strv_clear) struct hull_strv layers = { 0 }, diff_ids = { 0 };
	struct hull_image_json image, config;

	int r = load(job, MANIFEST, &document, err);
	if (r == 0)
		r = choose(job, &document, &image, err);
	if (r == 0)
		r = hull_image_json_need(&image, "Config", json_type_string, &config, err);
	if (r == 0)
		r = hull_image_json_strings(&image, "Layers", &layers, err);
	if (r < 0)
		return r;
	return unpack_image(job, json_object_get_string(config.v), &layers, &diff_ids, err);
}
