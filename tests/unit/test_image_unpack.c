/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of an image become on the disk, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "image/path.h"
#include "image_make.h"

static void put_rootfs(struct place *p, const char *filter, const struct item *items)
{
	size_t len;
	_cleanup_free_ char *tar = make_tar(filter, items, &len);
	put_bytes(p, "in", tar, len);
}

static int unpack_layers(struct place *p, const struct item *const *layers, size_t n)
{
	put_layout(p, "layout", layers, n);
	return place_unpack(p, "layout", HULL_IMAGE_OCI_LAYOUT, NULL);
}

static void expect_layers(struct place *p, const struct item *const *layers, size_t n)
{
	if (unpack_layers(p, layers, n) < 0)
		fail_msg("%s", p->err.message);
}

static struct stat stat_of(const struct place *p, const char *path)
{
	_cleanup_free_ char *full = hull_asprintf("%s/%s", p->dest, path);
	struct stat st;
	assert_return_code(lstat(full, &st), errno);
	return st;
}

static void test_paths(void **state HULL_UNUSED)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "a", "a" }, { "./a//b/.", "a/b" }, { ".", "" }, { "./", "" }, { "a/", "a" }, { "..a/b..", "..a/b.." },
		{ "/a", NULL }, { "..", NULL }, { "a/../b", NULL }, { "a/..", NULL }, { "//", NULL },
	};
	static const struct { const char *link, *target, *out; } links[] = {
		{ "a/l", "../b/c", "b/c" }, { "l", "x", "x" }, { "a/b/l", "./../../c", "c" }, { "a/l", "..", "" },
		{ "l", "..", NULL }, { "a/l", "../../x", NULL }, { "a/l", "/x", NULL },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *out = NULL;
		assert_int_equal(hull_image_path_clean(cases[i].in, &out, NULL) == 0, cases[i].out != NULL);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
	for (size_t i = 0; i < HULL_ARRAY_SIZE(links); i++) {
		_cleanup_free_ char *out = NULL;
		assert_int_equal(hull_image_path_follow(links[i].link, links[i].target, &out) == 0, links[i].out != NULL);
		if (links[i].out)
			assert_string_equal(out, links[i].out);
	}
	char shown[HULL_IMAGE_SHOW_MAX];
	assert_string_equal(hull_image_path_show("a\x1b[0m\\\xff", shown), "a\\x1b[0m\\x5c\\xff");
	_cleanup_free_ char *wide = hull_calloc(5000, 1);
	memset(wide, 0xff, 4999);
	assert_int_equal(strlen(hull_image_path_show(wide, shown)), 200 * 4 + 3);
}

static void test_types_and_metadata(void **state)
{
	struct place *p = *state;
	static char long_name[300];
	memset(long_name, 'n', 200);
	memcpy(long_name + 200, "/m", 3);
	put_rootfs(p, "", ITEMS({ 'd', "./", NULL, 0711, 1, 2, 5 }, { 'd', "d", NULL, 0500, 3, 4, 1000 },
				{ 'f', "d/f", "text", 04755, 5, 6, 2000 }, { 'l', "d/l", "/etc/nowhere", 0, 7, 8, 3000 },
				{ 'h', "h", "d/f" }, { 'p', "fifo", NULL, 0622, 9, 10, 4000 },
				{ 'f', "no/parents/f", "x" }, { 'f', long_name, "long" },
				{ 'f', "twice", "first" }, { 'f', "twice", "second" },
				{ 'h', "twice", "twice" }, { 'd', "shut", NULL, 0001 }, { 'f', "shut/f", "in" }));
	if (place_unpack(p, "in", HULL_IMAGE_ROOTFS_TAR, NULL) < 0)
		fail_msg("%s", p->err.message);
	assert_true(place_has(p, "d/f", "text") && place_has(p, "h", "text") && place_has(p, "d/l", "/etc/nowhere"));
	assert_true(place_has(p, "no/parents/f", "x") && place_has(p, long_name, "long"));
	assert_true(place_has(p, "twice", "second") && place_has(p, "shut/f", "in"));
	assert_int_equal(stat_of(p, "d/f").st_ino, stat_of(p, "h").st_ino);
	assert_int_equal(stat_of(p, "d").st_mode, S_IFDIR | 0500);
	assert_int_equal(stat_of(p, "shut").st_mode, S_IFDIR | 0001);
	assert_int_equal(stat_of(p, "fifo").st_mode, S_IFIFO | 0622);
	assert_int_equal(stat_of(p, "no").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of(p, ".").st_mode, S_IFDIR | 0711);
	assert_int_equal(stat_of(p, ".").st_mtime, 5);
	assert_int_equal(stat_of(p, "d").st_mtime, 1000);
	assert_int_equal(stat_of(p, "d/f").st_mtime, 2000);
	assert_int_equal(stat_of(p, "d/l").st_mtime, 3000);
	if (geteuid() != 0)
		return;
	assert_int_equal(stat_of(p, "d/f").st_mode, S_IFREG | 04755);
	assert_int_equal(stat_of(p, "d").st_uid, 3);
	assert_int_equal(stat_of(p, "d/f").st_gid, 6);
	assert_int_equal(stat_of(p, "d/l").st_uid, 7);
	assert_int_equal(stat_of(p, "fifo").st_gid, 10);
	assert_int_equal(stat_of(p, ".").st_gid, 2);
}

