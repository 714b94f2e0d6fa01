/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a container's limits to those of its VM's processes. Source: kernel documentation, cgroup-v1 (memory.rst, blkio-controller.rst,
 * sched-bwc.rst, pids.rst) and cgroup-v2.rst.
 */
#include "resources/hostgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "oci/cgroup_values.h"

#define CPU_PERIOD_DEFAULT_US 100000u
/* What a quota leaves to the VM itself: the guest's kernel and agent, the VMM's and virtiofsd's threads. A part of a CPU: 1/n. */
#define CPU_ROOM_PART 4
/* Threads of a VMM with many vCPUs, its pool of 64 and virtiofsd's of 64; the guest's processes are none of the host's. */
#define PIDS_ROOM 512

struct build {
	struct hull_hostgroup_settings *out;
	bool unified;
};

/* The file of either version; NULL: it has none. Takes `value`. */
static void add(const struct build *b, const char *controller, const char *v1, const char *v2, char *value, const char *field)
{
	const char *file = b->unified ? v2 : v1;
	if (!file) {
		free(value);
		return;
	}
	b->out->v = hull_reallocarray(b->out->v, b->out->n + 1, sizeof(*b->out->v));
	b->out->v[b->out->n++] = (struct hull_hostgroup_setting){ .controller = controller, .file = file, .value = value, .field = field };
}

static char *number(int64_t value)
{
	return hull_asprintf("%" PRId64, value);
}

static void convert_memory(const struct build *b, const struct hull_oci_resources *r, const struct hull_hostgroup_vm *vm)
{
	if (!r->has_memory_limit || r->memory_limit == 0)
		return;
	bool none = r->memory_limit < 0;
	char *value = none ? hull_strdup(b->unified ? "max" : "-1") : number((int64_t)(vm->memory_bytes + vm->overhead_bytes));
	add(b, "memory", "memory.limit_in_bytes", "memory.max", value, "memory.limit");
}

static void convert_quota(const struct build *b, const struct hull_oci_resources *r)
{
	bool has_period = r->has_cpu_period && r->cpu_period, has_quota = r->has_cpu_quota && r->cpu_quota != 0;
	int64_t period = has_period ? (int64_t)r->cpu_period : CPU_PERIOD_DEFAULT_US;
	int64_t quota = has_quota && r->cpu_quota > 0 ? r->cpu_quota + period / CPU_ROOM_PART : -1;
	if (!has_quota && !has_period)
		return;
	if (b->unified) {
		char *value = quota < 0 ? hull_asprintf("max %" PRId64, period) : hull_asprintf("%" PRId64 " %" PRId64, quota, period);
		add(b, "cpu", NULL, "cpu.max", value, has_quota ? "cpu.quota" : "cpu.period");
		return;
	}
	/* First no quota: an old one and a new period together may be more than the kernel accepts. */
	add(b, "cpu", "cpu.cfs_quota_us", NULL, number(-1), "cpu.quota");
	add(b, "cpu", "cpu.cfs_period_us", NULL, number(period), "cpu.period");
	add(b, "cpu", "cpu.cfs_quota_us", NULL, number(quota), "cpu.quota");
}

static void convert_cpu(const struct build *b, const struct hull_oci_resources *r)
{
	if (r->has_cpu_shares && r->cpu_shares)
		add(b, "cpu", "cpu.shares", "cpu.weight",
		    number((int64_t)(b->unified ? hull_oci_shares_to_weight(r->cpu_shares) : r->cpu_shares)), "cpu.shares");
	convert_quota(b, r);
}

static void convert_pids(const struct build *b, const struct hull_oci_resources *r)
{
	if (!r->has_pids_limit || r->pids_limit == 0)
		return;
	bool none = r->pids_limit < 0 || r->pids_limit > INT64_MAX - PIDS_ROOM;
	add(b, "pids", "pids.max", "pids.max", none ? hull_strdup("max") : number(r->pids_limit + PIDS_ROOM), "pids.limit");
}

static void add_throttle(const struct build *b, const char *v1, const char *key, const char *field,
			 const struct hull_oci_throttle *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *value;
		if (!b->unified)
			value = hull_asprintf("%" PRId64 ":%" PRId64 " %" PRIu64, v[i].major, v[i].minor, v[i].rate);
		else if (v[i].rate)
			value = hull_asprintf("%" PRId64 ":%" PRId64 " %s=%" PRIu64, v[i].major, v[i].minor, key, v[i].rate);
		else
			value = hull_asprintf("%" PRId64 ":%" PRId64 " %s=max", v[i].major, v[i].minor, key);
		add(b, "blkio", v1, "io.max", value, field);
	}
}

