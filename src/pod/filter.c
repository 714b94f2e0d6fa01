/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* The kernel takes no more than BPF_MAXINSNS at once. */
#define BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))
#define ARGS_MAX 6
/* Of Linux 4.14: actions that log and that end the process. The guest's kernel is a younger one. */
#define GUEST_API_LEVEL 3

static void releasep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, const struct hull_oci_seccomp_arg *args, size_t n)
{
	struct scmp_arg_cmp cmp[ARGS_MAX];
	for (size_t i = 0; i < n; i++) {
		cmp[i] = (struct scmp_arg_cmp){
			.arg = args[i].index, .op = (enum scmp_compare)args[i].op,
			.datum_a = args[i].value, .datum_b = args[i].value_two,
		};
	}
	return seccomp_rule_add_array(ctx, action, nr, (unsigned)n, cmp);
}

/* libseccomp wants each argument once in a rule; comparing one twice means "either". Source: runc, matchCall(). */
static bool repeats_argument(const struct hull_oci_seccomp_rule *rule)
{
	unsigned seen = 0;
	for (size_t i = 0; i < rule->n_args; i++) {
		if (seen & (1u << rule->args[i].index))
			return true;
		seen |= 1u << rule->args[i].index;
	}
	return false;
}

static int add_syscall(scmp_filter_ctx ctx, const struct hull_oci_seccomp_rule *rule, const char *name,
		       struct hull_error *err)
{
	int nr = seccomp_syscall_resolve_name(name);
	/* A name that this libseccomp does not know is skipped, as runc does: profiles are written for many versions. */
	if (nr == __NR_SCMP_ERROR)
		return 0;
	int r = 0;
	if (rule->n_args == 0 || !repeats_argument(rule)) {
		r = add_rule(ctx, rule->action, nr, rule->args, rule->n_args);
	} else {
		for (size_t i = 0; r == 0 && i < rule->n_args; i++)
			r = add_rule(ctx, rule->action, nr, &rule->args[i], 1);
	}
	if (r < 0 && r != -EEXIST)
		return hull_error_errno(err, r, "linux.seccomp: rule for %s", name);
	return 0;
}

static int compile(const struct hull_oci_seccomp *profile, int fd, struct hull_error *err)
{
	/* What the guest's kernel can do, not the host's. Source: seccomp_api_get(3). */
	seccomp_api_set(GUEST_API_LEVEL);
	_cleanup_(releasep) scmp_filter_ctx ctx = seccomp_init(profile->default_action);
	if (!ctx)
		return hull_error_set(err, EINVAL, "linux.seccomp: bad default action");
	if (profile->listener_path)
		return hull_error_set(err, ENOTSUP, "linux.seccomp.listenerPath: no listener reaches into the VM");

	for (size_t i = 0; i < profile->n_architectures; i++) {
		int r = seccomp_arch_add(ctx, profile->architectures[i]);
		if (r < 0 && r != -EEXIST)
			return hull_error_errno(err, r, "linux.seccomp.architectures[%zu]", i);
	}
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	/* A binary tree instead of a chain of comparisons. Failing to build one is no reason to stop. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);

	for (size_t i = 0; i < profile->n_rules; i++) {
		const struct hull_oci_seccomp_rule *rule = &profile->rules[i];
		/* libseccomp refuses rules that change nothing. */
		if (rule->action == profile->default_action)
			continue;
		for (size_t j = 0; j < rule->n_args; j++) {
			if (rule->args[j].index >= ARGS_MAX || rule->n_args > ARGS_MAX)
				return hull_error_set(err, EINVAL, "linux.seccomp: too many arguments in rule %zu", i);
		}
		for (size_t j = 0; j < rule->names.n; j++) {
			int r = add_syscall(ctx, rule, rule->names.v[j], err);
			if (r < 0)
				return r;
		}
	}
	int r = seccomp_export_bpf(ctx, fd);
	return r < 0 ? hull_error_errno(err, r, "linux.seccomp: compile") : 0;
}

static unsigned flags_of(const struct hull_oci_seccomp *profile)
{
	unsigned flags = 0;
	if (profile->flags & HULL_SECCOMP_TSYNC)
		flags |= SECCOMP_FILTER_FLAG_TSYNC;
	if (profile->flags & HULL_SECCOMP_LOG)
		flags |= SECCOMP_FILTER_FLAG_LOG;
	if (profile->flags & HULL_SECCOMP_SPEC_ALLOW)
		flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	return flags;
}

/* libseccomp writes to a descriptor only. */
static int read_back(int fd, struct hull_seccomp_program *ret, struct hull_error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "linux.seccomp");
	if ((size_t)st.st_size > BYTES_MAX)
		return hull_error_set(err, E2BIG, "linux.seccomp: the filter is larger than the kernel takes");
	_cleanup_free_ uint8_t *bpf = hull_calloc(1, (size_t)st.st_size);
	if (pread(fd, bpf, (size_t)st.st_size, 0) != st.st_size)
		return hull_error_errno(err, EIO, "linux.seccomp");
	ret->len = (size_t)st.st_size;
	ret->bpf = TAKE_PTR(bpf);
	return 0;
}

int hull_seccomp_compile(struct hull_seccomp_cache *cache, const struct hull_oci_seccomp *profile, const char *text,
			 struct hull_seccomp_program *ret, struct hull_error *err)
{
	if (!cache->profile || strcmp(cache->profile, text) != 0) {
		struct hull_seccomp_program program = { .flags = flags_of(profile) };
		_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
		if (fd < 0)
			return hull_error_errno(err, errno, "make a memory file");
		if (compile(profile, fd, err) < 0 || read_back(fd, &program, err) < 0)
			return -err->code;
		hull_seccomp_cache_clear(cache);
		*cache = (struct hull_seccomp_cache){ .profile = hull_strdup(text), .program = program };
	}
	*ret = cache->program;
	ret->bpf = hull_memdup(cache->program.bpf, cache->program.len);
	return 0;
}

void hull_seccomp_program_clear(struct hull_seccomp_program *program)
{
	free(program->bpf);
	*program = (struct hull_seccomp_program){ 0 };
}

void hull_seccomp_cache_clear(struct hull_seccomp_cache *cache)
{
	free(cache->profile);
	cache->profile = NULL;
	hull_seccomp_program_clear(&cache->program);
}