/* As another user: no owners, and no set-user-ID that would be that user's own. */
static void test_not_root(void **state)
{
	struct place *p = *state;
	put_rootfs(p, "", ITEMS({ 'f', "f", "text", 06755, 5, 6, 2000 }, { 'd', "d", NULL, 0555, 7 },
				{ 'f', "d/g", "x" }));
	if (geteuid() != 0)
		skip();
	assert_return_code(chown(p->base, 65534, 65534), errno);
	assert_return_code(chown(p->dest, 65534, 65534), errno);
	pid_t pid = fork();
	if (pid == 0) {
		_cleanup_free_ char *in = hull_asprintf("%s/in", p->base);
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(hull_image_unpack(in, HULL_IMAGE_ROOTFS_TAR, NULL, p->dest, NULL, NULL, NULL, &p->config, NULL) != 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat_of(p, "f").st_mode, S_IFREG | 0755);
	assert_int_equal(stat_of(p, "f").st_uid, 65534);
	assert_int_equal(stat_of(p, "d").st_mode, S_IFDIR | 0555);
	assert_true(place_has(p, "d/g", "x"));
}

/* A member with attributes and a hole, which struct item does not describe. */
static char *make_special(size_t *ret_len, uint32_t uid_high)
{
	char *data = hull_calloc(1 << 20, 1);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 32 };

	archive_write_set_format_pax(a);
	assert_int_equal(archive_write_open_memory(a, data, 1 << 20, ret_len), ARCHIVE_OK);
	archive_entry_set_pathname(e, "special");
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0755);
	archive_entry_set_uid(e, (la_int64_t)uid_high << 32);
	archive_entry_set_size(e, 8 << 20);
	archive_entry_sparse_add_entry(e, 4 << 20, 4);
	archive_entry_xattr_add_entry(e, "user.colour", "blue", 4);
	archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
	archive_entry_xattr_add_entry(e, "security.capability", capability, sizeof(capability));
	archive_entry_xattr_add_entry(e, "security.hull", "x", 1);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	_cleanup_free_ char *zeros = hull_calloc(8 << 20, 1);
	memcpy(zeros + (4 << 20), "data", 4);
	assert_int_equal(archive_write_data(a, zeros, 8 << 20), 8 << 20);
	archive_entry_free(e);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return data;
}

static void test_attributes_and_holes(void **state)
{
	struct place *p = *state;
	char value[64];
	size_t len;
	_cleanup_free_ char *tar = make_special(&len, 0);
	put_bytes(p, "in", tar, len);
	if (place_unpack(p, "in", HULL_IMAGE_ROOTFS_TAR, NULL) < 0)
		fail_msg("%s", p->err.message);

	struct stat st = stat_of(p, "special");
	assert_int_equal(st.st_size, 8 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	_cleanup_free_ char *path = hull_asprintf("%s/special", p->dest);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, value, 6, (4 << 20) - 1), 6);
	assert_memory_equal(value, "\0data", 6);
	ssize_t n = fgetxattr(fd, "user.colour", value, sizeof(value));
	if (n >= 0 || errno != EOPNOTSUPP)
		assert_int_equal(n, 4);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "security.hull", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof(value)), geteuid() == 0 ? 20 : -1);

	_cleanup_free_ char *high = make_special(&len, 1);
	put_bytes(p, "in", high, len);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "special: the owner 4294967296:0 is out of range");
}

