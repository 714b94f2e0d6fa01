/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's control group lies on the host, how it comes and goes, and what is limited in it. */
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
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "resources/hostgroup.h"

#define V2_MOUNT "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS \
	"24 20 0:21 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" \
	"25 24 0:22 / /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory\n" \
	"26 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n" \
	"27 24 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" \
	"28 24 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define V1_SELF "11:memory:/own/part\n4:cpu,cpuacct:/own\n1:name=systemd:/init.scope\n0::/init.scope\n"

static void expect(const char *path, const char *mounts, const char *self, const char *const *want)
{
	struct hull_hostgroup group;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_hostgroup_find(path, "web", mounts, self, &group, &err), 0);
	size_t n = 0;
	for (; want[n]; n++) {
		assert_true(n < group.n);
		assert_string_equal(group.v[n].path, want[n]);
		assert_int_equal(strncmp(group.v[n].path, group.v[n].mount, strlen(group.v[n].mount)), 0);
	}
	assert_int_equal(group.n, n);
	hull_hostgroup_clear(&group);
}

static void absolute_paths_start_at_the_roots(void **state)
{
	expect("/pods/one", V1_MOUNTS, V1_SELF, (const char *const[]){ "/sys/fs/cgroup/memory/pods/one",
	       "/sys/fs/cgroup/cpu,cpuacct/pods/one", "/sys/fs/cgroup/systemd/pods/one", NULL });
	expect("/pods/one", V2_MOUNT, "0::/user.slice\n", (const char *const[]){ "/sys/fs/cgroup/pods/one", NULL });
}

static void relative_paths_start_at_the_callers_group(void **state)
{
	expect("one", V1_MOUNTS, V1_SELF, (const char *const[]){ "/sys/fs/cgroup/memory/own/part/one",
	       "/sys/fs/cgroup/cpu,cpuacct/own/one", "/sys/fs/cgroup/systemd/init.scope/one", NULL });
	/* On v2 beside it: it has processes. */
	expect("one", V2_MOUNT, "0::/user.slice/a.scope\n", (const char *const[]){ "/sys/fs/cgroup/user.slice/one", NULL });
	expect(NULL, V2_MOUNT, "0::/user.slice/a.scope\n", (const char *const[]){ "/sys/fs/cgroup/user.slice/hull-web", NULL });
	expect("", V2_MOUNT, "0::/\n", (const char *const[]){ "/sys/fs/cgroup/hull-web", NULL });
}

static void a_path_does_not_leave_its_hierarchy(void **state)
{
	struct hull_hostgroup group;
	struct hull_error err = HULL_ERROR_INIT;
	expect("/../../a/./b//../c", V2_MOUNT, "0::/\n", (const char *const[]){ "/sys/fs/cgroup/a/c", NULL });
	expect("../../etc", V2_MOUNT, "0::/u/s\n", (const char *const[]){ "/sys/fs/cgroup/u/etc", NULL });
	static const char *const roots[] = { "/", "//", "/a/..", "..", "." };
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		assert_int_equal(hull_hostgroup_find(roots[i], "web", V2_MOUNT, "0::/\n", &group, &err), -EINVAL);
		assert_non_null(strstr(err.message, "linux.cgroupsPath"));
	}
}

static void odd_hosts(void **state)
{
	struct hull_hostgroup group;
	struct hull_error err = HULL_ERROR_INIT;
	/* In a container: the mount shows a part of the hierarchy. */
	expect("x", "30 24 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abc/init\n",
	       (const char *const[]){ "/sys/fs/cgroup/x", NULL });
	/* Blanks in a mount point. */
	expect("/x", "30 24 0:26 / /a\\040b rw - cgroup2 cgroup rw\n", "0::/\n", (const char *const[]){ "/a b/x", NULL });
	/* v2 with a named hierarchy beside it is v2. */
	expect("/x", V2_MOUNT "27 24 0:24 / /sys/fs/cgroup/e rw - cgroup cgroup rw,name=elogind\n", "1:name=elogind:/\n0::/\n",
	       (const char *const[]){ "/sys/fs/cgroup/x", NULL });
	assert_int_equal(hull_hostgroup_find("/x", "web", "", V1_SELF, &group, &err), -ENOENT);
	assert_int_equal(hull_hostgroup_find("/x", "web", V1_MOUNTS "garbage\n1 2 - x\n", "garbage\n:\n1\n", &group, &err), -ENOENT);
}

/* ---- coming and going, in a directory that stands for a hierarchy */

static struct hull_hostgroup in_dir(const char *mount, const char *path)
{
	struct hull_hostgroup g = { .v = hull_new(struct hull_hostgroup_dir, 1), .n = 1 };
	g.v[0].controllers = hull_strdup("memory");
	g.v[0].mount = hull_strdup(mount);
	g.v[0].path = hull_asprintf("%s/%s", mount, path);
	return g;
}

