/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of images, their documents, digests, and which of several images is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/reference.h"
#include "image_make.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"

static const struct item two_files[] = { { 'f', "a", "1" }, { 'f', "etc/b", "2" }, { .type = 0 } };
static const struct item upper[] = { { 'f', ".wh.a", "" }, { 'f', "c", "3" }, { .type = 0 } };
static const struct item *const layers[] = { two_files, upper, two_files, upper };

static void unpacks(struct place *p, const char *name, enum hull_image_kind kind, const char *reference)
{
	if (place_unpack(p, name, kind, reference) < 0)
		fail_msg("%s", p->err.message);
}

/* A whole image of one layer whose file "is" has `text`; the descriptor of its manifest, which the caller frees. */
static char *put_image(const struct place *p, const char *layout, const char *text)
{
	size_t len;
	_cleanup_free_ char *tar = make_tar("zstd", ITEMS({ 'f', "is", text }), &len);
	_cleanup_free_ char *layer = put_blob(p, layout, LAYER_TYPE, tar, len);
	_cleanup_free_ char *config = put_blob(p, layout, CONFIG_TYPE, "{}", 2);
	_cleanup_free_ char *manifest = hull_asprintf("{\"config\":{%s},\"layers\":[{%s}]}", config, layer);
	_cleanup_free_ char *version = hull_asprintf("%s/oci-layout", layout);
	put_text(p, version, "{\"imageLayoutVersion\":\"1.0.0\"}");
	return put_blob(p, layout, MANIFEST_TYPE, manifest, strlen(manifest));
}

static void put_index(const struct place *p, const char *layout, const char *manifests)
{
	_cleanup_free_ char *index = hull_asprintf("{\"manifests\":[%s]}", manifests);
	_cleanup_free_ char *name = hull_asprintf("%s/index.json", layout);
	put_text(p, name, index);
}

static void test_detect(void **state)
{
	struct place *p = *state;
	static const struct { const char *name; int kind; } cases[] = {
		{ "rootfs", HULL_IMAGE_ROOTFS_DIR }, { "layout", HULL_IMAGE_OCI_LAYOUT },
		{ "oci.tar", HULL_IMAGE_OCI_ARCHIVE }, { "oci.tar.gz", HULL_IMAGE_OCI_ARCHIVE },
		{ "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE }, { "rootfs.tar", HULL_IMAGE_ROOTFS_TAR },
		{ "both.tar", HULL_IMAGE_OCI_ARCHIVE }, { "manifest-in-rootfs.tar", HULL_IMAGE_ROOTFS_TAR },
		{ "canary", -1 }, { "text", -1 }, { "empty", -1 }, { "none", -1 }, { "fifo", -1 }, { "empty.tar", -1 },
	};
	put_layout(p, "layout", layers, 2);
	put_text(p, "rootfs/etc/x", "");
	tar_directory(p, "layout", "oci.tar", "");
	tar_directory(p, "layout", "oci.tar.gz", "gzip");
	tar_directory(p, "rootfs", "rootfs.tar", "xz");
	put_text(p, "docker/manifest.json", "[]");
	tar_directory(p, "docker", "docker.tar", "");
	put_layout(p, "docker", layers, 1);
	tar_directory(p, "docker", "both.tar", "");
	put_text(p, "rootfs/manifest.json", "[]");
	put_text(p, "rootfs/bin/sh", "");
	tar_directory(p, "rootfs", "manifest-in-rootfs.tar", "");
	put_text(p, "text", "not an archive, but text that is longer than the header of one would be");
	put_text(p, "empty", "");
	static const char zeros[2048];
	put_bytes(p, "empty.tar", zeros, sizeof(zeros));
	_cleanup_free_ char *fifo = hull_asprintf("%s/fifo", p->base);
	assert_return_code(mkfifo(fifo, 0600), errno);

	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *path = hull_asprintf("%s/%s", p->base, cases[i].name);
		enum hull_image_kind kind;
		hull_error_clear(&p->err);
		int r = hull_image_detect(path, &kind, &p->err);
		if (cases[i].kind < 0) {
			assert_true(r < 0);
			assert_non_null(strstr(p->err.message, strcmp(cases[i].name, "none") == 0 ? "No such" : "expected"));
		} else if (r < 0 || (int)kind != cases[i].kind) {
			fail_msg("%s: %s", cases[i].name, r < 0 ? p->err.message : hull_image_kind_name(kind));
		}
	}
	assert_string_equal(hull_image_kind_name(HULL_IMAGE_OCI_ARCHIVE), "OCI archive");
}

