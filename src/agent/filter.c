/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* The kernel takes no more than BPF_MAXINSNS at once. */
#define BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))

int hull_filter_take(const void *program, size_t len, unsigned flags, struct hull_filter *ret, struct hull_error *err)
{
	*ret = (struct hull_filter){ .flags = flags };
	if (len == 0)
		return 0;
	if (len % sizeof(struct sock_filter) != 0 || len > BYTES_MAX)
		return hull_error_set(err, E2BIG, "linux.seccomp: %zu bytes are no filter", len);
	ret->v = hull_memdup(program, len);
	ret->n = len / sizeof(*ret->v);
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
