/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/stage.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int hull_stage_fail(struct hull_stage *stage, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(stage->what, sizeof(stage->what), fmt, ap);
	va_end(ap);
	return code;
}

/* What even a set-user-ID root program could get. Needs CAP_SETPCAP, so it goes before the user does. */
static int drop_bounding_set(struct hull_stage *stage)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return hull_stage_fail(stage, -errno, "drop capability %lu from the bounding set", cap);
	return 0;
}

/* Permitted, effective, inheritable. The change of user empties the first two of a root process only. */
static int drop_capability_sets(struct hull_stage *stage)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &header, none) < 0)
		return hull_stage_fail(stage, -errno, "drop capabilities");
	return 0;
}

int hull_stage_privileges(const struct hull_spawn *s, struct hull_stage *stage)
{
	if (s->keep_caps_as_other_users && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return hull_stage_fail(stage, -errno, "keep capabilities across changes of user");
	if (!s->drop_privileges && s->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return hull_stage_fail(stage, -errno, "forbid new privileges");
	if (!s->drop_privileges)
		return 0;

	int r = drop_bounding_set(stage);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return hull_stage_fail(stage, -errno, "clear ambient capabilities");
	if (setgroups(s->extra_gid ? 1 : 0, &s->extra_gid) < 0)
		return hull_stage_fail(stage, -errno, "set supplementary groups");
	if (setresgid(s->gid, s->gid, s->gid) < 0)
		return hull_stage_fail(stage, -errno, "become group %u", (unsigned)s->gid);
	if (setresuid(s->uid, s->uid, s->uid) < 0)
		return hull_stage_fail(stage, -errno, "become user %u", (unsigned)s->uid);
	r = drop_capability_sets(stage);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return hull_stage_fail(stage, -errno, "forbid new privileges");
	/* Until exec, which sets it again for an unprivileged program: nobody may trace the copy of our memory. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return hull_stage_fail(stage, -errno, "make undumpable");
	return 0;
}