static void check_whole(struct place *p)
{
	assert_false(place_has(p, "a", NULL));
	assert_true(place_has(p, "etc/b", "2") && place_has(p, "c", "3"));
	assert_string_equal(p->config.entrypoint.v[0], "/e");
	assert_int_equal(p->config.cmd.n, 2);
	assert_string_equal(p->config.cmd.v[1], "b");
	assert_string_equal(p->config.env.v[0], "K=v");
	assert_string_equal(p->config.user, "7:8");
	assert_string_equal(p->config.working_dir, "/w");
	assert_string_equal(p->config.stop_signal, "SIGINT");
	assert_string_equal(p->config.architecture, "amd64");
}

/* Only dest's own files may be there: the uncompressed copy of an archive has no name. */
static void check_no_leftover(const struct place *p)
{
	DIR *dir = opendir(p->dest);
	struct dirent *e;
	while ((e = readdir(dir)) != NULL)
		assert_null(strstr(e->d_name, ".hull"));
	closedir(dir);
}

static void test_oci(void **state)
{
	static const char *const filters[] = { "", "gzip", "zstd", "xz" };
	struct place *p = *state;
	put_layout(p, "layout", layers, 4);
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);
	check_whole(p);
	assert_int_equal(p->lines, 6);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(filters); i++) {
		tar_directory(p, "layout", "oci.tar", filters[i]);
		unpacks(p, "oci.tar", HULL_IMAGE_OCI_ARCHIVE, NULL);
		check_whole(p);
		check_no_leftover(p);
	}
	/* What is in the way is not mixed with the image, and a directory is nothing to unpack. */
	_cleanup_free_ char *path = hull_asprintf("%s/layout", p->base);
	assert_int_equal(hull_image_unpack(path, HULL_IMAGE_OCI_LAYOUT, NULL, p->dest, NULL, NULL, NULL, &p->config, NULL),
			 -ENOTEMPTY);
	place_refuse(p, "layout", HULL_IMAGE_ROOTFS_DIR, "nothing to unpack");
}

/* Tells what a byte of the file is for the image: all of them are vouched for, or checked, or outside of members. */
static void test_archive_cut(void **state)
{
	struct place *p = *state;
	static const char *const filters[] = { "", "gzip" };
	put_layout(p, "layout", layers, 2);
	for (size_t f = 0; f < HULL_ARRAY_SIZE(filters); f++) {
		_cleanup_free_ char *path = hull_asprintf("%s/oci.tar", p->base);
		_cleanup_free_ char *data = NULL;
		size_t len, whole = 0;
		tar_directory(p, "layout", "oci.tar", filters[f]);
		assert_return_code(hull_file_read(AT_FDCWD, path, 1 << 20, &data, &len), 0);
		for (size_t cut = 0; cut < len; cut += 53) {
			put_bytes(p, "cut.tar", data, cut);
			if (place_unpack(p, "cut.tar", HULL_IMAGE_OCI_ARCHIVE, NULL) == 0) {
				check_whole(p);
				whole++;
			}
			check_no_leftover(p);
		}
		assert_true(whole < 25);
	}
}

/* Replaces base/layout/blobs/sha256/(the blob described by `descriptor`). */
static char *blob_path(const char *layout, const char *descriptor)
{
	return hull_asprintf("%s/blobs/sha256/%.64s", layout, strstr(descriptor, "sha256:") + 7);
}

static void test_digests(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *d = put_image(p, "layout", "x");
	_cleanup_free_ char *one = hull_asprintf("{%s}", d);
	_cleanup_free_ char *name = blob_path("layout", d);
	_cleanup_free_ char *full = hull_asprintf("%s/%s", p->base, name);
	_cleanup_free_ char *text = NULL;
	put_index(p, "layout", one);
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);

	assert_return_code(hull_file_read(AT_FDCWD, full, 4096, &text, NULL), 0);
	_cleanup_free_ char *layer = blob_path("layout", strstr(text, "layers"));
	_cleanup_free_ char *layer_full = hull_asprintf("%s/%s", p->base, layer);
	char *bytes;
	size_t len;
	assert_return_code(hull_file_read(AT_FDCWD, layer_full, 4096, &bytes, &len), 0);
	bytes[len / 2] ^= 1;
	put_bytes(p, layer, bytes, len);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "the content has another digest");
	put_bytes(p, layer, bytes, len - 1);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "are announced");
	assert_return_code(unlink(layer_full), errno);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "No such file");
	assert_return_code(symlink("/etc/passwd", layer_full), errno);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "No such file");
	free(bytes);

	text[strlen(text) - 1] = ' ';
	put_text(p, name, text);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "the content has another digest");
	put_index(p, "layout", "{\"digest\":\"sha512:00\",\"size\":1}");
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "index.json: manifests[0].digest: not a SHA-256");
}

