/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that span areas of config.json. Source: runc, libcontainer/configs/validate, for what it refuses and how it says so. */
#include <string.h>

#include "base/cleanup.h"
#include "oci/parse.h"

static int check_uts(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	struct hull_json hostname = hull_json_member(v, "hostname"), domainname = hull_json_member(v, "domainname");

	if (spec->namespaces[HULL_NS_UTS].present)
		return 0;
	if (spec->hostname)
		return hull_json_error(&hostname, "unable to set hostname without a private UTS namespace");
	if (spec->domainname)
		return hull_json_error(&domainname, "unable to set domainname without a private UTS namespace");
	return 0;
}

static int check_user_namespace(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	const struct hull_oci_namespace *ns = &spec->namespaces[HULL_NS_USER];
	struct hull_json linux_object = hull_json_member(v, "linux");
	const struct { const char *key; size_t n; } mappings[] = {
		{ "uidMappings", spec->n_uid_mappings }, { "gidMappings", spec->n_gid_mappings },
	};

	for (size_t i = 0; i < HULL_ARRAY_SIZE(mappings); i++) {
		struct hull_json field = hull_json_member(&linux_object, mappings[i].key);
		if (mappings[i].n && !ns->present)
			return hull_json_error(&field, "mappings without a user namespace in linux.namespaces");
		if (!mappings[i].n && ns->present && !ns->path)
			return hull_json_error(&field, "missing: a new user namespace needs mappings");
	}
	return 0;
}

static int check_time_namespace(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	struct hull_json linux_object = hull_json_member(v, "linux");
	struct hull_json offsets = hull_json_member(&linux_object, "timeOffsets");

	if (spec->time_offsets.n && !spec->namespaces[HULL_NS_TIME].present)
		return hull_json_error(&offsets, "offsets without a time namespace in linux.namespaces");
	return 0;
}

/* A rule covers the sysctl of that name, or all below a name that ends in '/'. The first that matches decides. */
static const struct sysctl_rule {
	const char *path;
	enum hull_oci_ns_type ns;      /* the namespace it belongs to */
	const char *refusal;           /* NULL: allowed within the namespace */
} sysctl_rules[] = {
	{ "kernel/msgmax", HULL_NS_IPC, NULL },
	{ "kernel/msgmnb", HULL_NS_IPC, NULL },
	{ "kernel/msgmni", HULL_NS_IPC, NULL },
	{ "kernel/sem", HULL_NS_IPC, NULL },
	{ "kernel/shmall", HULL_NS_IPC, NULL },
	{ "kernel/shmmax", HULL_NS_IPC, NULL },
	{ "kernel/shmmni", HULL_NS_IPC, NULL },
	{ "kernel/shm_rmid_forced", HULL_NS_IPC, NULL },
	{ "fs/mqueue/", HULL_NS_IPC, NULL },
	{ "net/", HULL_NS_NETWORK, NULL },
	{ "kernel/domainname", HULL_NS_UTS, NULL },
	{ "kernel/hostname", HULL_NS_UTS, "it conflicts with the field hostname" },
};

static const struct sysctl_rule *find_sysctl_rule(const char *path)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(sysctl_rules); i++) {
		const char *rule = sysctl_rules[i].path;
		size_t len = strlen(rule);
		if (rule[len - 1] == '/' ? strncmp(path, rule, len) == 0 : strcmp(path, rule) == 0)
			return &sysctl_rules[i];
	}
	return NULL;
}

static int check_sysctl(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	struct hull_json linux_object = hull_json_member(v, "linux");
	struct hull_json sysctl = hull_json_member(&linux_object, "sysctl");

	if (!sysctl.value)
		return 0;
	json_object_object_foreach(sysctl.value, key, value) {
		struct hull_json field = { .doc = v->doc, .parent = &sysctl, .key = key, .value = value };
		_cleanup_free_ char *path = NULL;
		if (hull_oci_sysctl_path(key, &path) < 0)
			return hull_json_error(&field, "not the name of a sysctl");

		const struct sysctl_rule *rule = find_sysctl_rule(path);
		if (!rule)
			return hull_json_error(&field, "not in a separate kernel namespace");
		if (!spec->namespaces[rule->ns].present)
			return hull_json_error(&field, "not allowed in the host's %s namespace", hull_oci_namespace_name(rule->ns));
		if (rule->refusal)
			return hull_json_error(&field, "not allowed: %s", rule->refusal);
	}
	return 0;
}

static int check_memory(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	const struct hull_oci_resources *r = &spec->resources;
	struct hull_json linux_object = hull_json_member(v, "linux");
	struct hull_json resources = hull_json_member(&linux_object, "resources");
	struct hull_json memory = hull_json_member(&resources, "memory");
	struct hull_json swap = hull_json_member(&memory, "swap");

	/* memory.swap is the sum of memory and swap. */
	if (r->has_memory_limit && r->has_memory_swap && r->memory_swap > 0 && r->memory_swap < r->memory_limit)
		return hull_json_error(&swap, "below linux.resources.memory.limit, which it includes");
	return 0;
}

int hull_oci_spec_validate(const struct hull_json *v, const struct hull_oci_spec *spec)
{
	static int (*const checks[])(const struct hull_json *, const struct hull_oci_spec *) = {
		check_uts, check_user_namespace, check_time_namespace, check_sysctl, check_memory,
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(checks); i++) {
		int r = checks[i](v, spec);
		if (r < 0)
			return r;
	}
	return 0;
}