static void convert_io(const struct build *b, const struct hull_oci_resources *r)
{
	if (r->has_blkio_weight && r->blkio_weight) {
		uint64_t weight = b->unified ? hull_oci_blkio_to_io_weight(r->blkio_weight) : r->blkio_weight;
		add(b, "blkio", "blkio.weight", "io.weight", number((int64_t)weight), "blockIO.weight");
		b->out->v[b->out->n - 1].other_file = b->unified ? "io.bfq.weight" : "blkio.bfq.weight";
	}
	add_throttle(b, "blkio.throttle.read_bps_device", "rbps", "blockIO.throttleReadBpsDevice", r->read_bps, r->n_read_bps);
	add_throttle(b, "blkio.throttle.write_bps_device", "wbps", "blockIO.throttleWriteBpsDevice", r->write_bps, r->n_write_bps);
	add_throttle(b, "blkio.throttle.read_iops_device", "riops", "blockIO.throttleReadIOPSDevice", r->read_iops, r->n_read_iops);
	add_throttle(b, "blkio.throttle.write_iops_device", "wiops", "blockIO.throttleWriteIOPSDevice", r->write_iops, r->n_write_iops);
}

void hull_hostgroup_convert(const struct hull_oci_resources *resources, const struct hull_hostgroup_vm *vm, bool unified,
			    struct hull_hostgroup_settings *ret)
{
	*ret = (struct hull_hostgroup_settings){ 0 };
	const struct build b = { ret, unified };
	convert_memory(&b, resources, vm);
	convert_cpu(&b, resources);
	convert_pids(&b, resources);
	convert_io(&b, resources);
}

void hull_hostgroup_settings_clear(struct hull_hostgroup_settings *settings)
{
	for (size_t i = 0; i < settings->n; i++)
		free(settings->v[i].value);
	free(settings->v);
	*settings = (struct hull_hostgroup_settings){ 0 };
}

bool hull_hostgroup_wanted(const struct hull_oci_resources *resources)
{
	const struct hull_hostgroup_vm vm = { 0 };
	struct hull_hostgroup_settings settings;
	hull_hostgroup_convert(resources, &vm, true, &settings);
	bool wanted = settings.n > 0;
	hull_hostgroup_settings_clear(&settings);
	return wanted;
}

static const struct hull_hostgroup_dir *find_dir(const struct hull_hostgroup *group, const char *controller)
{
	size_t len = strlen(controller);
	for (size_t i = 0; i < group->n; i++) {
		if (group->unified)
			return &group->v[i];
		for (const char *p = group->v[i].controllers; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
			if (strncmp(p, controller, len) == 0 && (p[len] == ',' || p[len] == '\0'))
				return &group->v[i];
	}
	return NULL;
}

static int write_setting(const struct hull_hostgroup *group, const struct hull_hostgroup_setting *s, struct hull_error *err)
{
	const struct hull_hostgroup_dir *dir = find_dir(group, s->controller);
	if (!dir)
		return hull_error_set(err, ENOTSUP, "linux.resources.%s: this host has no %s control groups", s->field, s->controller);
	_cleanup_free_ char *path = hull_asprintf("%s/%s", dir->path, s->file);
	int r = hull_file_write(AT_FDCWD, path, s->value);
	if (r == -ENOENT && s->other_file) {
		_cleanup_free_ char *other = hull_asprintf("%s/%s", dir->path, s->other_file);
		r = hull_file_write(AT_FDCWD, other, s->value);
	}
	if (r == -ENOENT)
		return hull_error_set(err, ENOTSUP, "linux.resources.%s: this host's kernel has no %s", s->field, s->file);
	return r < 0 ? hull_error_errno(err, r, "linux.resources.%s: write \"%s\" to %s", s->field, s->value, path) : 0;
}

int hull_hostgroup_limit(const struct hull_hostgroup *group, const struct hull_oci_resources *resources,
			 const struct hull_hostgroup_vm *vm, struct hull_error *err)
{
	struct hull_hostgroup_settings settings;
	int r = 0;
	hull_hostgroup_convert(resources, vm, group->unified, &settings);
	for (size_t i = 0; r == 0 && i < settings.n; i++)
		r = write_setting(group, &settings.v[i], err);
	hull_hostgroup_settings_clear(&settings);
	return r;
}
