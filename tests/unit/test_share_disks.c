/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks are behind a share. The disk of this test's own directory stands for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "storage/share_disks.h"

/* A directory on a disk, and that disk; the test is skipped where there is none. */
static char directory[] = "/var/tmp";
static unsigned maj, min;

static void expect(char *mountinfo, size_t n, const char *other)
{
	struct hull_share_disks disks;
	hull_share_disks_find(mountinfo, "/run/p/share", &disks);
	assert_int_equal(disks.n, n);
	if (n > 0) {
		struct stat st;
		char path[64];
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", disks.v[0].major, disks.v[0].minor);
		assert_int_not_equal(stat(path, &st), 0);
		assert_int_equal(disks.v[0].major != 0, 1);
	}
	if (other)
		assert_string_equal(disks.other, other);
	else
		assert_null(disks.other);
	hull_share_disks_clear(&disks);
	free(mountinfo);
}

static void a_file_system_counts_with_its_disk_once(void **state)
{
	(void)state;
	expect(hull_asprintf("40 1 %u:%u /a /run/p/share/c/rootfs rw shared:5 - ext4 /dev/x rw\n"
			     "41 1 %u:%u /b /run/p/share/:volumes/1 ro - ext4 /dev/x rw\n", maj, min, maj, min), 1, NULL);
}

static void an_overlay_counts_with_its_directories(void **state)
{
	(void)state;
	expect(hull_asprintf("40 1 0:50 / /run/p/share/c/rootfs rw - overlay overlay rw,lowerdir=%s:/no,upperdir=%s,workdir=/w\n",
			     directory, directory), 1, NULL);
	expect(hull_strdup("40 1 0:50 / /run/p/share/c/rootfs rw - overlay overlay rw,lowerdir=relative:/no\n"), 0, "/ (overlay)");
}

static void what_is_elsewhere_does_not(void **state)
{
	(void)state;
	expect(hull_asprintf("40 1 %u:%u / / rw - ext4 /dev/x rw\n41 1 %u:%u / /run/p/shareholder rw - ext4 /dev/x rw\n", maj, min, maj, min),
	       0, NULL);
}

static void memory_is_no_disk_and_a_network_is_told(void **state)
{
	(void)state;
	expect(hull_strdup("40 1 0:50 / /run/p/share rw - tmpfs hull-share rw\n"
			   "41 1 0:51 /with\\040space /run/p/share/:volumes/1 rw - nfs4 server:/x rw\n"), 0, "/with space (nfs4)");
}

static void lines_that_are_none_are_passed_over(void **state)
{
	(void)state;
	expect(hull_strdup("\n40\n40 1 8:1 / /run/p/share rw\n40 1 8:1 / /run/p/share rw - ext4\n - - - - - - - - - -\n"), 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_system_counts_with_its_disk_once), cmocka_unit_test(an_overlay_counts_with_its_directories),
		cmocka_unit_test(what_is_elsewhere_does_not), cmocka_unit_test(memory_is_no_disk_and_a_network_is_told),
		cmocka_unit_test(lines_that_are_none_are_passed_over),
	};
	char path[64];
	struct stat st;
	if (stat(directory, &st) < 0)
		return 77;
	maj = major(st.st_dev);
	min = minor(st.st_dev);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", maj, min);
	if (access(path, F_OK) < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
