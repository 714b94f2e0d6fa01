/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "image/digest.h"
#include "image/job.h"
#include "image/path.h"
#include "image/reference.h"

/* An index in an index in an index is nothing that a builder makes. */
#define INDEX_DEPTH_MAX 4

#define LAYERS_MAX 512

/* Hull's guests. */
#define PLATFORM_OS "linux"
#define PLATFORM_ARCHITECTURE "amd64"

#define BLOB_DIRECTORY "blobs/sha256/"

/* What a document says of a blob. Source: OCI image-spec, descriptor.md. */
struct descriptor {
	char name[sizeof(BLOB_DIRECTORY) + HULL_IMAGE_SHA256_HEX];
	char hex[HULL_IMAGE_SHA256_HEX];
	uint64_t size;
	const char *media_type;          /* borrowed from the document; NULL: not said */
};

static int parse_descriptor(const struct hull_image_json *at, struct descriptor *ret, struct hull_error *err)
{
	static const char prefix[] = "sha256:";
	struct hull_image_json digest, size;

	int r = hull_image_json_need(at, "digest", json_type_string, &digest, err);
	if (r == 0)
		r = hull_image_json_need(at, "size", json_type_int, &size, err);
	if (r == 0)
		r = hull_image_json_string(at, "mediaType", &ret->media_type, err);
	if (r < 0)
		return r;

	const char *text = json_object_get_string(digest.v);
	size_t len = sizeof(prefix) - 1;
	if ((size_t)json_object_get_string_len(digest.v) != len + HULL_IMAGE_SHA256_HEX - 1 ||
	    strncmp(text, prefix, len) != 0 || !hull_image_sha256_valid(text + len))
		return hull_error_set(err, EINVAL, "%s: not a SHA-256 digest", digest.where);
	int64_t bytes = json_object_get_int64(size.v);
	if (bytes < 0)
		return hull_error_set(err, EINVAL, "%s: negative", size.where);
	ret->size = (uint64_t)bytes;
	snprintf(ret->hex, sizeof(ret->hex), "%s", text + len);
	snprintf(ret->name, sizeof(ret->name), "%s%s", BLOB_DIRECTORY, ret->hex);
	return 0;
}

/* Opens the blob and compares its size and digest. Who changes the file after that has only written a hostile one. */
static int get_blob(const struct hull_image_job *job, const struct descriptor *d, struct hull_image_blob *ret,
		    struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	char hex[HULL_IMAGE_SHA256_HEX];

	int r = hull_image_store_get(job->store, d->name, &blob, err);
	if (r < 0)
		return r;
	if (blob.size != d->size)
		return hull_error_set(err, EBADMSG, "%s: %llu bytes, but %llu are announced", d->name,
				      (unsigned long long)blob.size, (unsigned long long)d->size);
	r = hull_image_blob_sha256(&blob, hex);
	if (r < 0)
		return hull_error_errno(err, r, "%s", d->name);
	if (strcmp(hex, d->hex) != 0)
		return hull_error_set(err, EBADMSG, "%s: the content has another digest, sha256:%s", d->name, hex);
	*ret = blob;
	blob.fd = -1;
	return 0;
}

static int load_file(const struct hull_image_job *job, const char *name, struct hull_image_json *ret,
		     struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	int r = hull_image_store_get(job->store, name, &blob, err);
	return r < 0 ? r : hull_image_json_load(&blob, name, ret, err);
}

static int load_blob(const struct hull_image_job *job, const struct descriptor *d, struct hull_image_json *ret,
		     struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	if (d->size > HULL_IMAGE_JSON_BYTES_MAX)
		return hull_error_set(err, EFBIG, "%s: too large for a JSON document", d->name);
	int r = get_blob(job, d, &blob, err);
	return r < 0 ? r : hull_image_json_load(&blob, d->name, ret, err);
}