static bool there(const char *mount, const char *path)
{
	char *p = hull_asprintf("%s/%s", mount, path);
	bool is = access(p, F_OK) == 0;
	free(p);
	return is;
}

static void only_what_hull_made_goes(void **state)
{
	char mount[] = "/dev/shm/hull-test-XXXXXX";
	struct hull_error err = HULL_ERROR_INIT;
	assert_non_null(mkdtemp(mount));
	if (setxattr(mount, "trusted.test", "1", 1, 0) < 0) {
		rmdir(mount);
		skip();
	}
	char *foreign = hull_asprintf("%s/engine", mount), *taken = hull_asprintf("%s/engine/taken", mount);
	mkdir(foreign, 0755);
	mkdir(taken, 0755);
	struct hull_hostgroup a = in_dir(mount, "engine/own/a"), b = in_dir(mount, "engine/own/b"), c = in_dir(mount, "engine/taken");

	assert_int_equal(hull_hostgroup_make(&a, &err), 0);
	assert_int_equal(hull_hostgroup_make(&b, &err), 0);
	assert_int_equal(hull_hostgroup_make(&c, &err), 0);
	assert_int_equal(hull_hostgroup_remove(&a, &err), 0);
	assert_false(there(mount, "engine/own/a"));
	assert_true(there(mount, "engine/own/b"));
	/* The last one takes the parent along that the first one made. */
	assert_int_equal(hull_hostgroup_remove(&b, &err), 0);
	assert_false(there(mount, "engine/own"));
	assert_true(there(mount, "engine"));
	assert_int_equal(hull_hostgroup_remove(&b, &err), 0);
	assert_int_equal(hull_hostgroup_remove(&c, &err), 0);
	assert_true(there(mount, "engine/taken"));

	/* Killed between making and marking: what was not there before. */
	assert_int_equal(hull_hostgroup_make(&a, &err), 0);
	assert_int_equal(removexattr(a.v[0].path, "trusted.hull.made"), 0);
	assert_int_equal(hull_hostgroup_remove(&a, &err), 0);
	assert_true(there(mount, "engine/own/a"));
	a.v[0].there = strlen(foreign);
	assert_int_equal(hull_hostgroup_remove(&a, &err), 0);
	assert_false(there(mount, "engine/own"));
	assert_true(there(mount, "engine"));

	rmdir(taken);
	rmdir(foreign);
	rmdir(mount);
	free(foreign);
	free(taken);
	hull_hostgroup_clear(&a);
	hull_hostgroup_clear(&b);
	hull_hostgroup_clear(&c);
}

/* ---- limits */

/* The value that is written last. */
static const char *value_of(const struct hull_hostgroup_settings *s, const char *file)
{
	const char *value = NULL;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].file, file) == 0)
			value = s->v[i].value;
	return value;
}

static void check(const struct hull_oci_resources *r, bool unified, const char *file, const char *want)
{
	const struct hull_hostgroup_vm vm = { .memory_bytes = 1000, .overhead_bytes = 200 };
	struct hull_hostgroup_settings s;
	hull_hostgroup_convert(r, &vm, unified, &s);
	const char *value = value_of(&s, file);
	if (want) {
		assert_non_null(value);
		assert_string_equal(value, want);
	} else {
		assert_null(value);
	}
	hull_hostgroup_settings_clear(&s);
}

static void memory_is_that_of_the_vm(void **state)
{
	struct hull_oci_resources r = { .has_memory_limit = true, .memory_limit = 64, .has_memory_swap = true, .memory_swap = 128 };
	check(&r, false, "memory.limit_in_bytes", "1200");
	check(&r, true, "memory.max", "1200");
	check(&r, false, "memory.memsw.limit_in_bytes", NULL);
	check(&r, true, "memory.swap.max", NULL);
	r.memory_limit = -1;
	check(&r, false, "memory.limit_in_bytes", "-1");
	check(&r, true, "memory.max", "max");
}

static void cpu_leaves_room_for_the_vm(void **state)
{
	struct hull_oci_resources r = { .has_cpu_quota = true, .cpu_quota = 20000, .has_cpu_shares = true, .cpu_shares = 1024 };
	check(&r, false, "cpu.cfs_quota_us", "45000");
	check(&r, false, "cpu.cfs_period_us", "100000");
	check(&r, false, "cpu.shares", "1024");
	check(&r, true, "cpu.max", "45000 100000");
	check(&r, true, "cpu.weight", "39");
	r.has_cpu_period = true;
	r.cpu_period = 50000;
	check(&r, true, "cpu.max", "32500 50000");
	r.cpu_quota = -1;
	check(&r, false, "cpu.cfs_quota_us", "-1");
	check(&r, true, "cpu.max", "max 50000");
}

