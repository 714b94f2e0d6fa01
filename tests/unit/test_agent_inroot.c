/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points are made inside a hostile root and nowhere else. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#include "agent/inroot.h"
#include "base/cleanup.h"
#include "base/file.h"

/* TOP/outside must stay as it is; TOP/root is the container's. */
static char top[64];
static int rootfd, topfd;

static int make_root(void **state)
{
	snprintf(top, sizeof(top), "/tmp/hull-inroot-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	topfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(topfd, "outside", 0755);
	mkdirat(topfd, "root", 0755);
	rootfd = openat(topfd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	close(rootfd);
	close(topfd);
	return hull_rmtree(AT_FDCWD, top);
}

static void is_at(int fd, int dirfd, const char *path)
{
	struct stat a, b;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstatat(dirfd, path, &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_dev, b.st_dev);
	close(fd);
}

static void nothing_outside(void)
{
	assert_int_equal(unlinkat(topfd, "outside", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(topfd, "outside", 0755), 0);
}

static void directories_and_files_are_made(void **state)
{
	struct stat st;
	is_at(hull_inroot_make(rootfd, "/a/b/c", true), rootfd, "a/b/c");
	is_at(hull_inroot_make(rootfd, "a//b/./d/", true), rootfd, "a/b/d");
	is_at(hull_inroot_make(rootfd, "/etc/hosts", false), rootfd, "etc/hosts");
	assert_int_equal(fstatat(rootfd, "etc/hosts", &st, 0), 0);
	assert_true(S_ISREG(st.st_mode));
	is_at(hull_inroot_make(rootfd, "/etc/hosts", false), rootfd, "etc/hosts");
	is_at(hull_inroot_make(rootfd, "/", true), rootfd, ".");
}

static void links_stay_inside(void **state)
{
	char absolute[128];
	snprintf(absolute, sizeof(absolute), "%s/outside", top);
	assert_int_equal(symlinkat("../../../outside", rootfd, "up"), 0);
	assert_int_equal(symlinkat(absolute, rootfd, "absolute"), 0);
	assert_int_equal(symlinkat("up/../up", rootfd, "twice"), 0);

	is_at(hull_inroot_make(rootfd, "/up/x", true), rootfd, "outside/x");
	is_at(hull_inroot_make(rootfd, "/twice/y", true), rootfd, "outside/y");
	int fd = hull_inroot_make(rootfd, "/absolute/z", false);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(faccessat(rootfd, absolute + 1, F_OK, 0), 0);
	nothing_outside();
}

static void dots_stay_inside(void **state)
{
	is_at(hull_inroot_make(rootfd, "/../../outside/q", true), rootfd, "outside/q");
	is_at(hull_inroot_make(rootfd, "/new/../../../other", true), rootfd, "other");
	nothing_outside();
}

static void loops_and_files_in_the_way_are_errors(void **state)
{
	assert_int_equal(symlinkat("loop2", rootfd, "loop"), 0);
	assert_int_equal(symlinkat("loop", rootfd, "loop2"), 0);
	assert_int_equal(hull_inroot_make(rootfd, "/loop/x", true), -ELOOP);
	close(openat(rootfd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(hull_inroot_make(rootfd, "/file/x", true), -ENOTDIR);
}

static void long_names_are_errors(void **state)
{
	char name[NAME_MAX + 8], path[PATH_MAX + 16];
	memset(name, 'n', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	assert_true(hull_inroot_make(rootfd, name, true) < 0);
	memset(path, 'p', sizeof(path) - 1);
	for (size_t i = 0; i < sizeof(path); i += 100)
		path[i] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_true(hull_inroot_make(rootfd, path, true) < 0);
}

static void the_parent_is_made(void **state)
{
	char name[NAME_MAX + 1];
	is_at(hull_inroot_make_parent(rootfd, "/dev/net/tun", name), rootfd, "dev/net");
	assert_string_equal(name, "tun");
	is_at(hull_inroot_make_parent(rootfd, "console/", name), rootfd, ".");
	assert_string_equal(name, "console");
	static const char *const bad[] = { "/", "", "/a/..", "/a/.", "//" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(bad); i++)
		assert_int_equal(hull_inroot_make_parent(rootfd, bad[i], name), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(directories_and_files_are_made, make_root, remove_root),
		cmocka_unit_test_setup_teardown(links_stay_inside, make_root, remove_root),
		cmocka_unit_test_setup_teardown(dots_stay_inside, make_root, remove_root),
		cmocka_unit_test_setup_teardown(loops_and_files_in_the_way_are_errors, make_root, remove_root),
		cmocka_unit_test_setup_teardown(long_names_are_errors, make_root, remove_root),
		cmocka_unit_test_setup_teardown(the_parent_is_made, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