static void test_names_not_utf8(void **state)
{
	struct place *p = *state;
	put_rootfs(p, "", ITEMS({ 'f', "caf\xe9", "latin" }, { 'f', "caf\xc3\xa9", "utf8" }));
	assert_return_code(place_unpack(p, "in", HULL_IMAGE_ROOTFS_TAR, NULL), 0);
	assert_true(place_has(p, "caf\xe9", "latin") && place_has(p, "caf\xc3\xa9", "utf8"));
}

static void test_whiteouts(void **state)
{
	struct place *p = *state;
	const struct item *layers[] = {
		ITEMS({ 'f', "gone", "1" }, { 'f', "stays", "1" }, { 'd', "dir", NULL }, { 'f', "dir/a", "1" },
		      { 'd', "dir/sub", NULL }, { 'f', "dir/sub/x", "1" }, { 'f', "tree/a/b/c", "1" },
		      { 'f', "again", "1" }, { 'f', "merged/low", "1" }),
		ITEMS({ 'f', ".wh.gone", "" }, { 'f', ".wh.never", "" }, { 'f', "none/.wh.x", "" },
		      { 'f', ".wh.tree", "" }, { 'f', "again", "2" }, { 'f', ".wh.again", "" },
		      /* The opaque mark hides what is below, whatever its place in the archive. */
		      { 'f', "dir/b", "2" }, { 'f', "dir/sub/y", "2" }, { 'f', "dir/.wh..wh..opq", "" },
		      { 'f', "dir/c", "2" }, { 'f', "merged/high", "2" }, { 'f', ".wh.merged", "" },
		      { 'f', ".wh..wh.plnk", "" }),
		ITEMS({ 'f', "gone", "3" }, { 'f', "dir/.wh.c", "" }),
	};
	expect_layers(p, layers, 2);
	assert_false(place_has(p, "gone", NULL) || place_has(p, "tree", NULL) || place_has(p, "none", NULL));
	assert_false(place_has(p, "dir/a", NULL) || place_has(p, "dir/sub/x", NULL) || place_has(p, "merged/low", NULL));
	assert_true(place_has(p, "stays", "1") && place_has(p, "again", "2") && place_has(p, "merged/high", "2"));
	assert_true(place_has(p, "dir/b", "2") && place_has(p, "dir/c", "2") && place_has(p, "dir/sub/y", "2"));
	assert_false(place_has(p, ".wh.gone", NULL) || place_has(p, ".wh..wh.plnk", NULL) ||
		     place_has(p, "dir/.wh..wh..opq", NULL));
	expect_layers(p, layers, 3);
	assert_true(place_has(p, "gone", "3") && place_has(p, "dir/b", "2"));
	assert_false(place_has(p, "dir/c", NULL));
}

static void test_opaque_root(void **state)
{
	struct place *p = *state;
	const struct item *layers[] = {
		ITEMS({ 'f', "a/b", "1" }, { 'f', "c", "1" }),
		ITEMS({ 'f', ".wh..wh..opq", "" }, { 'f', "d", "2" }),
	};
	expect_layers(p, layers, 2);
	assert_true(place_has(p, "d", "2"));
	assert_false(place_has(p, "a", NULL) || place_has(p, "c", NULL));
}

static void test_types_replaced(void **state)
{
	struct place *p = *state;
	const struct item *layers[] = {
		ITEMS({ 'f', "file-dir", "1" }, { 'f', "dir-file/x", "1" }, { 'f', "dir-link/x", "1" },
		      { 'l', "link-dir", "kept" }, { 'l', "link-file", "kept/f" }, { 'f', "kept/f", "1" },
		      { 'f', "file-link", "1" }, { 'f', "shared", "1" }, { 'h', "shared2", "shared" },
		      { 'd', "mode", NULL, 0700 }, { 'f', "mode/x", "1" }),
		ITEMS({ 'd', "file-dir", NULL }, { 'f', "file-dir/y", "2" }, { 'f', "dir-file", "2" },
		      { 'l', "dir-link", "kept" }, { 'd', "link-dir", NULL }, { 'f', "link-dir/z", "2" },
		      { 'f', "link-file", "2" }, { 'l', "file-link", "kept" }, { 'f', "shared2", "2" },
		      { 'd', "mode", NULL, 0750, 0, 0, 77 }),
	};
	expect_layers(p, layers, 2);
	assert_true(place_has(p, "file-dir/y", "2") && place_has(p, "dir-file", "2"));
	assert_true(place_has(p, "dir-link", "kept") && place_has(p, "link-dir/z", "2"));
	assert_true(place_has(p, "link-file", "2") && place_has(p, "file-link", "kept"));
	assert_true(place_has(p, "kept/f", "1") && place_has(p, "shared", "1") && place_has(p, "shared2", "2"));
	assert_false(place_has(p, "kept/z", NULL));
	assert_true(place_has(p, "mode/x", "1"));
	assert_int_equal(stat_of(p, "mode").st_mode, S_IFDIR | 0750);
	assert_int_equal(stat_of(p, "mode").st_mtime, 77);
}

