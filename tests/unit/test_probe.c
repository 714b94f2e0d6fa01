/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "vmm/kvm.h"
#include "vmm/probe.h"

static char dir[] = "/tmp/hull-probe-XXXXXX";
static char cache[64];

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(cache, sizeof(cache), "%s/kvm-probe.json", dir);
	return 0;
}

static int teardown(void **state)
{
	return hull_rmtree(AT_FDCWD, dir);
}

/* Whatever the host can do: an answer in time, with a reason that fits it, and no process left. */
static void test_run(void **state)
{
	struct hull_kvm_probe probe;
	int64_t begin = hull_now_ms();
	hull_kvm_probe_run(1000, &probe);
	assert_true(hull_now_ms() - begin < 3000);
	assert_true(strlen(probe.why) > 10);
	assert_null(strchr(probe.why, '\n'));
	if (probe.usable)
		assert_in_range(probe.run_us, 1, 100000);
	if (access("/dev/kvm", F_OK) < 0)
		assert_false(probe.usable);
	assert_int_equal(probe.pvm_host, access("/sys/module/kvm_pvm", F_OK) == 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	printf("usable %d, %lld us: %s\n", probe.usable, (long long)probe.run_us, probe.why);
}

/* A probe that gets no time gives up at once. */
static void test_deadline(void **state)
{
	struct hull_kvm_probe probe;
	int64_t begin = hull_now_ms();
	hull_kvm_probe_run(0, &probe);
	assert_true(hull_now_ms() - begin < 1000);
	assert_false(probe.usable);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void write_cache(bool this_boot, bool usable, const char *why)
{
	_cleanup_free_ char *boot_id = NULL;
	char text[512];
	assert_int_equal(hull_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL), 0);
	boot_id[strcspn(boot_id, "\n")] = '\0';
	snprintf(text, sizeof(text), "{\"boot_id\":\"%s\",\"usable\":%s,\"why\":\"%s\"}", this_boot ? boot_id : "other",
		 usable ? "true" : "false", why);
	assert_int_equal(hull_file_replace(AT_FDCWD, cache, text, strlen(text), 0644), 0);
}

static void test_choose_and_cache(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	enum hull_accel accel = HULL_ACCEL_AUTO, first;
	char why[256], first_why[256];
	struct stat st;

	assert_int_equal(hull_accel_choose(HULL_ACCEL_TCG, dir, &accel, why, &err), 0);
	assert_int_equal(accel, HULL_ACCEL_TCG);
	assert_int_equal(stat(cache, &st), -1);

	/* The answer is written down, and is the same the next time. */
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, dir, &first, first_why, &err), 0);
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, dir, &accel, why, &err), 0);
	assert_int_equal(accel, first);
	assert_string_equal(why, first_why);

	/* An answer of this boot is believed; one of another boot, or one that cannot be read, is not. */
	write_cache(true, true, "written by the test");
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, dir, &accel, why, &err), 0);
	assert_int_equal(accel, HULL_ACCEL_KVM);
	assert_string_equal(why, "written by the test");
	write_cache(false, true, "written by the test");
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, dir, &accel, why, &err), 0);
	assert_int_equal(accel, first);
	assert_int_equal(hull_file_replace(AT_FDCWD, cache, "{\"boot_id\":", 11, 0644), 0);
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, dir, &accel, why, &err), 0);
	assert_int_equal(accel, first);

	/* KVM by name, where it does not work, is an error that says why. */
	write_cache(true, false, "it is Tuesday");
	assert_int_equal(hull_accel_choose(HULL_ACCEL_KVM, dir, &accel, why, &err), -ENOTSUP);
	assert_string_equal(err.message, "accelerator kvm: it is Tuesday");
	write_cache(true, true, "fine");
	assert_int_equal(hull_accel_choose(HULL_ACCEL_KVM, dir, &accel, why, &err), 0);
	assert_int_equal(accel, HULL_ACCEL_KVM);

	/* A cache that cannot be written is no reason to fail. */
	assert_int_equal(hull_accel_choose(HULL_ACCEL_AUTO, "/no/such/dir", &accel, why, &err), 0);
	assert_int_equal(accel, first);
}

static void test_arch_capabilities(void **state)
{
	struct hull_kvm_run run;
	bool taken = hull_kvm_takes_arch_capabilities();
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		assert_false(taken);
		hull_kvm_run_guest(&run);
		assert_string_equal(run.failed, "open /dev/kvm");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run), cmocka_unit_test(test_deadline), cmocka_unit_test(test_choose_and_cache),
		cmocka_unit_test(test_arch_capabilities),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
