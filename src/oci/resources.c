/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources: cgroup limits. 0 means "not set" wherever runc takes it so, which engines rely on.
 * Source: runtime-spec 1.2, config-linux.md, Control groups; runc, libcontainer/specconv.
 */
#include <string.h>

#include "base/cleanup.h"
#include "oci/parse.h"

#define AT(member) HULL_AT(struct hull_oci_resources, member)

static const struct hull_json_name rule_type_names[] = { { "a", 'a' }, { "b", 'b' }, { "c", 'c' }, { NULL, 0 } };

static int read_rule_type(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	const char *text;
	uint64_t type = 'a';
	int r = hull_json_get_string(v, &text);
	if (r == 0 && *text)
		r = hull_json_lookup(v, f->names, &type);
	((struct hull_oci_device_rule *)target)->type = (char)type;
	return r;
}

static int read_access(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	struct hull_oci_device_rule *rule = target;
	const char *text;
	int r = hull_json_get_string(v, &text);
	if (r < 0)
		return r;
	for (const char *p = text; *p; p++) {
		unsigned bit = *p == 'r' ? HULL_DEV_READ : *p == 'w' ? HULL_DEV_WRITE : *p == 'm' ? HULL_DEV_MKNOD : 0;
		if (!bit)
			return hull_json_unexpected(v, "letters out of \"rwm\"");
		rule->access |= bit;
	}
	return rule->access ? 0 : hull_json_error(v, "must not be empty");
}

static int check_rule(const struct hull_json *v, void *target)
{
	struct hull_oci_device_rule *rule = target;
	struct hull_json major = hull_json_member(v, "major"), minor = hull_json_member(v, "minor");

	if (!rule->type)
		rule->type = 'a';
	if (!major.value)
		rule->major = -1;
	if (!minor.value)
		rule->minor = -1;
	return 0;
}