static void test_links_as_parents(void **state)
{
	struct place *p = *state;
	const struct item *layers[] = {
		ITEMS({ 'f', "usr/bin/sh", "1" }, { 'l', "bin", "usr/bin" }, { 'l', "abs", "/usr" },
		      { 'l', "up", "../../../../../.." }, { 'l', "host", "/tmp" }, { 'd', "tmp", NULL },
		      { 'f', "usr/bin/old", "1" }),
		ITEMS({ 'f', "bin/ls", "2" }, { 'f', "abs/lib/x", "2" }, { 'f', "up/hull-escaped", "2" },
		      { 'f', "host/hull-escaped", "2" }, { 'h', "bin/sh2", "bin/sh" }, { 'f', "bin/.wh.old", "" }),
	};
	expect_layers(p, layers, 2);
	assert_true(place_has(p, "bin", "usr/bin") && place_has(p, "usr/bin/ls", "2") && place_has(p, "usr/lib/x", "2"));
	assert_true(place_has(p, "hull-escaped", "2") && place_has(p, "tmp/hull-escaped", "2"));
	assert_true(place_has(p, "usr/bin/sh2", "1"));
	assert_false(place_has(p, "usr/bin/old", NULL));
	assert_int_equal(access("/tmp/hull-escaped", F_OK), -1);

	/* The last component is never followed: a link to the canary is replaced, not written through. */
	_cleanup_free_ char *canary = hull_asprintf("%s/canary/file", p->base);
	const struct item *through[] = {
		ITEMS({ 'l', "a", "../canary/file" }, { 'l', "b", canary }, { 'l', "c", canary }),
		ITEMS({ 'f', "a", "2" }, { 'f', "b", "2" }, { 'h', "d", "c" }),
	};
	expect_layers(p, through, 2);
	assert_true(place_has(p, "a", "2") && place_has(p, "b", "2") && place_has(p, "d", canary));
}

static void test_hostile(void **state)
{
	static const struct {
		const char *message;
		struct item items[4];
	} cases[] = {
		{ "/hull-escaped: absolute names", { { 'f', "/hull-escaped", "x" } } },
		{ "../hull-escaped: \"..\"", { { 'f', "../hull-escaped", "x" } } },
		{ "a/../../hull-escaped: \"..\"", { { 'f', "a/../../hull-escaped", "x" } } },
		{ "h: hard link to: /etc/passwd: absolute", { { 'h', "h", "/etc/passwd" } } },
		{ "h: hard link to: ../canary/file: \"..\"", { { 'h', "h", "../canary/file" } } },
		{ "h: hard link to l/canary/file: No such file", { { 'l', "l", "../.." }, { 'h', "h", "l/canary/file" } } },
		{ "h: hard link to nowhere", { { 'h', "h", "nowhere" } } },
		{ "h: hard link to d: Is a directory", { { 'd', "d", NULL }, { 'h', "h", "d" } } },
		{ "h: a hard link to the root", { { 'h', "h", "./" } } },
		{ "dev/null: refused: device nodes", { { 'c', "dev/null", NULL } } },
		{ "sda: refused: device nodes", { { 'b', "sda", NULL } } },
		{ "a/x: find or make the directory: Not a directory", { { 'f', "a", "" }, { 'f', "a/x", "" } } },
		{ "a/x: find or make the directory: Too many", { { 'l', "a", "a" }, { 'f', "a/x", "" } } },
		{ "a/x: find or make the directory: No such", { { 'l', "a", "none" }, { 'f', "a/x", "" } } },
		{ ".wh.: refused: a whiteout without", { { 'f', ".wh.", "" } } },
		{ ".wh...: refused: a whiteout without", { { 'f', "d/x", "" }, { 'f', "d/.wh...", "" } } },
		{ ".wh..: refused: a whiteout without", { { 'f', "d/x", "" }, { 'f', "d/.wh..", "" } } },
		{ "refused: something inside of a whiteout", { { 'f', ".wh.a/b", "" } } },
		{ "the root is not a directory", { { 'l', ".", "x" } } },
		{ "a\\x1b[2J: refused", { { 'c', "a\x1b[2J", NULL } } },
	};
	struct place *p = *state;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		put_rootfs(p, "", cases[i].items);
		place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, cases[i].message);
		const struct item *layers[] = { ITEMS({ 'f', "ok", "1" }), cases[i].items };
		assert_true(unpack_layers(p, layers, 2) < 0);
		assert_non_null(strstr(p->err.message, "layer 2 of 2: "));
	}
}

