/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a container's program and home, the order of modules, lists of CPUs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/affinity.h"
#include "agent/lookup.h"
#include "agent/modules.h"
#include "base/cleanup.h"
#include "base/file.h"

static char dir[64];

static void put(const char *name, mode_t mode)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/hull-lookup-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	char path[128];
	snprintf(path, sizeof(path), "%s/second", dir);
	mkdir(path, 0755);
	put("second/tool", 0755);
	put("plain", 0644);
	put("second/plain", 0755);
	return 0;
}

static int remove_dir(void **state)
{
	return hull_rmtree(AT_FDCWD, dir);
}

static void fails_with(const char *file, int code, const char *text)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv env = { 0 };
	hull_strv_addf(&env, "PATH=%s:%s/second", dir, dir);
	assert_null(hull_lookup_executable(file, &env, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.message, text);
	hull_strv_clear(&env);
}

static void found_in_path(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv env = { 0 };
	char expected[128];
	hull_strv_add(&env, "PATH=/nowhere");
	hull_strv_addf(&env, "PATH=/nonexistent::%s:%s/second", dir, dir);
	snprintf(expected, sizeof(expected), "%s/second/tool", dir);
	_cleanup_free_ char *path = hull_lookup_executable("tool", &env, &err);
	assert_string_equal(path, expected);

	/* A file that cannot be executed does not end the search. */
	snprintf(expected, sizeof(expected), "%s/second/plain", dir);
	_cleanup_free_ char *other = hull_lookup_executable("plain", &env, &err);
	assert_string_equal(other, expected);
	_cleanup_free_ char *absolute = hull_lookup_executable(expected, &env, &err);
	assert_string_equal(absolute, expected);
	hull_strv_clear(&env);
}

static void errors_are_runcs(void **state)
{
	char path[128], text[256];
	fails_with("foo", ENOENT, "exec: \"foo\": executable file not found in $PATH");
	fails_with("", ENOENT, "exec: \"\": executable file not found in $PATH");
	fails_with("/x/y", ENOENT, "exec: \"/x/y\": stat /x/y: no such file or directory");
	snprintf(path, sizeof(path), "%s/plain", dir);
	snprintf(text, sizeof(text), "exec: \"%s\": permission denied", path);
	fails_with(path, EACCES, text);
	snprintf(text, sizeof(text), "exec: \"%s\": is a directory", dir);
	fails_with(dir, EACCES, text);
	snprintf(path, sizeof(path), "%s/plain/x", dir);
	snprintf(text, sizeof(text), "exec: \"%s\": stat %s: not a directory", path, path);
	fails_with(path, ENOTDIR, text);
}

static void no_path_finds_nothing(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv env = { 0 };
	assert_null(hull_lookup_executable("sh", &env, &err));
	assert_int_equal(err.code, ENOENT);
}

static void home_comes_from_passwd(void **state)
{
	const char *passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:::::::\nu:x:1000:1000::/home/u:/bin/sh\nv:x:1001:1001::/last";
	static const struct {
		unsigned uid;
		const char *home;
	} cases[] = { { 0, "/root" }, { 1000, "/home/u" }, { 1001, "/last" } };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *home = hull_lookup_home(passwd, cases[i].uid);
		assert_string_equal(home, cases[i].home);
	}
	assert_null(hull_lookup_home(passwd, 7));
	assert_null(hull_lookup_home("", 0));
}

static void module_order_is_read(void **state)
{
	char text[] = "boot virtio virtio.ko -\n\nboot virtio_pci virtio_pci.ko virtio,virtio_ring\nlate x x.ko";
	char *cursor = text;
	struct hull_module module;
	assert_int_equal(hull_module_parse(&cursor, &module), 1);
	assert_true(module.boot);
	assert_string_equal(module.name, "virtio");
	assert_string_equal(module.deps, "");
	assert_int_equal(hull_module_parse(&cursor, &module), 1);
	assert_string_equal(module.file, "virtio_pci.ko");
	assert_string_equal(module.deps, "virtio,virtio_ring");
	assert_int_equal(hull_module_parse(&cursor, &module), -EINVAL);
	assert_int_equal(hull_module_parse(&cursor, &module), 0);
}

static void module_options_are_found_by_name(void **state)
{
	static const char text[] = "loop max_loop=0\ndummy numdummies=0 x=\"a b\"\n";
	_cleanup_free_ char *a = hull_strdup(text), *b = hull_strdup(text), *c = hull_strdup(text), *d = hull_strdup("");
	assert_string_equal(hull_module_options(a, "loop"), "max_loop=0");
	assert_string_equal(hull_module_options(b, "dummy"), "numdummies=0 x=\"a b\"");
	assert_string_equal(hull_module_options(c, "loo"), "");
	assert_string_equal(hull_module_options(d, "loop"), "");
}

static void bad_module_lines_are_refused(void **state)
{
	static const char *const lines[] = { "boot a a.ko", "boot a a.ko - more", "soon a a.ko -", "boot a ../a.ko -", "boot" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(lines); i++) {
		_cleanup_free_ char *text = hull_strdup(lines[i]);
		char *cursor = text;
		struct hull_module module;
		assert_int_equal(hull_module_parse(&cursor, &module), -EINVAL);
	}
}

static void cpu_lists(void **state)
{
	cpu_set_t set;
	assert_int_equal(hull_affinity_parse("0-2,5", &set), 0);
	assert_int_equal(CPU_COUNT(&set), 4);
	assert_true(CPU_ISSET(5, &set));
	static const char *const bad[] = { "", "a", "1-", "3-1", "1,", "99999", "1 2", "-1" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(bad); i++)
		assert_int_equal(hull_affinity_parse(bad[i], &set), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_in_path),
		cmocka_unit_test(errors_are_runcs),
		cmocka_unit_test(no_path_finds_nothing),
		cmocka_unit_test(home_comes_from_passwd),
		cmocka_unit_test(module_order_is_read),
		cmocka_unit_test(module_options_are_found_by_name),
		cmocka_unit_test(bad_module_lines_are_refused),
		cmocka_unit_test(cpu_lists),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
