/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/affinity.h"

#include <errno.h>
#include <stdlib.h>

static int parse_number(const char **p, unsigned long *ret)
{
	if (**p < '0' || **p > '9')
		return -EINVAL;
	char *end;
	*ret = strtoul(*p, &end, 10);
	*p = end;
	return *ret < CPU_SETSIZE ? 0 : -EINVAL;
}

int hull_affinity_parse(const char *list, cpu_set_t *ret)
{
	CPU_ZERO(ret);
	for (const char *p = list;; p++) {
		unsigned long first, last;
		if (parse_number(&p, &first) < 0)
			return -EINVAL;
		last = first;
		if (*p == '-') {
			p++;
			if (parse_number(&p, &last) < 0 || last < first)
				return -EINVAL;
		}
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, ret);
		if (*p == '\0')
			return 0;
		if (*p != ',')
			return -EINVAL;
	}
}

int hull_affinity_set(const char *list)
{
	cpu_set_t set;
	int r = hull_affinity_parse(list, &set);
	if (r < 0)
		return r;
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}