/* Collects the names that an index has for a manifest; `*ret` says whether one of them, or the digest, is meant. */
static int match_names(const struct hull_image_job *job, const struct hull_image_json *item,
		       const struct descriptor *d, struct hull_strv *names, bool *ret, struct hull_error *err)
{
	/* containerd and Docker put the full name into their own and only the tag into the standard annotation. */
	static const char *const keys[] = { "io.containerd.image.name", "org.opencontainers.image.ref.name" };
	struct hull_image_json annotations;
	const char *name;
	bool listed = false;

	*ret = !job->reference || strcmp(job->reference, d->hex) == 0 ||
	       (strncmp(job->reference, "sha256:", 7) == 0 && strcmp(job->reference + 7, d->hex) == 0);
	int r = hull_image_json_get(item, "annotations", json_type_object, &annotations, err);
	for (size_t i = 0; r == 0 && annotations.v && i < HULL_ARRAY_SIZE(keys); i++) {
		r = hull_image_json_string(&annotations, keys[i], &name, err);
		if (r < 0 || !name)
			continue;
		if (!listed)
			hull_strv_add(names, name);
		listed = true;
		*ret = *ret || hull_image_reference_matches(name, job->reference);
	}
	if (r == 0 && !listed)
		hull_strv_addf(names, "sha256:%s", d->hex);
	return r;
}

/* Whether a manifest can be for our platform: it says so, or it says nothing. `platforms` collects the others. */
static int match_platform(const struct hull_image_json *item, struct hull_strv *platforms, bool *ret,
			  struct hull_error *err)
{
	struct hull_image_json platform;
	const char *os, *architecture;

	int r = hull_image_json_get(item, "platform", json_type_object, &platform, err);
	*ret = true;
	if (r < 0 || !platform.v)
		return r;
	r = hull_image_json_string(&platform, "os", &os, err);
	if (r == 0)
		r = hull_image_json_string(&platform, "architecture", &architecture, err);
	if (r < 0 || !os || !architecture)
		return r;
	*ret = strcmp(os, PLATFORM_OS) == 0 && strcmp(architecture, PLATFORM_ARCHITECTURE) == 0;
	/* BuildKit's attestations have the platform unknown/unknown. */
	if (!*ret && strcmp(os, "unknown") != 0)
		hull_strv_addf(platforms, "%s/%s", os, architecture);
	return 0;
}

static int platform_error(const struct hull_strv *platforms, struct hull_error *err)
{
	char shown[HULL_IMAGE_SHOW_MAX];
	const char *example = platforms->n > 0 ? platforms->v[0] : "none";
	return hull_error_set(err, ENOENT, "no image for %s/%s; there are %zu for others, the first for %s", PLATFORM_OS,
			      PLATFORM_ARCHITECTURE, platforms->n, hull_image_path_show(example, shown));
}

struct choice {
	struct descriptor manifest;
	size_t matches, distinct;        /* by name; of these for our platform and different */
	struct hull_strv names, platforms;
};

static int consider(const struct hull_image_job *job, const struct hull_image_json *item, bool by_name,
		    struct choice *c, struct hull_error *err)
{
	struct descriptor d;
	bool match = true, platform;

	int r = parse_descriptor(item, &d, err);
	if (r == 0 && by_name)
		r = match_names(job, item, &d, &c->names, &match, err);
	if (r < 0 || !match)
		return r;
	c->matches++;
	r = match_platform(item, &c->platforms, &platform, err);
	if (r < 0 || !platform)
		return r;
	if (c->distinct == 0)
		c->manifest = d;
	c->distinct += c->distinct == 0 || strcmp(d.hex, c->manifest.hex) != 0;
	return 0;
}

/*
 * Picks a manifest of an index. In index.json that is an image, by name, and it must be clear which. In an index
 * below it that is a platform, and the first that fits is the best, as its author sorted them.
 */
static int choose(const struct hull_image_job *job, const struct hull_image_json *index, bool by_name,
		  struct descriptor *ret, struct hull_error *err)
{
	struct hull_image_json manifests, item;
	struct choice c = { .distinct = 0 };

	int r = hull_image_json_need(index, "manifests", json_type_array, &manifests, err);
	for (size_t i = 0; r == 0 && i < hull_image_json_count(&manifests); i++) {
		r = hull_image_json_item(&manifests, i, json_type_object, &item, err);
		if (r == 0)
			r = consider(job, &item, by_name, &c, err);
	}
	if (r == 0 && hull_image_json_count(&manifests) == 0)
		r = hull_error_set(err, ENOENT, "%s: there is no image", manifests.where);
	else if (r == 0 && by_name && (c.matches == 0 || c.distinct > 1))
		r = hull_image_reference_error(job->reference, c.matches, &c.names, err);
	else if (r == 0 && c.distinct == 0)
		r = platform_error(&c.platforms, err);
	if (r == 0)
		*ret = c.manifest;
	hull_strv_clear(&c.names);
	hull_strv_clear(&c.platforms);
	return r;
}