static const struct hull_json_field rule_fields[] = {
	HULL_FIELD("allow", hull_json_read_bool, HULL_AT(struct hull_oci_device_rule, allow)),
	HULL_FIELD("type", read_rule_type, 0, .names = rule_type_names),
	HULL_FIELD("major", hull_json_read_i64, HULL_AT(struct hull_oci_device_rule, major), .min = -1, .max = UINT32_MAX),
	HULL_FIELD("minor", hull_json_read_i64, HULL_AT(struct hull_oci_device_rule, minor), .min = -1, .max = UINT32_MAX),
	HULL_FIELD("access", read_access, 0, .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type rule_type = {
	.fields = rule_fields, .size = sizeof(struct hull_oci_device_rule), .check = check_rule,
};

/* Docker writes -1, "the default", as the largest unsigned number. */
static int read_swappiness(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t value = 0;
	int r = hull_json_get_u64(v, UINT64_MAX, &value);
	if (r < 0)
		return r;
	if (value == UINT64_MAX)
		return HULL_JSON_ABSENT;
	return hull_json_read_u64(v, f, target);
}

/* Limits that only cgroup v1 knew. */
static int read_v1_limit(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_nonzero_i64(v, f, target);
	if (r == 0)
		hull_json_ignore(v);
	return r;
}

static int read_v1_switch(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	bool *on = (bool *)(void *)((char *)target + f->at);
	int r = hull_json_read_bool(v, f, target);
	if (r == 0 && *on)
		hull_json_ignore(v);
	return r;
}

#define LIMIT(name, read, member) \
	HULL_FIELD(name, read, AT(member), .present_at = AT(has_##member), .min = -1, .max = INT64_MAX)
static const struct hull_json_field memory_fields[] = {
	LIMIT("limit", hull_json_read_nonzero_i64, memory_limit),
	LIMIT("reservation", hull_json_read_nonzero_i64, memory_reservation),
	LIMIT("swap", hull_json_read_nonzero_i64, memory_swap),
	LIMIT("kernel", read_v1_limit, memory_kernel),
	LIMIT("kernelTCP", read_v1_limit, memory_kernel_tcp),
	HULL_FIELD("swappiness", read_swappiness, AT(memory_swappiness), .max = 100, .present_at = AT(has_memory_swappiness)),
	HULL_FIELD("disableOOMKiller", read_v1_switch, AT(oom_kill_disable), .present_at = AT(has_oom_kill_disable)),
	HULL_FIELD("useHierarchy", hull_json_read_bool, AT(memory_use_hierarchy)),
	HULL_FIELD("checkBeforeUpdate", hull_json_read_bool, AT(memory_check_before_update)),
	HULL_FIELD_END,
};
static const struct hull_json_type memory_type = { .fields = memory_fields };

int hull_oci_read_cpu_list(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_string(v, f, target);
	if (r == 0) {
		const char *list = *(char **)(void *)((char *)target + f->at);
		if (list[strspn(list, "0123456789,-")])
			return hull_json_unexpected(v, "a list such as \"0-3,5\"");
	}
	return r;
}

/* Real-time groups do not exist in cgroup v2. */
static int read_realtime(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target HULL_UNUSED)
{
	int64_t value = 0;
	int r = hull_json_get_i64(v, INT64_MIN, INT64_MAX, &value);
	if (r < 0)
		return r;
	if (value == 0)
		return HULL_JSON_ABSENT;
	hull_json_ignore(v);
	return 0;
}

static const struct hull_json_field cpu_fields[] = {
	HULL_FIELD("shares", hull_json_read_nonzero_u64, AT(cpu_shares), .present_at = AT(has_cpu_shares)),
	HULL_FIELD("quota", hull_json_read_nonzero_i64, AT(cpu_quota), .present_at = AT(has_cpu_quota), .min = -1,
		   .max = INT64_MAX),
	HULL_FIELD("period", hull_json_read_nonzero_u64, AT(cpu_period), .present_at = AT(has_cpu_period)),
	HULL_FIELD("burst", hull_json_read_u64, AT(cpu_burst), .present_at = AT(has_cpu_burst)),
	HULL_FIELD("idle", hull_json_read_i64, AT(cpu_idle), .present_at = AT(has_cpu_idle), .min = 0, .max = 1),
	HULL_FIELD("realtimeRuntime", read_realtime, 0, .present_at = AT(has_cpu_rt)),
	HULL_FIELD("realtimePeriod", read_realtime, 0, .present_at = AT(has_cpu_rt)),
	HULL_FIELD("cpus", hull_oci_read_cpu_list, AT(cpu_cpus)),
	HULL_FIELD("mems", hull_oci_read_cpu_list, AT(cpu_mems)),
	HULL_FIELD_END,
};
static const struct hull_json_type cpu_type = { .fields = cpu_fields };

static const struct hull_json_field pids_fields[] = {
	HULL_FIELD("limit", hull_json_read_nonzero_i64, AT(pids_limit), .present_at = AT(has_pids_limit), .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type pids_type = { .fields = pids_fields };

static const struct hull_json_field throttle_fields[] = {
	HULL_FIELD("major", hull_json_read_i64, HULL_AT(struct hull_oci_throttle, major), .required = true, .min = 0,
		   .max = UINT32_MAX),
	HULL_FIELD("minor", hull_json_read_i64, HULL_AT(struct hull_oci_throttle, minor), .required = true, .min = 0,
		   .max = UINT32_MAX),
	HULL_FIELD("rate", hull_json_read_u64, HULL_AT(struct hull_oci_throttle, rate), .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type throttle_type = { .fields = throttle_fields, .size = sizeof(struct hull_oci_throttle) };

static int read_weight(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_nonzero_u16(v, f, target);
	const uint16_t *weight = (uint16_t *)(void *)((char *)target + f->at);
	return r == 0 && *weight < 10 ? hull_json_unexpected(v, "a weight from 10 to 1000") : r;
}

/* cgroup v2 has no leaf weights, and a host's device numbers name nothing in the VM. */
static int read_leaf_weight(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target HULL_UNUSED)
{
	uint64_t value = 0;
	int r = hull_json_get_u64(v, UINT16_MAX, &value);
	if (r < 0)
		return r;
	if (value == 0)
		return HULL_JSON_ABSENT;
	hull_json_ignore(v);
	return 0;
}

static int read_weight_devices(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED,
			       void *target HULL_UNUSED)
{
	size_t n;
	int r = hull_json_expect_array(v, &n);
	if (r < 0)
		return r;
	if (n == 0)
		return HULL_JSON_ABSENT;
	hull_json_ignore(v);
	return 0;
}

#define THROTTLE(name, member) \
	HULL_FIELD(name, hull_json_read_objects, AT(member), .aux_at = AT(n_##member), .type = &throttle_type)
static const struct hull_json_field block_fields[] = {
	HULL_FIELD("weight", read_weight, AT(blkio_weight), .present_at = AT(has_blkio_weight), .max = 1000),
	HULL_FIELD("leafWeight", read_leaf_weight, 0, .present_at = AT(has_blkio_other)),
	HULL_FIELD("weightDevice", read_weight_devices, 0, .present_at = AT(has_blkio_other)),
	THROTTLE("throttleReadBpsDevice", read_bps), THROTTLE("throttleWriteBpsDevice", write_bps),
	THROTTLE("throttleReadIOPSDevice", read_iops), THROTTLE("throttleWriteIOPSDevice", write_iops),
	HULL_FIELD_END,
};
static const struct hull_json_type block_type = { .fields = block_fields };

/* "2MB", "1GB". Source: config-linux.md, hugepageLimits. */
static int check_hugepage(const struct hull_json *v, void *target)
{
	const char *size = ((const struct hull_oci_hugepage_limit *)target)->page_size;
	size_t digits = strspn(size, "0123456789");
	struct hull_json page_size = hull_json_member(v, "pageSize");

	if (digits == 0 || size[0] == '0' || !size[digits] || !strchr("KMG", size[digits]) || strcmp(size + digits + 1, "B") != 0)
		return hull_json_unexpected(&page_size, "a size such as \"2MB\"");
	return 0;
}

static const struct hull_json_field hugepage_fields[] = {
	HULL_FIELD("pageSize", hull_json_read_string, HULL_AT(struct hull_oci_hugepage_limit, page_size), .required = true),
	HULL_FIELD("limit", hull_json_read_u64, HULL_AT(struct hull_oci_hugepage_limit, limit), .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type hugepage_type = {
	.fields = hugepage_fields, .size = sizeof(struct hull_oci_hugepage_limit), .check = check_hugepage,
};

/* Classes and priorities of cgroup v1, which mark packets for a host's traffic control. */
static int read_network(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_presence(v, f, target);
	if (r == 0)
		hull_json_ignore(v);
	return r;
}

/* Keys are names of files in a cgroup and must not lead out of it. */
static int read_unified(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_oci_read_kvs(v, f, target);
	const struct hull_oci_kvs *unified = &((const struct hull_oci_resources *)target)->unified;
	for (size_t i = 0; r == 0 && i < unified->n; i++) {
		struct hull_json entry = hull_json_member(v, unified->v[i].key);
		if (strchr(unified->v[i].key, '/') || !strchr(unified->v[i].key, '.') || unified->v[i].key[0] == '.')
			r = hull_json_error(&entry, "not the name of a cgroup file");
	}
	return r;
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("devices", hull_json_read_objects, AT(devices), .aux_at = AT(n_devices), .type = &rule_type),
	HULL_FIELD("memory", hull_json_read_object, 0, .type = &memory_type),
	HULL_FIELD("cpu", hull_json_read_object, 0, .type = &cpu_type),
	HULL_FIELD("pids", hull_json_read_object, 0, .type = &pids_type),
	HULL_FIELD("blockIO", hull_json_read_object, 0, .type = &block_type),
	HULL_FIELD("hugepageLimits", hull_json_read_objects, AT(hugepages), .aux_at = AT(n_hugepages), .type = &hugepage_type),
	HULL_FIELD("network", read_network, 0, .present_at = AT(has_network)),
	HULL_FIELD("rdma", hull_json_read_presence, 0, .present_at = AT(has_rdma)),
	HULL_FIELD("unified", read_unified, AT(unified)),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_resources_type = { .fields = fields };

void hull_oci_resources_clear(struct hull_oci_resources *r)
{
	for (size_t i = 0; i < r->n_hugepages; i++)
		free(r->hugepages[i].page_size);
	free(r->devices);
	free(r->cpu_cpus);
	free(r->cpu_mems);
	free(r->read_bps);
	free(r->write_bps);
	free(r->read_iops);
	free(r->write_iops);
	free(r->hugepages);
	hull_oci_kvs_clear(&r->unified);
	memset(r, 0, sizeof(*r));
}