static void test_index_errors(void **state)
{
	static const struct { const char *index, *message; } cases[] = {
		{ "", "index.json: not a JSON document" },
		{ "[]", "index.json: expected object, found array" },
		{ "{} x", "index.json: not a JSON document" },
		{ "{\"a\":tru", "index.json: not a JSON document" },
		{ "{}", "index.json: manifests: missing" },
		{ "{\"manifests\":null}", "index.json: manifests: missing" },
		{ "{\"manifests\":{}}", "index.json: manifests: expected array, found object" },
		{ "{\"manifests\":[]}", "there is no image" },
		{ "{\"manifests\":[3]}", "index.json: manifests[0]: expected object, found int" },
		{ "{\"manifests\":[{}]}", "index.json: manifests[0].digest: missing" },
		{ "{\"manifests\":[{\"digest\":\"x\",\"size\":\"1\"}]}", "manifests[0].size: expected int, found string" },
		{ "{\"manifests\":[{\"digest\":\"sha256:../../../../../../../../../../../../../../../../../../etc/passwd00\","
		  "\"size\":1}]}", "not a SHA-256 digest" },
		{ "{\"manifests\":[{\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\","
		  "\"size\":-1}]}", "size: negative" },
		{ "{\"manifests\":[{\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\","
		  "\"size\":1}]}", "No such file" },
		{ "{\"manifests\":[{\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\","
		  "\"size\":1,\"annotations\":[]}]}", "annotations: expected object" },
		{ "{\"manifests\":[{\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\","
		  "\"size\":1,\"mediaType\":\"a\\u0000b\"}]}", "mediaType: a NUL" },
	};
	struct place *p = *state;
	put_text(p, "layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		put_text(p, "layout/index.json", cases[i].index);
		place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, cases[i].message);
	}
	_cleanup_free_ char *big = hull_calloc(5 << 20, 1);
	memset(big, ' ', (5 << 20) - 1);
	put_text(p, "layout/index.json", big);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "too large");
	memset(big, '[', 64);
	big[64] = '\0';
	put_text(p, "layout/index.json", big);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "not a JSON document");
	for (size_t i = 0; i < 1 << 20; i += 3)
		memcpy(big + i, "{},", 4);
	put_text(p, "layout/index.json", big);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "too large");
	put_text(p, "layout/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "version 2.0.0 is not known");
}

static void test_manifest_errors(void **state)
{
	static const struct { const char *manifest, *message; } cases[] = {
		{ "{\"config\":{C}}", "layers: missing" },
		{ "{\"layers\":[]}", "config: missing" },
		{ "{\"config\":{C},\"layers\":[7]}", "layers[0]: expected object" },
		{ "{\"config\":{C},\"layers\":[{C}]}", "is not a layer that can be unpacked" },
		{ "{\"config\":{L},\"layers\":[]}", "is not an image of a container" },
		{ "{\"config\":{B},\"layers\":[]}", "config.Env[1]: expected string, found int" },
	};
	struct place *p = *state;
	_cleanup_free_ char *c = put_blob(p, "layout", CONFIG_TYPE, "{}", 2);
	_cleanup_free_ char *l = put_blob(p, "layout", LAYER_TYPE, "x", 1);
	static const char bad[] = "{\"config\":{\"User\":\"u\",\"Env\":[\"a\",1]}}";
	_cleanup_free_ char *b = put_blob(p, "layout", CONFIG_TYPE, bad, strlen(bad));
	put_text(p, "layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *manifest = hull_strdup("");
		for (const char *s = cases[i].manifest; *s; s++) {
			bool whole = s > cases[i].manifest && s[-1] == '{';
			char *longer = hull_asprintf("%s%.*s", manifest, whole && strchr("CLB", *s) ? 5000 : 1,
						     whole && *s == 'C' ? c : whole && *s == 'L' ? l
						     : whole && *s == 'B' ? b : s);
			free(manifest);
			manifest = longer;
		}
		_cleanup_free_ char *d = put_blob(p, "layout", MANIFEST_TYPE, manifest, strlen(manifest));
		_cleanup_free_ char *one = hull_asprintf("{%s}", d);
		put_index(p, "layout", one);
		place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, cases[i].message);
		assert_null(p->config.user);
	}
}