static void test_too_deep(void **state)
{
	struct place *p = *state;
	static char deep[601], long_part[300];
	struct item items[6] = { { 'f', deep, "" } };
	for (size_t i = 0; i + 1 < sizeof(deep); i++)
		deep[i] = i % 2 ? '/' : 'd';
	put_rootfs(p, "", items);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "too many components");

	/* Links make longer paths of short ones. */
	deep[400] = '\0';
	items[0].type = 'd';
	items[1] = (struct item){ 'l', "link", deep };
	static char second[500];
	snprintf(second, sizeof(second), "link/%.300s", deep);
	items[2] = (struct item){ 'f', second, "" };
	items[3] = (struct item){ .type = 0 };
	put_rootfs(p, "", items);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "");
	items[3] = (struct item){ 'l', "link2", second };
	memcpy(second + 5 + 200, "", 1);
	items[2].type = 'd';
	static char third[32] = "link2/a";
	items[4] = (struct item){ 'f', third, "" };
	put_rootfs(p, "", items);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "File name too long");

	memset(long_part, 'x', 256);
	items[0] = (struct item){ 'f', long_part, "" };
	items[1].type = 0;
	put_rootfs(p, "", items);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "a component of the name is too long");
}

/* Unpacks base/in with these limits and expects `message`; NULL: success. */
static void with_limits(struct place *p, struct hull_image_limits limits, const char *message)
{
	_cleanup_free_ char *in = hull_asprintf("%s/in", p->base);
	place_reset(p);
	int r = hull_image_unpack(in, HULL_IMAGE_ROOTFS_TAR, NULL, p->dest, &limits, NULL, NULL, &p->config, &p->err);
	if ((r == 0) != (message == NULL) || (message && !strstr(p->err.message, message)))
		fail_msg("expected \"%s\", got: %s", message ? message : "success", p->err.message);
}

static void test_bombs(void **state)
{
	struct place *p = *state;
	const struct hull_image_limits limits = { .bytes_max = 1 << 20, .entries_max = 3, .ratio_max = 100 };
	static char text[600 * 1024];
	memset(text, 'a', sizeof(text) - 1);

	put_rootfs(p, "", ITEMS({ 'f', "a", "1" }, { 'f', "b", "2" }, { 'f', "c", "3" }));
	with_limits(p, limits, NULL);
	put_rootfs(p, "", ITEMS({ 'f', "a", "1" }, { 'f', "b", "2" }, { 'f', "c", "3" }, { 'f', "d", "4" }));
	with_limits(p, limits, "more than 3 files");
	put_rootfs(p, "gzip", ITEMS({ 'f', "a", text }));
	with_limits(p, limits, NULL);
	put_rootfs(p, "gzip", ITEMS({ 'f', "a", text }, { 'f', "b", text }));
	with_limits(p, limits, "more than 1.0 MiB");

	/* The expansion counts once the archive is not small any more. */
	const struct hull_image_limits by_ratio = { .ratio_max = 100 };
	static char big[30 * 1024 * 1024];
	memset(big, 'a', sizeof(big) - 1);
	struct item five[] = { { 'f', "a", big }, { 'f', "b", big }, { 'f', "c", big }, { 'f', "d", big }, { .type = 0 } };
	static const char *const filters[] = { "gzip", "zstd", "xz" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(filters); i++) {
		put_rootfs(p, filters[i], five);
		with_limits(p, by_ratio, "grows more than 100-fold");
	}
	five[2].type = 0;
	put_rootfs(p, "gzip", five);
	with_limits(p, by_ratio, NULL);

	put_rootfs(p, "gzip gzip", ITEMS({ 'f', "a", "1" }));
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "compressed more than once");
}

