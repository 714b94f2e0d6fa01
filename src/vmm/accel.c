/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const names[] = {
	[HULL_ACCEL_AUTO] = "auto",
	[HULL_ACCEL_KVM] = "kvm",
	[HULL_ACCEL_TCG] = "tcg",
};

const char *hull_accel_name(enum hull_accel accel)
{
	return (size_t)accel < HULL_ARRAY_SIZE(names) ? names[accel] : "unknown";
}

int hull_accel_parse(const char *text, enum hull_accel *ret)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum hull_accel)i;
			return 0;
		}
	}
	return -EINVAL;
}