static void test_reference_matches(void **state HULL_UNUSED)
{
	static const struct { const char *name, *reference; bool matches; } cases[] = {
		{ "docker.io/library/alpine:3.19", "docker.io/library/alpine:3.19", true },
		{ "docker.io/library/alpine:3.19", "alpine:3.19", true },
		{ "docker.io/library/alpine:3.19", "library/alpine:3.19", true },
		{ "docker.io/library/alpine:3.19", "3.19", true },
		{ "docker.io/library/alpine:3.19", "alpine", false },
		{ "docker.io/library/alpine:3.19", "pine:3.19", false },
		{ "localhost/alpine:latest", "alpine", true },
		{ "localhost:5000/alpine", "5000/alpine", false },
		{ "localhost:5000/alpine:latest", "alpine", true },
		{ "v1", "v1", true }, { "v1", "v2", false }, { "v1", "", false },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++)
		assert_int_equal(hull_image_reference_matches(cases[i].name, cases[i].reference), cases[i].matches);
}

static void test_several_images(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *x = put_image(p, "layout", "x"), *y = put_image(p, "layout", "y");
	_cleanup_free_ char *both = hull_asprintf(
		"{%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\",\"io.containerd.image.name\":"
		"\"docker.io/u/x:v1\"}},{%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"localhost/y:latest\"}},"
		"{%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"y-again\"}}", x, y, y);
	put_index(p, "layout", both);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT,
		     "several images, one must be named: docker.io/u/x:v1, localhost/y:latest, y-again");
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, "v1");
	assert_true(place_has(p, "is", "x"));
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, "y");
	assert_true(place_has(p, "is", "y"));
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, "y-again");
	assert_true(place_has(p, "is", "y"));
	char digest[72];
	snprintf(digest, sizeof(digest), "%.71s", strstr(x, "sha256:"));
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, digest);
	assert_true(place_has(p, "is", "x"));
	assert_int_equal(place_unpack(p, "layout", HULL_IMAGE_OCI_LAYOUT, "z"), -ENOENT);
	assert_non_null(strstr(p->err.message, "no images are called z; there are: docker.io/u/x:v1, localhost"));

	/* Two names of one image are no question. */
	_cleanup_free_ char *same = hull_asprintf("{%s},{%s}", y, y);
	put_index(p, "layout", same);
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);
}

static void test_platforms(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *x = put_image(p, "layout", "x"), *y = put_image(p, "layout", "y");
	_cleanup_free_ char *list = hull_asprintf(
		"{%s,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
		"{%s,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},"
		"{%s,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}", x, x, y);
	put_index(p, "layout", list);
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);
	assert_true(place_has(p, "is", "y"));

	_cleanup_free_ char *inner = hull_asprintf("{\"manifests\":[%s]}", list);
	_cleanup_free_ char *nested = put_blob(p, "layout", INDEX_TYPE, inner, strlen(inner));
	_cleanup_free_ char *one = hull_asprintf("{%s}", nested);
	put_index(p, "layout", one);
	unpacks(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);
	assert_true(place_has(p, "is", "y"));

	_cleanup_free_ char *other = hull_asprintf("{%s,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}}", x);
	put_index(p, "layout", other);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "no image for linux/amd64; there are 1 for others, the first for "
		     "linux/arm64");

	_cleanup_free_ char *deep = hull_strdup(one);
	for (int i = 0; i < 4; i++) {
		_cleanup_free_ char *index = hull_asprintf("{\"manifests\":[%s]}", deep);
		_cleanup_free_ char *d = put_blob(p, "layout", INDEX_TYPE, index, strlen(index));
		free(deep);
		deep = hull_asprintf("{%s}", d);
	}
	put_index(p, "layout", deep);
	place_refuse(p, "layout", HULL_IMAGE_OCI_LAYOUT, "too deep");
}

