/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/filter.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* The kernel takes no more than BPF_MAXINSNS at once. */
#define BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))
#define ARGS_MAX 6

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

int hull_filter_compile(const struct hull_oci_seccomp *profile, int fd, struct hull_error *err)
{
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

unsigned hull_filter_flags(const struct hull_oci_seccomp *profile)
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

int hull_filter_read(int fd, unsigned flags, struct hull_filter *ret, struct hull_error *err)
{
	struct stat st;
	*ret = (struct hull_filter){ .flags = flags };
	if (fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "seccomp filter");
	if (st.st_size == 0)
		return 0;
	if (st.st_size % (off_t)sizeof(struct sock_filter) != 0 || (size_t)st.st_size > BYTES_MAX)
		return hull_error_set(err, E2BIG, "linux.seccomp: the filter is larger than the kernel takes");

	_cleanup_free_ struct sock_filter *v = hull_calloc(1, (size_t)st.st_size);
	if (pread(fd, v, (size_t)st.st_size, 0) != st.st_size)
		return hull_error_errno(err, EIO, "seccomp filter");
	ret->n = (size_t)st.st_size / sizeof(*v);
	ret->v = TAKE_PTR(v);
	return 0;
}

int hull_filter_install(const struct hull_filter *filter, struct hull_error *err)
{
	if (!filter->v)
		return 0;
	struct sock_fprog program = { .len = (unsigned short)filter->n, .filter = filter->v };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program) != 0)
		return hull_error_errno(err, errno, "error loading seccomp filter into kernel");
	return 0;
}
