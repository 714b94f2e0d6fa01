/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cgroup_convert.h"
#include "oci/cgroup_values.h"

static const char *value_of(const struct hull_cgroup_settings *settings, const char *file)
{
	const char *value = NULL;
	for (size_t i = 0; i < settings->n; i++) {
		if (strcmp(settings->v[i].file, file) == 0)
			value = settings->v[i].value;
	}
	return value;
}

static void expect(const struct hull_oci_resources *r, const char *file, const char *value)
{
	struct hull_cgroup_settings settings;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_cgroup_convert(r, &settings, &err), 0);
	if (value)
		assert_string_equal(value_of(&settings, file), value);
	else
		assert_null(value_of(&settings, file));
	hull_cgroup_settings_clear(&settings);
}

static void weights_cover_their_ranges(void **state)
{
	assert_int_equal(hull_oci_shares_to_weight(0), 0);
	assert_int_equal(hull_oci_shares_to_weight(2), 1);
	assert_int_equal(hull_oci_shares_to_weight(1024), 39);
	assert_int_equal(hull_oci_shares_to_weight(262144), 10000);
	assert_int_equal(hull_oci_shares_to_weight(UINT64_MAX), 10000);
	assert_int_equal(hull_oci_blkio_to_io_weight(0), 0);
	assert_int_equal(hull_oci_blkio_to_io_weight(10), 1);
	assert_int_equal(hull_oci_blkio_to_io_weight(1000), 10000);
}

static void swap_is_what_exceeds_memory(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	int64_t swap = 0;
	assert_int_equal(hull_cgroup_swap(200, 150, &swap, &err), 1);
	assert_int_equal(swap, 50);
	assert_int_equal(hull_cgroup_swap(150, 150, &swap, &err), 1);
	assert_int_equal(swap, 0);
	assert_int_equal(hull_cgroup_swap(-1, 150, &swap, &err), 1);
	assert_int_equal(swap, -1);
	assert_int_equal(hull_cgroup_swap(0, -1, &swap, &err), 1);
	assert_int_equal(swap, -1);
	assert_int_equal(hull_cgroup_swap(0, 150, &swap, &err), 0);
	assert_int_equal(hull_cgroup_swap(100, 150, &swap, &err), -EINVAL);
	assert_non_null(strstr(err.message, "memory+swap limit should be >= memory limit"));
	assert_int_equal(hull_cgroup_swap(100, 0, &swap, &err), -EINVAL);
}

static void nothing_set_writes_nothing(void **state)
{
	const struct hull_oci_resources none = { 0 };
	struct hull_cgroup_settings settings;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_cgroup_convert(&none, &settings, &err), 0);
	assert_int_equal(settings.n, 0);
	hull_cgroup_settings_clear(&settings);
}

static void cpu_quota_and_period(void **state)
{
	struct hull_oci_resources r = { .has_cpu_quota = true, .cpu_quota = 50000 };
	expect(&r, "cpu.max", "50000 100000");
	r.has_cpu_period = true;
	r.cpu_period = 20000;
	expect(&r, "cpu.max", "50000 20000");
	r.cpu_quota = -1;
	expect(&r, "cpu.max", "max 20000");
	r.has_cpu_quota = false;
	expect(&r, "cpu.max", "max 20000");
	r.has_cpu_period = false;
	expect(&r, "cpu.max", NULL);
}

static void an_idle_group_has_no_weight(void **state)
{
	struct hull_oci_resources r = { .has_cpu_shares = true, .cpu_shares = 1024 };
	expect(&r, "cpu.weight", "39");
	r.has_cpu_idle = true;
	r.cpu_idle = 1;
	expect(&r, "cpu.idle", "1");
	expect(&r, "cpu.weight", NULL);
}

static void memory_limits(void **state)
{
	struct hull_oci_resources r = {
		.has_memory_limit = true, .memory_limit = 1 << 20,
		.has_memory_reservation = true, .memory_reservation = 1 << 19,
		.has_memory_swap = true, .memory_swap = 3 << 20,
	};
	expect(&r, "memory.max", "1048576");
	expect(&r, "memory.low", "524288");
	expect(&r, "memory.swap.max", "2097152");
	r.memory_limit = -1;
	r.has_memory_swap = false;
	expect(&r, "memory.max", "max");
	expect(&r, "memory.swap.max", "max");
}

static void throttles_are_the_hosts_and_huge_pages_the_guests(void **state)
{
	struct hull_oci_throttle read_bps = { 8, 16, 1000 };
	struct hull_oci_hugepage_limit huge = { .page_size = (char *)"2MB", .limit = 4096 };
	const struct hull_oci_resources r = { .read_bps = &read_bps, .n_read_bps = 1, .hugepages = &huge, .n_hugepages = 1 };
	expect(&r, "io.max", NULL);
	expect(&r, "hugetlb.2MB.max", "4096");
}

static void unified_names_are_files_of_the_group(void **state)
{
	struct hull_oci_kv kv = { (char *)"memory.high", (char *)"1000" };
	const struct hull_oci_resources r = { .unified = { .v = &kv, .n = 1 } };
	struct hull_cgroup_settings settings;
	struct hull_error err = HULL_ERROR_INIT;
	expect(&r, "memory.high", "1000");

	static const char *const bad[] = { "../x.y", "memory", "a/b.c", "cgroup.procs", "cgroup.subtree_control" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kv.key = (char *)bad[i];
		assert_int_equal(hull_cgroup_convert(&r, &settings, &err), -EINVAL);
		assert_non_null(strstr(err.message, "unified"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_cover_their_ranges),
		cmocka_unit_test(swap_is_what_exceeds_memory),
		cmocka_unit_test(nothing_set_writes_nothing),
		cmocka_unit_test(cpu_quota_and_period),
		cmocka_unit_test(an_idle_group_has_no_weight),
		cmocka_unit_test(memory_limits),
		cmocka_unit_test(throttles_are_the_hosts_and_huge_pages_the_guests),
		cmocka_unit_test(unified_names_are_files_of_the_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