/* Goes from index.json to the manifest of the image, which the caller frees. */
static int find_manifest(const struct hull_image_job *job, struct hull_image_json *ret, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json document = { .v = NULL };
	struct hull_image_json nested;
	struct descriptor d;

	int r = load_file(job, "index.json", &document, err);
	for (int depth = 0; r == 0; depth++) {
		if (depth == INDEX_DEPTH_MAX)
			return hull_error_set(err, ELOOP, "%s: an index in an index, too deep", document.where);
		r = choose(job, &document, depth == 0, &d, err);
		if (r < 0)
			break;
		hull_image_json_free(&document);
		r = load_blob(job, &d, &document, err);
		if (r == 0)
			r = hull_image_json_get(&document, "manifests", json_type_array, &nested, err);
		if (r == 0 && !nested.v) {
			*ret = document;
			document.v = NULL;
			return 0;
		}
	}
	return r;
}

/* The compression is seen in the data; the type only tells what is no layer at all, or unreadable. */
static int check_layer_type(const struct hull_image_json *at, const struct descriptor *d, struct hull_error *err)
{
	static const char *const types[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	};
	char shown[HULL_IMAGE_SHOW_MAX];
	if (!d->media_type)
		return hull_error_set(err, EINVAL, "%s: mediaType: missing", at->where);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++)
		if (strcmp(d->media_type, types[i]) == 0)
			return 0;
	return hull_error_set(err, EOPNOTSUPP, "%s: mediaType: %s is not a layer that can be unpacked", at->where,
			      hull_image_path_show(d->media_type, shown));
}

static int unpack_layer(struct hull_image_job *job, const struct hull_image_json *layers, size_t i,
			struct hull_error *err)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	struct hull_image_json item;
	struct descriptor d;
	char name[32];

	int r = hull_image_json_item(layers, i, json_type_object, &item, err);
	if (r == 0)
		r = parse_descriptor(&item, &d, err);
	if (r == 0)
		r = check_layer_type(&item, &d, err);
	if (r == 0)
		r = get_blob(job, &d, &blob, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "sha256:%.12s", d.hex);
	return hull_image_job_layer(job, i, hull_image_json_count(layers), name, &blob, err);
}

static int read_config(struct hull_image_job *job, const struct hull_image_json *manifest, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json document = { .v = NULL };
	struct hull_image_json at;
	struct descriptor d;

	int r = hull_image_json_need(manifest, "config", json_type_object, &at, err);
	if (r == 0)
		r = parse_descriptor(&at, &d, err);
	if (r < 0)
		return r;
	char shown[HULL_IMAGE_SHOW_MAX];
	if (d.media_type && strcmp(d.media_type, "application/vnd.oci.image.config.v1+json") != 0 &&
	    strcmp(d.media_type, "application/vnd.docker.container.image.v1+json") != 0)
		return hull_error_set(err, EOPNOTSUPP, "%s: mediaType: %s is not an image of a container", at.where,
				      hull_image_path_show(d.media_type, shown));
	r = load_blob(job, &d, &document, err);
	return r < 0 ? r : hull_image_config_parse(&document, job->config, err);
}

static int check_version(const struct hull_image_job *job, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json document = { .v = NULL };
	struct hull_image_json version;
	char shown[HULL_IMAGE_SHOW_MAX];

	int r = load_file(job, "oci-layout", &document, err);
	if (r == 0)
		r = hull_image_json_need(&document, "imageLayoutVersion", json_type_string, &version, err);
	if (r == 0 && strncmp(json_object_get_string(version.v), "1.", 2) != 0)
		r = hull_error_set(err, EOPNOTSUPP, "%s: version %s is not known", version.where,
				   hull_image_path_show(json_object_get_string(version.v), shown));
	return r;
}

int hull_image_layout_unpack(struct hull_image_job *job, struct hull_error *err)
{
	_cleanup_(hull_image_json_free) struct hull_image_json manifest = { .v = NULL };
	struct hull_image_json layers;

	int r = check_version(job, err);
	if (r == 0)
		r = find_manifest(job, &manifest, err);
	if (r == 0)
		r = hull_image_json_need(&manifest, "layers", json_type_array, &layers, err);
	if (r < 0)
		return r;
	if (hull_image_json_count(&layers) > LAYERS_MAX)
		return hull_error_set(err, EFBIG, "%s: more than %d", layers.where, LAYERS_MAX);
	r = read_config(job, &manifest, err);
	for (size_t i = 0; r == 0 && i < hull_image_json_count(&layers); i++)
		r = unpack_layer(job, &layers, i, err);
	return r;
}
