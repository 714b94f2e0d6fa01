/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <linux/bpf.h>

/*
 * bpf(2): `command` is one of BPF_*, `attr` its arguments, which stay the caller's. Returns the new descriptor (close-on-exec; the
 * caller closes it) or 0, or -errno. The verifier gives up with EAGAIN when a signal arrives (kernel/bpf/verifier.c, do_check): a
 * program is then loaded again, a bounded number of times.
 */
int hull_bpf(int command, union bpf_attr *attr);
