/* SPDX-License-Identifier: Apache-2.0 */
/* How large a VM has to be: limits and quotas, announced totals, annotations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "pod/size.h"

#define MIB (UINT64_C(1) << 20)

static const struct hull_config config = { .memory_bytes = 512 * MIB, .memory_base_bytes = 128 * MIB, .vcpus = 1 };
static const struct hull_pod_size nothing;

/* The size in MiB for containers with these limits in MiB; 0: no limit. */
static unsigned memory_for(const struct hull_pod_size *pod, const uint64_t *limits, size_t n)
{
	struct hull_demand d[8] = { 0 };
	for (size_t i = 0; i < n; i++)
		d[i].memory_bytes = limits[i] * MIB;
	return (unsigned)(hull_size_sum(&config, pod, d, n).memory_bytes / MIB);
}
#define MEMORY_FOR(pod, ...) memory_for(pod, (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static void limits_add_up_on_a_shared_base(void **state)
{
	(void)state;
	assert_int_equal(MEMORY_FOR(&nothing, 0), 512);
	/* A small limit makes no small VM: what it bounds is the container. */
	assert_int_equal(MEMORY_FOR(&nothing, 64), 512);
	assert_int_equal(MEMORY_FOR(&nothing, 512), 640);
	assert_int_equal(MEMORY_FOR(&nothing, 512, 256), 896);
	/* All without a limit share one allowance. */
	assert_int_equal(MEMORY_FOR(&nothing, 512, 0), 1024);
	assert_int_equal(MEMORY_FOR(&nothing, 512, 0, 0), 1024);
	/* But for pause. */
	struct hull_demand d[2] = { { .modest = true }, { .memory_bytes = 512 * MIB } };
	assert_int_equal(hull_size_sum(&config, &nothing, d, 2).memory_bytes / MIB, 640);
}

static void sums_are_bounded_by_the_host(void **state)
{
	(void)state;
	struct hull_demand d[3] = { { .memory_bytes = UINT64_MAX / 2, .cpu_milli = UINT64_MAX / 2 }, { .memory_bytes = UINT64_MAX / 2 },
				    { .memory_bytes = UINT64_MAX, .cpu_milli = UINT64_MAX } };
	struct hull_size size = hull_size_sum(&config, &nothing, d, 3);
	assert_true(size.memory_bytes <= hull_host_memory_bytes() && size.memory_bytes > hull_host_memory_bytes() - 4 * MIB);
	assert_int_equal(size.vcpus, sysconf(_SC_NPROCESSORS_ONLN) > 240 ? 240 : sysconf(_SC_NPROCESSORS_ONLN));
}

static unsigned vcpus_for(struct hull_demand a, struct hull_demand b)
{
	struct hull_demand d[] = { a, b };
	struct hull_config c = config;
	/* Independent of how many CPUs the machine of the test has. */
	unsigned vcpus = hull_size_sum(&c, &nothing, d, 2).vcpus, host = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	return vcpus > host ? host : vcpus;
}

static unsigned up_to_host(unsigned n)
{
	unsigned host = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	return n < host ? n : host;
}

static struct hull_demand cpu(int64_t quota, uint64_t period, uint64_t shares)
{
	struct hull_oci_resources r = { .has_cpu_quota = quota != 0, .cpu_quota = quota, .has_cpu_period = period != 0, .cpu_period = period,
					.has_cpu_shares = shares != 0, .cpu_shares = shares };
	struct hull_demand d;
	hull_demand_of(&r, &d);
	return d;
}

static void quotas_add_up_and_are_rounded_once(void **state)
{
	(void)state;
	const struct hull_demand none = { 0 };
	assert_int_equal(vcpus_for(none, none), 1);
	assert_int_equal(vcpus_for(cpu(50000, 100000, 0), cpu(50000, 0, 0)), 1);
	assert_int_equal(vcpus_for(cpu(75000, 100000, 0), cpu(50000, 100000, 0)), up_to_host(2));
	assert_int_equal(vcpus_for(cpu(30000, 10000, 0), none), up_to_host(3));
	assert_int_equal(vcpus_for(cpu(-1, 100000, 0), none), 1);
}

static void a_request_without_a_limit_may_burst(void **state)
{
	(void)state;
	const struct hull_demand none = { 0 };
	assert_int_equal(vcpus_for(cpu(0, 0, 102), none), up_to_host(2));
	assert_int_equal(vcpus_for(cpu(0, 0, 3072), none), up_to_host(3));
	/* What Kubernetes writes for no request at all is none. */
	assert_int_equal(vcpus_for(cpu(0, 0, 2), none), 1);
	/* With a limit the limit counts. */
	assert_int_equal(vcpus_for(cpu(100000, 100000, 4096), none), 1);
}

static void an_update_changes_what_it_names(void **state)
{
	(void)state;
	struct hull_demand d = cpu(200000, 100000, 0);
	d.memory_bytes = 64 * MIB;
	hull_demand_update(&d, &(struct hull_oci_resources){ .has_memory_limit = true, .memory_limit = 128 << 20 });
	assert_true(d.memory_bytes == 128 * MIB && d.cpu_milli == 2000);
	hull_demand_update(&d, &(struct hull_oci_resources){ .has_cpu_quota = true, .cpu_quota = 50000, .has_cpu_shares = true, .cpu_shares = 512 });
	assert_true(d.memory_bytes == 128 * MIB && d.cpu_milli == 500 && !d.bursts);
	hull_demand_update(&d, &(struct hull_oci_resources){ .has_memory_limit = true, .memory_limit = -1, .has_cpu_shares = true, .cpu_shares = 4096 });
	assert_true(d.memory_bytes == 0 && d.cpu_milli == 500);
}