static void pids_leave_room_for_threads(void **state)
{
	struct hull_oci_resources r = { .has_pids_limit = true, .pids_limit = 10 };
	check(&r, false, "pids.max", "522");
	r.pids_limit = -1;
	check(&r, true, "pids.max", "max");
	r.pids_limit = INT64_MAX;
	check(&r, true, "pids.max", "max");
}

static void throttles_name_the_hosts_devices(void **state)
{
	struct hull_oci_throttle a = { 8, 16, 1000 }, b = { 253, 0, 0 };
	const struct hull_oci_resources r = { .read_bps = &a, .n_read_bps = 1, .write_iops = &b, .n_write_iops = 1,
					      .has_blkio_weight = true, .blkio_weight = 500 };
	check(&r, false, "blkio.throttle.read_bps_device", "8:16 1000");
	check(&r, false, "blkio.throttle.write_iops_device", "253:0 0");
	check(&r, true, "io.max", "253:0 wiops=max");
	check(&r, false, "blkio.weight", "500");
	check(&r, true, "io.weight", "4950");
}

static void what_means_the_guest_stays_there(void **state)
{
	struct hull_oci_device_rule rule = { .type = 'a', .access = 7 };
	const struct hull_oci_resources r = { .devices = &rule, .n_devices = 1, .cpu_cpus = (char *)"0", .has_cpu_idle = true,
					      .cpu_idle = 1, .has_memory_swap = true, .memory_swap = 5 };
	const struct hull_hostgroup_vm vm = { 0 };
	struct hull_hostgroup_settings s;
	hull_hostgroup_convert(&r, &vm, false, &s);
	assert_int_equal(s.n, 0);
	assert_false(hull_hostgroup_wanted(&r));
	hull_hostgroup_settings_clear(&s);
}

static void what_the_host_lacks_is_named(void **state)
{
	struct hull_hostgroup none = { 0 };
	const struct hull_oci_resources r = { .has_pids_limit = true, .pids_limit = 10 };
	const struct hull_hostgroup_vm vm = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_hostgroup_limit(&none, &r, &vm, &err), -ENOTSUP);
	assert_string_equal(err.message, "linux.resources.pids.limit: this host has no pids control groups");
}

static void the_way_back(void **state)
{
	struct hull_hostgroup group;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_hostgroup_find_own(V1_MOUNTS, V1_SELF, &group, &err), 0);
	assert_int_equal(group.n, 3);
	assert_string_equal(group.v[0].path, "/sys/fs/cgroup/memory/own/part");
	hull_hostgroup_clear(&group);
	assert_int_equal(hull_hostgroup_find_own(V2_MOUNT, "0::/user.slice/a.scope\n", &group, &err), 0);
	assert_string_equal(group.v[0].path, "/sys/fs/cgroup/user.slice/a.scope");
	hull_hostgroup_clear(&group);
}

static void systemds_form_of_a_path(void **state)
{
	static const char *const good[][2] = {
		{ "system.slice:docker:abc", "/system.slice/docker-abc.scope" },
		{ "machine-a-b.slice:libpod:x", "/machine.slice/machine-a.slice/machine-a-b.slice/libpod-x.scope" },
		{ ":cri:x", "/system.slice/cri-x.scope" },
		{ "-.slice::x", "/x.scope" },
		{ "a.slice:p:a-x.slice", "/a.slice/a-x.slice" },
		{ NULL, "/system.slice/hull-web.scope" },
		{ "", "/system.slice/hull-web.scope" },
	};
	static const char *const bad[] = { "/docker/abc", "a.slice:b", "a.slice:b:c:d", "a.slice:b:", "a:b:c", "-a.slice:b:c", "a-.slice:b:c",
					   "a--b.slice:b:c", "../x.slice:b:c", "a.slice:b:../../c", ".slice:b:c" };
	struct hull_error err = HULL_ERROR_INIT;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *path = NULL;
		assert_int_equal(hull_hostgroup_systemd_path(good[i][0], "web", &path, &err), 0);
		assert_string_equal(path, good[i][1]);
		free(path);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *path = NULL;
		assert_int_equal(hull_hostgroup_systemd_path(bad[i], "web", &path, &err), -EINVAL);
		assert_non_null(strstr(err.message, "linux.cgroupsPath"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absolute_paths_start_at_the_roots),
		cmocka_unit_test(relative_paths_start_at_the_callers_group),
		cmocka_unit_test(a_path_does_not_leave_its_hierarchy),
		cmocka_unit_test(odd_hosts),
		cmocka_unit_test(the_way_back),
		cmocka_unit_test(systemds_form_of_a_path),
		cmocka_unit_test(only_what_hull_made_goes),
		cmocka_unit_test(memory_is_that_of_the_vm),
		cmocka_unit_test(cpu_leaves_room_for_the_vm),
		cmocka_unit_test(pids_leave_room_for_threads),
		cmocka_unit_test(throttles_name_the_hosts_devices),
		cmocka_unit_test(what_means_the_guest_stays_there),
		cmocka_unit_test(what_the_host_lacks_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