/* Writes the header of a member into `raw`, for what the writer of libarchive does not make. */
static void raw_header(char *raw, char type, size_t size)
{
	struct { char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, rest[355]; } h = {
		.name = "member", .mode = "0000644", .uid = "0000000", .gid = "0000000", .mtime = "00000000000",
		.sum = { ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' }, .type = type,
	};
	unsigned sum = 0;
	snprintf(h.size, sizeof(h.size), "%011zo", size);
	snprintf(h.rest, sizeof(h.rest), "%s", type == '2' ? "target" : "");
	memcpy(h.rest + 100, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((unsigned char *)&h)[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	memcpy(raw, &h, sizeof(h));
}

/* Names in pax headers are UTF-8 by the standard, but Go and GNU tar write there what they have. */
static void test_pax_names(void **state)
{
	struct place *p = *state;
	static const char records[] = "12 path=a/\xe9\n" "17 linkpath=../\xe8\n";
	static char raw[512 * 5];
	raw_header(raw, 'x', sizeof(records) - 1);
	memcpy(raw + 512, records, sizeof(records) - 1);
	raw_header(raw + 1024, '2', 0);
	put_bytes(p, "in", raw, sizeof(raw));
	if (place_unpack(p, "in", HULL_IMAGE_ROOTFS_TAR, NULL) < 0)
		fail_msg("%s", p->err.message);
	assert_true(place_has(p, "a/\xe9", "../\xe8"));
}

/* A sparse file whose map, which libarchive keeps in memory, is the bomb. */
static void test_header_bomb(void **state)
{
	struct place *p = *state;
	static const char keys[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.name=sparse\n"
				   "27 GNU.sparse.realsize=100\n";
	const size_t map = 40 << 20, total = 512 * 3 + map + 1024;
	_cleanup_free_ char *raw = hull_calloc(total, 1);
	raw_header(raw, 'x', sizeof(keys) - 1);
	memcpy(raw + 512, keys, sizeof(keys) - 1);
	raw_header(raw + 1024, '0', map);
	size_t at = 1536 + (size_t)snprintf(raw + 1536, 32, "9000000\n");
	for (; at + 4 <= 1536 + map; at += 4)
		memcpy(raw + at, "0\n0\n", 4);
	size_t len;
	_cleanup_free_ char *packed = make_compressed("zstd", raw, total, &len);
	put_bytes(p, "in", packed, len);
	place_refuse(p, "in", HULL_IMAGE_ROOTFS_TAR, "the header of a member is larger than 8.0 MiB");
}

/* Cut anywhere, an archive is refused, or it was only padding that is missing and all is there. */
static void test_truncated(void **state)
{
	static const char *const filters[] = { "", "gzip", "zstd", "xz" };
	struct place *p = *state;
	static char text[3000];
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		text[i] = (char)('a' + (i * i + i / 7) % 26);
	for (size_t f = 0; f < HULL_ARRAY_SIZE(filters); f++) {
		size_t len, refused = 0, tried = 0;
		_cleanup_free_ char *tar = make_tar(filters[f], ITEMS({ 'd', "d", NULL }, { 'f', "d/a", text },
								      { 'f', "d/b", "end" }), &len);
		for (size_t cut = 0; cut < len; cut += len > 1000 ? 97 : 7, tried++) {
			put_bytes(p, "in", tar, cut);
			if (place_unpack(p, "in", HULL_IMAGE_ROOTFS_TAR, NULL) == 0) {
				assert_true(place_has(p, "d/a", text) && place_has(p, "d/b", "end"));
				assert_int_equal(stat_of(p, "d").st_mtime, 0);
			} else {
				refused++;
			}
		}
		assert_true(refused + 24 > tried && refused * 2 > tried);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_setup, place_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		TEST(test_types_and_metadata),
		TEST(test_not_root),
		TEST(test_attributes_and_holes),
		TEST(test_names_not_utf8),
		TEST(test_whiteouts),
		TEST(test_opaque_root),
		TEST(test_types_replaced),
		TEST(test_links_as_parents),
		TEST(test_hostile),
		TEST(test_too_deep),
		TEST(test_bombs),
		TEST(test_pax_names),
		TEST(test_header_bomb),
		TEST(test_truncated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
