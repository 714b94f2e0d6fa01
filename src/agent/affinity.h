/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sched.h>

/* "0-3,7" as cpuset.cpus has it. 0 or -EINVAL. Source: cpuset(7), list format. */
int hull_affinity_parse(const char *list, cpu_set_t *ret);

/* Binds the calling process. */
int hull_affinity_set(const char *list);
