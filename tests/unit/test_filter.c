/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles compiled on the host (pod/filter.c). That the programs do what they say is for the integration tests to show. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/mem.h"
#include "pod/filter.h"

static struct hull_oci_spec *spec_with(const char *seccomp)
{
	struct hull_oci_spec *spec = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	char *text = hull_asprintf("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\",\"args\":[\"x\"]},\"linux\":"
				   "{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}],\"seccomp\":%s}}", seccomp);
	int r = hull_oci_spec_parse(text, strlen(text), &spec, &err);
	if (r < 0)
		print_message("%s\n", err.message);
	assert_int_equal(r, 0);
	free(text);
	return spec;
}

#define DENY_MKDIR "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":" \
		   "[{\"names\":[\"mkdir\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}"
#define DENY_RMDIR "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"rmdir\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}"

static bool returns(const struct hull_seccomp_program *program, uint32_t value)
{
	const struct sock_filter *v = (const struct sock_filter *)(const void *)program->bpf;
	for (size_t i = 0; i < program->len / sizeof(*v); i++)
		if (v[i].code == (BPF_RET | BPF_K) && v[i].k == value)
			return true;
	return false;
}

static void a_profile_becomes_a_program(void **state)
{
	(void)state;
	struct hull_oci_spec *spec = spec_with(DENY_MKDIR);
	struct hull_seccomp_cache cache = { 0 };
	struct hull_seccomp_program program;
	struct hull_error err = HULL_ERROR_INIT;

	assert_int_equal(hull_seccomp_compile(&cache, &spec->seccomp, DENY_MKDIR, &program, &err), 0);
	assert_int_equal(program.len % sizeof(struct sock_filter), 0);
	assert_true(returns(&program, SECCOMP_RET_ERRNO | 28));
	assert_true(returns(&program, SECCOMP_RET_ALLOW));
	assert_int_equal(program.flags, SECCOMP_FILTER_FLAG_LOG);
	hull_seccomp_program_clear(&program);
	hull_seccomp_cache_clear(&cache);
	hull_oci_spec_free(spec);
}

static void another_profile_is_another_program(void **state)
{
	(void)state;
	struct hull_oci_spec *mkdir = spec_with(DENY_MKDIR), *rmdir = spec_with(DENY_RMDIR);
	struct hull_seccomp_cache cache = { 0 };
	struct hull_seccomp_program first, again, other;
	struct hull_error err = HULL_ERROR_INIT;

	assert_int_equal(hull_seccomp_compile(&cache, &mkdir->seccomp, DENY_MKDIR, &first, &err), 0);
	assert_int_equal(hull_seccomp_compile(&cache, &mkdir->seccomp, DENY_MKDIR, &again, &err), 0);
	assert_int_equal(first.len, again.len);
	assert_memory_equal(first.bpf, again.bpf, first.len);
	assert_ptr_not_equal(first.bpf, again.bpf);
	assert_int_equal(hull_seccomp_compile(&cache, &rmdir->seccomp, DENY_RMDIR, &other, &err), 0);
	assert_true(returns(&other, SECCOMP_RET_KILL_PROCESS));
	assert_false(returns(&other, SECCOMP_RET_ERRNO | 28));
	assert_int_equal(other.flags, 0);
	hull_seccomp_program_clear(&first);
	hull_seccomp_program_clear(&again);
	hull_seccomp_program_clear(&other);
	hull_seccomp_cache_clear(&cache);
	hull_oci_spec_free(mkdir);
	hull_oci_spec_free(rmdir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_becomes_a_program),
		cmocka_unit_test(another_profile_is_another_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
