/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "image_make.h"

#define CANARY "alive\n"
#define TAR_ROOM (32 * 1024 * 1024)

int place_setup(void **state)
{
	struct place *p = hull_new(struct place, 1);
	snprintf(p->base, sizeof(p->base), "/tmp/hull-test-image-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	snprintf(p->dest, sizeof(p->dest), "%s/dest", p->base);
	assert_return_code(mkdir(p->dest, 0755), errno);
	put_text(p, "canary/file", CANARY);
	*state = p;
	return 0;
}

static void check_canary(const struct place *p)
{
	_cleanup_free_ char *file = hull_asprintf("%s/canary/file", p->base);
	_cleanup_free_ char *dir = hull_asprintf("%s/canary", p->base);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	assert_return_code(hull_file_read(AT_FDCWD, file, 100, &text, NULL), 0);
	assert_string_equal(text, CANARY);
	assert_return_code(stat(file, &st), errno);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0644);

	DIR *d = opendir(dir);
	unsigned n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	assert_int_equal(n, 3);       /* ".", ".." and the file */
	assert_int_equal(access("/hull-escaped", F_OK), -1);
	_cleanup_free_ char *above = hull_asprintf("%s/hull-escaped", p->base);
	assert_int_equal(access(above, F_OK), -1);
}

int place_teardown(void **state)
{
	struct place *p = *state;
	check_canary(p);
	hull_image_config_clear(&p->config);
	assert_return_code(hull_rmtree(AT_FDCWD, p->base), 0);
	free(p);
	return 0;
}

void place_reset(struct place *p)
{
	assert_return_code(hull_rmtree(AT_FDCWD, p->dest), 0);
	assert_return_code(mkdir(p->dest, 0755), errno);
	hull_image_config_clear(&p->config);
	hull_error_clear(&p->err);
}

static void count_line(void *data, const char *line)
{
	struct place *p = data;
	assert_null(strchr(line, '\n'));
	p->lines++;
}

int place_unpack(struct place *p, const char *name, enum hull_image_kind kind, const char *reference)
{
	_cleanup_free_ char *path = hull_asprintf("%s/%s", p->base, name);
	place_reset(p);
	return hull_image_unpack(path, kind, reference, p->dest, NULL, count_line, p, &p->config, &p->err);
}

void place_refuse(struct place *p, const char *name, enum hull_image_kind kind, const char *message)
{
	if (place_unpack(p, name, kind, NULL) == 0)
		fail_msg("expected \"%s\", but it was unpacked", message);
	if (!strstr(p->err.message, message))
		fail_msg("expected \"%s\" in: %s", message, p->err.message);
	assert_true(p->err.code > 0);
	check_canary(p);
}

bool place_has(const struct place *p, const char *path, const char *content)
{
	_cleanup_free_ char *full = hull_asprintf("%s/%s", p->dest, path);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	if (lstat(full, &st) < 0)
		return false;
	if (!content)
		return true;
	if (S_ISLNK(st.st_mode)) {
		char target[256] = "";
		return readlink(full, target, sizeof(target) - 1) >= 0 && strcmp(target, content) == 0;
	}
	return S_ISREG(st.st_mode) && hull_file_read(AT_FDCWD, full, 1 << 20, &text, NULL) == 0 &&
	       strcmp(text, content) == 0;
}

static struct archive *start(const char *filter, int (*format)(struct archive *a), char *data, size_t room, size_t *used)
{
	static const struct { const char *name; int (*add)(struct archive *); } filters[] = {
		{ "gzip", archive_write_add_filter_gzip },
		{ "zstd", archive_write_add_filter_zstd },
		{ "xz", archive_write_add_filter_xz },
	};
	struct archive *a = archive_write_new();
	for (size_t at = 0; filter[at]; at += strcspn(filter + at, " "), at += strspn(filter + at, " "))
		for (size_t i = 0; i < HULL_ARRAY_SIZE(filters); i++)
			if (strncmp(filter + at, filters[i].name, strcspn(filter + at, " ")) == 0)
				assert_int_equal(filters[i].add(a), ARCHIVE_OK);
	assert_int_equal(format(a), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 512);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, data, room, used), ARCHIVE_OK);
	return a;
}

static void add_item(struct archive *a, const struct item *it)
{
	static const struct { char type; __LA_MODE_T mode; } types[] = {
		{ 'f', AE_IFREG }, { 'd', AE_IFDIR }, { 'l', AE_IFLNK }, { 'h', AE_IFREG }, { 'p', AE_IFIFO },
		{ 'c', AE_IFCHR }, { 'b', AE_IFBLK },
	};
	struct archive_entry *e = archive_entry_new();
	size_t len = it->type == 'f' && it->text ? strlen(it->text) : 0;
	archive_entry_set_pathname(e, it->name);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(types); i++)
		if (types[i].type == it->type)
			archive_entry_set_filetype(e, types[i].mode);
	archive_entry_set_perm(e, it->mode ? it->mode : it->type == 'd' ? 0755 : 0644);
	archive_entry_set_uid(e, it->uid);
	archive_entry_set_gid(e, it->gid);
	archive_entry_set_mtime(e, it->mtime, 0);
	archive_entry_set_size(e, (la_int64_t)len);
	if (it->type == 'l')
		archive_entry_set_symlink(e, it->text);
	if (it->type == 'h')
		archive_entry_set_hardlink(e, it->text);
	if (it->type == 'c' || it->type == 'b')
		archive_entry_set_rdev(e, makedev(1, 3));
	/* A warning says that a name is not in the locale's character set. */
	assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
	if (len > 0)
		assert_int_equal(archive_write_data(a, it->text, len), len);
	archive_entry_free(e);
}

