/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "oci/parse.h"

#define CAP(name) { #name, name }
const struct hull_json_name hull_oci_capability_names[] = {
	CAP(CAP_CHOWN), CAP(CAP_DAC_OVERRIDE), CAP(CAP_DAC_READ_SEARCH), CAP(CAP_FOWNER), CAP(CAP_FSETID), CAP(CAP_KILL),
	CAP(CAP_SETGID), CAP(CAP_SETUID), CAP(CAP_SETPCAP), CAP(CAP_LINUX_IMMUTABLE), CAP(CAP_NET_BIND_SERVICE),
	CAP(CAP_NET_BROADCAST), CAP(CAP_NET_ADMIN), CAP(CAP_NET_RAW), CAP(CAP_IPC_LOCK), CAP(CAP_IPC_OWNER),
	CAP(CAP_SYS_MODULE), CAP(CAP_SYS_RAWIO), CAP(CAP_SYS_CHROOT), CAP(CAP_SYS_PTRACE), CAP(CAP_SYS_PACCT),
	CAP(CAP_SYS_ADMIN), CAP(CAP_SYS_BOOT), CAP(CAP_SYS_NICE), CAP(CAP_SYS_RESOURCE), CAP(CAP_SYS_TIME),
	CAP(CAP_SYS_TTY_CONFIG), CAP(CAP_MKNOD), CAP(CAP_LEASE), CAP(CAP_AUDIT_WRITE), CAP(CAP_AUDIT_CONTROL),
	CAP(CAP_SETFCAP), CAP(CAP_MAC_OVERRIDE), CAP(CAP_MAC_ADMIN), CAP(CAP_SYSLOG), CAP(CAP_WAKE_ALARM),
	CAP(CAP_BLOCK_SUSPEND), CAP(CAP_AUDIT_READ), CAP(CAP_PERFMON), CAP(CAP_BPF), CAP(CAP_CHECKPOINT_RESTORE),
	{ NULL, 0 },
};
#undef CAP

int hull_oci_capability_parse(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (const struct hull_json_name *n = hull_oci_capability_names; n->name; n++)
		if (strcasecmp(n->name + 4, name) == 0)
			return (int)n->value;
	return -EINVAL;
}

static void note_unknown(struct hull_strv *unknown, const char *name)
{
	for (size_t i = 0; i < unknown->n; i++)
		if (strcmp(unknown->v[i], name) == 0)
			return;
	if (unknown->n < 64)
		hull_strv_add(unknown, name);
}

static int read_set(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	struct hull_oci_capabilities *caps = target;
	uint64_t *set = (uint64_t *)(void *)((char *)target + f->at);
	size_t n;

	int r = hull_json_expect_array(v, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		const char *name;
		r = hull_json_get_string(&element, &name);
		if (r < 0)
			break;
		int cap = hull_oci_capability_parse(name);
		if (cap >= 0)
			*set |= UINT64_C(1) << cap;
		else
			note_unknown(&caps->unknown, name);
	}
	return r;
}

static int mark_present(const struct hull_json *v HULL_UNUSED, void *target)
{
	((struct hull_oci_capabilities *)target)->present = true;
	return 0;
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("bounding", read_set, HULL_AT(struct hull_oci_capabilities, bounding)),
	HULL_FIELD("effective", read_set, HULL_AT(struct hull_oci_capabilities, effective)),
	HULL_FIELD("inheritable", read_set, HULL_AT(struct hull_oci_capabilities, inheritable)),
	HULL_FIELD("permitted", read_set, HULL_AT(struct hull_oci_capabilities, permitted)),
	HULL_FIELD("ambient", read_set, HULL_AT(struct hull_oci_capabilities, ambient)),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_capabilities_type = { .fields = fields, .check = mark_present };