/* ---- annotations */

static int parse(const char *key, const char *value, struct hull_pod_size *ret, struct hull_error *err)
{
	struct hull_oci_kv kv = { (char *)(uintptr_t)key, (char *)(uintptr_t)value };
	struct hull_oci_spec spec = { .annotations = { &kv, 1 } };
	*err = (struct hull_error)HULL_ERROR_INIT;
	return hull_pod_size_parse(&spec, ret, err);
}

static void announced_totals_size_the_pod_at_once(void **state)
{
	(void)state;
	struct hull_error err;
	struct hull_pod_size size;
	assert_int_equal(parse("io.kubernetes.cri.sandbox-memory", "1073741824", &size, &err), 0);
	struct hull_demand d = { .modest = true };
	assert_int_equal(hull_size_sum(&config, &size, &d, 1).memory_bytes / MIB, 1024 + 128);
	/* The containers' limits are in the total. */
	assert_int_equal(MEMORY_FOR(&size, 256, 512), 1024 + 128);
	assert_int_equal(MEMORY_FOR(&size, 1024, 512), 1536 + 128);
	assert_int_equal(parse("io.kubernetes.cri.sandbox-memory", "0", &size, &err), 0);
	assert_int_equal(size.total_memory_bytes, 0);
	assert_int_equal(parse("io.kubernetes.cri.sandbox-memory", "much", &size, &err), -EINVAL);
	assert_non_null(strstr(err.message, "io.kubernetes.cri.sandbox-memory"));
	assert_int_equal(parse("io.kubernetes.cri.sandbox-cpu-quota", "150000", &size, &err), 0);
	assert_int_equal(size.total_cpu_milli, 1500);
	assert_int_equal(parse("io.kubernetes.cri.sandbox-cpu-shares", "204", &size, &err), 0);
	assert_true(size.bursts);
}

static void openeulers_and_katas_annotations(void **state)
{
	(void)state;
	struct hull_error err;
	struct hull_pod_size size;
	static const char *const mem[] = { "io.katacontainers.sandbox_mem", "com.github.containers.virtcontainers.sandbox_mem" };
	static const char *const cpus[] = { "io.katacontainers.sandbox_cpu", "com.github.containers.virtcontainers.sandbox_cpu" };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(parse(mem[i], "700M", &size, &err), 0);
		assert_int_equal(MEMORY_FOR(&size, 64), 700);
		static const char *const bad[] = { "299M", "513G", "x", "", "-1G", "4 G" };
		for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			assert_int_equal(parse(mem[i], bad[j], &size, &err), -EINVAL);
			assert_non_null(strstr(err.message, mem[i]));
		}
		assert_int_equal(parse(cpus[i], "0.25", &size, &err), 0);
		assert_int_equal(size.vcpus, 1);
		static const char *const wrong[] = { "0.2", "0", "-1", "one", "", "1e1", "1.1.1", "nan", ".5" };
		for (size_t j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
			assert_int_equal(parse(cpus[i], wrong[j], &size, &err), -EINVAL);
			assert_non_null(strstr(err.message, cpus[i]));
		}
		assert_int_equal(parse(cpus[i], "100000", &size, &err), -ERANGE);
		assert_non_null(strstr(err.message, "more than the host's"));
	}
	assert_int_equal(parse("io.katacontainers.config.hypervisor.default_memory", "256", &size, &err), 0);
	assert_int_equal(MEMORY_FOR(&size, 64), 256);
	assert_int_equal(parse("io.katacontainers.config.hypervisor.default_memory", "8", &size, &err), -EINVAL);
	assert_int_equal(parse("io.katacontainers.config.hypervisor.default_memory", "256M", &size, &err), -EINVAL);
	assert_int_equal(parse("io.katacontainers.config.hypervisor.default_vcpus", "1", &size, &err), 0);
	assert_int_equal(size.least_vcpus, 1);
	assert_int_equal(parse("io.katacontainers.config.hypervisor.default_vcpus", "99999", &size, &err), -ERANGE);
}

static void a_member_does_not_size_its_vm(void **state)
{
	(void)state;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_kv kv = { (char *)"io.katacontainers.sandbox_mem", (char *)"1G" };
	struct hull_oci_spec spec = { .annotations = { &kv, 1 } }, other = { .annotations = { NULL, 0 } };
	struct hull_pod_size none = { 0 }, same;
	assert_int_equal(hull_pod_size_check_member(&spec, &none, &err), -EINVAL);
	assert_int_equal(hull_pod_size_parse(&spec, &same, &err), 0);
	assert_int_equal(hull_pod_size_check_member(&spec, &same, &err), 0);
	assert_non_null(strstr(err.message, "io.katacontainers.sandbox_mem"));
	assert_int_equal(hull_pod_size_check_member(&other, &none, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_add_up_on_a_shared_base),
		cmocka_unit_test(sums_are_bounded_by_the_host),
		cmocka_unit_test(quotas_add_up_and_are_rounded_once),
		cmocka_unit_test(a_request_without_a_limit_may_burst),
		cmocka_unit_test(an_update_changes_what_it_names),
		cmocka_unit_test(announced_totals_size_the_pod_at_once),
		cmocka_unit_test(openeulers_and_katas_annotations),
		cmocka_unit_test(a_member_does_not_size_its_vm),
	};
	return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