char *make_tar(const char *filter, const struct item *items, size_t *ret_len)
{
	char *data = hull_calloc(TAR_ROOM, 1);
	struct archive *a = start(filter, archive_write_set_format_pax_restricted, data, TAR_ROOM, ret_len);
	for (; items->type; items++)
		add_item(a, items);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return data;
}

char *make_compressed(const char *filter, const void *data, size_t len, size_t *ret_len)
{
	char *out = hull_calloc(TAR_ROOM, 1);
	struct archive *a = start(filter, archive_write_set_format_raw, out, TAR_ROOM, ret_len);
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), len);
	archive_entry_free(e);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return out;
}

void put_bytes(const struct place *p, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = hull_asprintf("%s/%s", p->base, name);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	assert_return_code(hull_mkdir_p(path, 0755), 0);
	*slash = '/';
	assert_return_code(hull_file_replace(AT_FDCWD, path, data, len, 0644), 0);
}

void put_text(const struct place *p, const char *name, const char *text)
{
	put_bytes(p, name, text, strlen(text));
}

void sha256_of(const void *data, size_t len, char hex[static 65])
{
	struct sha256_ctx ctx;
	uint8_t sum[32];
	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, sizeof(sum), sum);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

char *put_blob(const struct place *p, const char *layout, const char *media_type, const void *data, size_t len)
{
	char hex[65];
	sha256_of(data, len, hex);
	_cleanup_free_ char *name = hull_asprintf("%s/blobs/sha256/%s", layout, hex);
	put_bytes(p, name, data, len);
	return hull_asprintf("\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%zu", media_type, hex, len);
}

void put_layout(const struct place *p, const char *layout, const struct item *const *layers, size_t n)
{
	static const char *const filters[] = { "gzip", "zstd", "", "xz" };
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/e\"],"
				     "\"Cmd\":[\"a\",\"b\"],\"Env\":[\"K=v\"],\"User\":\"7:8\",\"WorkingDir\":\"/w\","
				     "\"StopSignal\":\"SIGINT\"}}";
	_cleanup_free_ char *of_config = put_blob(p, layout, "application/vnd.oci.image.config.v1+json", config,
						  strlen(config));
	_cleanup_free_ char *list = hull_strdup("");
	for (size_t i = 0; i < n; i++) {
		size_t len;
		_cleanup_free_ char *tar = make_tar(filters[i % HULL_ARRAY_SIZE(filters)], layers[i], &len);
		_cleanup_free_ char *d = put_blob(p, layout, "application/vnd.oci.image.layer.v1.tar+gzip", tar, len);
		char *longer = hull_asprintf("%s%s{%s}", list, i ? "," : "", d);
		free(list);
		list = longer;
	}
	_cleanup_free_ char *manifest = hull_asprintf("{\"schemaVersion\":2,\"config\":{%s},\"layers\":[%s]}", of_config,
						      list);
	_cleanup_free_ char *of_manifest = put_blob(p, layout, "application/vnd.oci.image.manifest.v1+json", manifest,
						    strlen(manifest));
	_cleanup_free_ char *index = hull_asprintf("{\"schemaVersion\":2,\"manifests\":[{%s}]}", of_manifest);
	_cleanup_free_ char *index_name = hull_asprintf("%s/index.json", layout);
	_cleanup_free_ char *version_name = hull_asprintf("%s/oci-layout", layout);
	put_text(p, index_name, index);
	put_text(p, version_name, "{\"imageLayoutVersion\":\"1.0.0\"}");
}

static struct {
	struct archive *archive;
	size_t skip;              /* of each path: up to the directory's own name */
} taring;

static int tar_file(const char *path, const struct stat *st, int type, struct FTW *ftw HULL_UNUSED)
{
	if (type != FTW_F || strlen(path) <= taring.skip)
		return 0;
	_cleanup_free_ char *data = NULL;
	size_t len;
	struct archive_entry *e = archive_entry_new();
	assert_return_code(hull_file_read(AT_FDCWD, path, TAR_ROOM, &data, &len), 0);
	archive_entry_set_pathname(e, path + taring.skip);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, st->st_mode & 0777);
	archive_entry_set_size(e, (la_int64_t)len);
	assert_int_equal(archive_write_header(taring.archive, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(taring.archive, data, len), len);
	archive_entry_free(e);
	return 0;
}

void tar_directory(const struct place *p, const char *from, const char *to, const char *filter)
{
	_cleanup_free_ char *root = hull_asprintf("%s/%s", p->base, from);
	_cleanup_free_ char *data = hull_calloc(TAR_ROOM, 1);
	size_t used;
	taring.archive = start(filter, archive_write_set_format_pax_restricted, data, TAR_ROOM, &used);
	taring.skip = strlen(root) + 1;
	assert_return_code(nftw(root, tar_file, 8, FTW_PHYS), errno);
	assert_int_equal(archive_write_close(taring.archive), ARCHIVE_OK);
	archive_write_free(taring.archive);
	put_bytes(p, to, data, used);
}