/* What a docker archive has: two layers, the second by way of links, old names or new ones. */
struct docker {
	char *tar[2], hex[2][65], config_hex[65];
	size_t len[2];
	char *config;
};

static void make_docker(struct docker *d, const char *break_diff_id)
{
	for (int i = 0; i < 2; i++) {
		d->tar[i] = make_tar("", layers[i], &d->len[i]);
		sha256_of(d->tar[i], d->len[i], d->hex[i]);
	}
	d->config = hull_asprintf("{\"architecture\":\"amd64\",\"config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b\"],"
				  "\"Env\":[\"K=v\"],\"User\":\"7:8\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\"},"
				  "\"rootfs\":{\"diff_ids\":[\"sha256:%s\",\"%s%s\"]}}",
				  d->hex[0], break_diff_id ? break_diff_id : "sha256:", d->hex[1]);
	sha256_of(d->config, strlen(d->config), d->config_hex);
}

static void free_docker(struct docker *d)
{
	free(d->tar[0]);
	free(d->tar[1]);
	free(d->config);
}

/* Tars the archive to base/docker.tar, with links as `docker save` of old has them. */
static void put_docker_old(const struct place *p, const struct docker *d, const char *link, const char *filter)
{
	size_t len;
	_cleanup_free_ char *config = hull_asprintf("%s.json", d->config_hex);
	_cleanup_free_ char *manifest = hull_asprintf(
		"[{\"Config\":\"%s\",\"RepoTags\":[\"x:1\",\"x:2\"],\"Layers\":[\"l1/layer.tar\",\"l2/layer.tar\"]}]", config);
	_cleanup_free_ char *tar = make_tar("", ITEMS({ 'f', config, d->config }, { 'l', "l2/layer.tar", link },
						      { 'f', "manifest.json", manifest }), &len);
	put_text(p, "docker/manifest.json", manifest);
	_cleanup_free_ char *config_path = hull_asprintf("docker/%s", config);
	put_text(p, config_path, d->config);
	put_bytes(p, "docker/l1/layer.tar", d->tar[0], d->len[0]);
	put_bytes(p, "docker/data/second", d->tar[1], d->len[1]);
	tar_directory(p, "docker", "files.tar", "");

	/* Behind one another, less the first's mark of the end: members of both, and manifest.json twice. */
	_cleanup_free_ char *path = hull_asprintf("%s/files.tar", p->base);
	_cleanup_free_ char *files = NULL, *whole = NULL;
	size_t files_len, packed_len;
	assert_return_code(hull_file_read(AT_FDCWD, path, 1 << 20, &files, &files_len), 0);
	whole = hull_calloc(len + files_len, 1);
	memcpy(whole, tar, len - 1024);
	memcpy(whole + len - 1024, files, files_len);
	_cleanup_free_ char *packed = make_compressed(filter, whole, len - 1024 + files_len, &packed_len);
	put_bytes(p, "docker.tar", packed, packed_len);
}

static void test_docker_old(void **state)
{
	static const char *const filters[] = { "", "gzip", "zstd" };
	struct place *p = *state;
	struct docker d;
	make_docker(&d, NULL);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(filters); i++) {
		put_docker_old(p, &d, "../data/second", filters[i]);
		unpacks(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, i ? "x:2" : NULL);
		check_whole(p);
		check_no_leftover(p);
	}
	unpacks(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, d.config_hex);
	put_docker_old(p, &d, "../../canary/file", "");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "l2/layer.tar: refused: the link leads out");
	put_docker_old(p, &d, "/etc/passwd", "");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "l2/layer.tar: refused: the link leads out");
	put_docker_old(p, &d, "layer.tar", "");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "l2/layer.tar: Too many levels");
	put_docker_old(p, &d, "none", "gzip");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "l2/layer.tar: No such file");
	check_no_leftover(p);
	free_docker(&d);

	make_docker(&d, "sha256:0");
	put_docker_old(p, &d, "../data/second", "");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "l2/layer.tar: the content has another digest");
	free_docker(&d);
}

