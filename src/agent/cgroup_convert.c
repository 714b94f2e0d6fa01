/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup_convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cgroup_values.h"

#define CPU_PERIOD_DEFAULT_US 100000u

int hull_cgroup_swap(int64_t memory_swap, int64_t memory, int64_t *ret, struct hull_error *err)
{
	if (memory == -1 && memory_swap == 0)
		memory_swap = -1;
	if (memory_swap == -1) {
		*ret = -1;
		return 1;
	}
	if (memory_swap == 0)
		return 0;
	if (memory == 0 || memory == -1)
		return hull_error_set(err, EINVAL, "linux.resources.memory.swap: unable to set swap limit without memory limit");
	if (memory < 0 || memory_swap < 0)
		return hull_error_set(err, EINVAL, "linux.resources.memory.swap: negative limit");
	if (memory_swap < memory)
		return hull_error_set(err, EINVAL, "linux.resources.memory.swap: memory+swap limit should be >= memory limit");
	*ret = memory_swap - memory;
	return 1;
}

static struct hull_cgroup_setting *add(struct hull_cgroup_settings *settings, const char *file, const char *field)
{
	settings->v = hull_reallocarray(settings->v, settings->n + 1, sizeof(*settings->v));
	struct hull_cgroup_setting *s = &settings->v[settings->n++];
	memset(s, 0, sizeof(*s));
	snprintf(s->file, sizeof(s->file), "%s", file);
	snprintf(s->field, sizeof(s->field), "linux.resources.%s", field);
	return s;
}

static void add_text(struct hull_cgroup_settings *settings, const char *file, const char *field, const char *value)
{
	add(settings, file, field)->value = hull_strdup(value);
}

/* -1 is "max". */
static void add_limit(struct hull_cgroup_settings *settings, const char *file, const char *field, int64_t value)
{
	add(settings, file, field)->value = value < 0 ? hull_strdup("max") : hull_asprintf("%" PRId64, value);
}

static void convert_cpu(const struct hull_oci_resources *r, struct hull_cgroup_settings *out)
{
	if (r->has_cpu_idle)
		add_limit(out, "cpu.idle", "cpu.idle", r->cpu_idle);
	uint64_t weight = r->has_cpu_shares ? hull_oci_shares_to_weight(r->cpu_shares) : 0;
	/* cpu.weight cannot be written while the group is idle. */
	if (weight && !(r->has_cpu_idle && r->cpu_idle > 0))
		add_limit(out, "cpu.weight", "cpu.shares", (int64_t)weight);

	uint64_t period = r->has_cpu_period && r->cpu_period ? r->cpu_period : CPU_PERIOD_DEFAULT_US;
	bool has_quota = r->has_cpu_quota && r->cpu_quota != 0;
	if (has_quota && r->cpu_quota > 0)
		add(out, "cpu.max", "cpu.quota")->value = hull_asprintf("%" PRId64 " %" PRIu64, r->cpu_quota, period);
	else if (has_quota || (r->has_cpu_period && r->cpu_period))
		add(out, "cpu.max", has_quota ? "cpu.quota" : "cpu.period")->value = hull_asprintf("max %" PRIu64, period);
	if (r->has_cpu_burst)
		add_limit(out, "cpu.max.burst", "cpu.burst", (int64_t)r->cpu_burst);

	if (r->cpu_cpus && *r->cpu_cpus)
		add_text(out, "cpuset.cpus", "cpu.cpus", r->cpu_cpus);
	if (r->cpu_mems && *r->cpu_mems)
		add_text(out, "cpuset.mems", "cpu.mems", r->cpu_mems);
}

static int convert_memory(const struct hull_oci_resources *r, struct hull_cgroup_settings *out, struct hull_error *err)
{
	int64_t swap, limit = r->has_memory_limit ? r->memory_limit : 0;
	int n = hull_cgroup_swap(r->has_memory_swap ? r->memory_swap : 0, limit, &swap, err);
	if (n < 0)
		return n;
	if (n > 0) {
		add_limit(out, "memory.swap.max", "memory.swap", swap);
		/* A kernel without swap accounting has nothing to limit. */
		out->v[out->n - 1].optional = true;
	}
	if (limit != 0)
		add_limit(out, "memory.max", "memory.limit", limit);
	if (r->has_memory_reservation && r->memory_reservation != 0)
		add_limit(out, "memory.low", "memory.reservation", r->memory_reservation);
	return 0;
}

/* Throttles name devices of the host, which applies them. */
static void convert_io(const struct hull_oci_resources *r, struct hull_cgroup_settings *out)
{
	uint64_t weight = r->has_blkio_weight ? hull_oci_blkio_to_io_weight(r->blkio_weight) : 0;
	if (weight) {
		add_limit(out, "io.weight", "blockIO.weight", (int64_t)weight);
		out->v[out->n - 1].optional = true;
	}
}

static int convert_others(const struct hull_oci_resources *r, struct hull_cgroup_settings *out, struct hull_error *err)
{
	for (size_t i = 0; i < r->n_hugepages; i++) {
		char file[96];
		if (strchr(r->hugepages[i].page_size, '/'))
			return hull_error_set(err, EINVAL, "linux.resources.hugepageLimits: bad page size");
		snprintf(file, sizeof(file), "hugetlb.%.32s.max", r->hugepages[i].page_size);
		add(out, file, "hugepageLimits")->value = hull_asprintf("%" PRIu64, r->hugepages[i].limit);
	}
	for (size_t i = 0; i < r->unified.n; i++) {
		const struct hull_oci_kv *kv = &r->unified.v[i];
		if (strchr(kv->key, '/') || !strchr(kv->key, '.') || strlen(kv->key) > 64)
			return hull_error_set(err, EINVAL, "linux.resources.unified: \"%.64s\" must be a file name without slashes", kv->key);
		if (strncmp(kv->key, "cgroup.", 7) == 0)
			return hull_error_set(err, EINVAL, "linux.resources.unified: \"%.64s\" is not a resource", kv->key);
		char field[96];
		snprintf(field, sizeof(field), "unified.%.64s", kv->key);
		add_text(out, kv->key, field, kv->value);
	}
	return 0;
}

int hull_cgroup_convert(const struct hull_oci_resources *resources, struct hull_cgroup_settings *ret,
			struct hull_error *err)
{
	*ret = (struct hull_cgroup_settings){ 0 };
	int r = convert_memory(resources, ret, err);
	if (r == 0) {
		convert_cpu(resources, ret);
		convert_io(resources, ret);
		r = convert_others(resources, ret, err);
	}
	if (r < 0)
		hull_cgroup_settings_clear(ret);
	return r;
}

void hull_cgroup_settings_clear(struct hull_cgroup_settings *settings)
{
	for (size_t i = 0; i < settings->n; i++)
		free(settings->v[i].value);
	free(settings->v);
	*settings = (struct hull_cgroup_settings){ 0 };
}
