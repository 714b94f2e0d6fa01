/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bpf.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD_TRIES 16

int hull_bpf(int command, union bpf_attr *attr)
{
	int tries = command == BPF_PROG_LOAD ? LOAD_TRIES : 1;
	long r;
	do {
		r = syscall(SYS_bpf, command, attr, sizeof(*attr));
	} while (r < 0 && errno == EAGAIN && --tries > 0);
	return r < 0 ? -errno : (int)r;
}