static void test_docker_new(void **state)
{
	struct place *p = *state;
	struct docker d;
	make_docker(&d, NULL);
	size_t len;
	_cleanup_free_ char *layer = make_compressed("gzip", d.tar[1], d.len[1], &len);
	_cleanup_free_ char *of_first = put_blob(p, "docker", "", d.tar[0], d.len[0]);
	_cleanup_free_ char *of_second = put_blob(p, "docker", "", layer, len);
	_cleanup_free_ char *of_config = put_blob(p, "docker", "", d.config, strlen(d.config));
	_cleanup_free_ char *first = blob_path("", of_first), *second = blob_path("", of_second);
	_cleanup_free_ char *config = blob_path("", of_config);
	_cleanup_free_ char *image = hull_asprintf("{\"Config\":\"%s\",\"RepoTags\":null,\"Layers\":[\"%s\",\"%s\"]}",
						   config + 1, first + 1, second + 1);
	_cleanup_free_ char *one = hull_asprintf("[%s]", image), *two = hull_asprintf("[%s,%s]", image, image);
	_cleanup_free_ char *few = hull_asprintf("[{\"Config\":\"%s\",\"Layers\":[\"%s\"]}]", config + 1, first + 1);
	const struct { const char *manifest, *message; } cases[] = {
		{ two, "several images, one must be named: blobs/sha256/" },
		{ few, "rootfs.diff_ids: 2, but manifest.json has 1 layers" },
		{ "[]", "manifest.json: there is no image" },
		{ "{}", "manifest.json: expected array" },
		{ "[{\"Layers\":[]}]", "manifest.json[0]: Config: missing" },
		{ "[{\"Config\":\"../x\"}]", "../x: \"..\" is not allowed" },
		{ "[{\"Config\":\"/etc/passwd\"}]", "absolute" },
		{ "[{\"Config\":\"a\\u001b\"}]", "a\\x1b: No such file" },
		{ "[{\"Config\":\"manifest.json\"}]", "manifest.json: expected object" },
		{ "[{\"Config\":1}]", "manifest.json[0]: Config: expected string" },
	};
	put_text(p, "docker/manifest.json", one);
	tar_directory(p, "docker", "docker.tar", "");
	unpacks(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, NULL);
	check_whole(p);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		put_text(p, "docker/manifest.json", cases[i].manifest);
		tar_directory(p, "docker", "docker.tar", "");
		place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, cases[i].message);
	}
	/* A configuration that is not what its name says. */
	_cleanup_free_ char *config_path = hull_asprintf("docker/%s", config);
	put_text(p, config_path, "{}");
	put_text(p, "docker/manifest.json", one);
	tar_directory(p, "docker", "docker.tar", "");
	place_refuse(p, "docker.tar", HULL_IMAGE_DOCKER_ARCHIVE, "the content has another digest");
	free_docker(&d);
}

/* An archive around the layers counts on its own: bytes_max bounds the temporary file too. */
static void test_archive_bomb(void **state)
{
	struct place *p = *state;
	const struct hull_image_limits limits = { .bytes_max = 100 * 1024, .entries_max = 5, .ratio_max = 1000 };
	static char big[200 * 1024];
	memset(big, 'a', sizeof(big) - 1);
	put_layout(p, "layout", layers, 1);
	put_text(p, "layout/big", big);
	tar_directory(p, "layout", "oci.tar", "gzip");
	_cleanup_free_ char *path = hull_asprintf("%s/oci.tar", p->base);
	assert_int_equal(hull_image_unpack(path, HULL_IMAGE_OCI_ARCHIVE, NULL, p->dest, &limits, NULL, NULL, &p->config,
					   &p->err), -EFBIG);
	assert_non_null(strstr(p->err.message, "more than 100.0 KiB"));
	check_no_leftover(p);
	put_text(p, "layout/big", "");
	put_text(p, "layout/big2", "");
	tar_directory(p, "layout", "oci.tar", "");
	assert_int_equal(hull_image_unpack(path, HULL_IMAGE_OCI_ARCHIVE, NULL, p->dest, &limits, NULL, NULL, &p->config,
					   &p->err), -EFBIG);
	assert_non_null(strstr(p->err.message, "more than 5 files"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_setup, place_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_detect),
		TEST(test_oci),
		TEST(test_archive_cut),
		TEST(test_digests),
		TEST(test_index_errors),
		TEST(test_manifest_errors),
		cmocka_unit_test(test_reference_matches),
		TEST(test_several_images),
		TEST(test_platforms),
		TEST(test_docker_old),
		TEST(test_docker_new),
		TEST(test_archive_bomb),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
