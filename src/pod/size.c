/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/units.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define DEFAULT_PERIOD_US 100000
/* Kubernetes writes this share for a container that requests nothing. Source: kubelet, MilliCPUToShares(). */
#define SHARES_OF_NOTHING 2
#define SHARES_PER_CPU 1024
/* A guest sets about 200 KiB aside for each CPU that may come. */
#define VCPUS_MAX_DEFAULT 32
#define VCPUS_MOST 240

static unsigned host_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

/* ---- one container */

static void count_cpu(struct hull_demand *d, int64_t quota, uint64_t period, uint64_t shares)
{
	d->bursts = quota <= 0 && shares > SHARES_OF_NOTHING;
	if (quota > 0)
		d->cpu_milli = ((uint64_t)quota * 1000 + (period ? period : DEFAULT_PERIOD_US) - 1) / (period ? period : DEFAULT_PERIOD_US);
	else
		d->cpu_milli = d->bursts ? (shares * 1000 + SHARES_PER_CPU - 1) / SHARES_PER_CPU : 0;
}

void hull_demand_of(const struct hull_oci_resources *r, struct hull_demand *ret)
{
	*ret = (struct hull_demand){ 0 };
	if (!r)
		return;
	if (r->has_memory_limit && r->memory_limit > 0)
		ret->memory_bytes = (uint64_t)r->memory_limit;
	count_cpu(ret, r->has_cpu_quota ? r->cpu_quota : 0, r->has_cpu_period ? r->cpu_period : 0, r->has_cpu_shares ? r->cpu_shares : 0);
}

void hull_demand_update(struct hull_demand *d, const struct hull_oci_resources *r)
{
	if (r->has_memory_limit && r->memory_limit != 0)
		d->memory_bytes = r->memory_limit > 0 ? (uint64_t)r->memory_limit : 0;
	/* A quota comes without its period only if that stays the default; shares alone change no quota. */
	if (r->has_cpu_quota && r->cpu_quota != 0)
		count_cpu(d, r->cpu_quota, r->has_cpu_period ? r->cpu_period : 0, r->has_cpu_shares ? r->cpu_shares : 0);
	else if (r->has_cpu_shares && (d->bursts || d->cpu_milli == 0))
		count_cpu(d, 0, 0, r->cpu_shares);
}

/* ---- the pod's annotations */

struct annotation {
	const char *key;
	int (*read)(const struct annotation *a, const char *value, struct hull_pod_size *size, struct hull_error *err);
};

static int bad(const struct annotation *a, const char *value, struct hull_error *err, const char *expected)
{
	return hull_error_set(err, EINVAL, "annotations: \"%s\" is \"%.32s\": expected %s", a->key, value, expected);
}

/* A decimal number without sign and exponent; -1 for anything else. */
static double read_decimal(const char *text)
{
	if (!*text || strlen(text) > 12 || text[strspn(text, "0123456789.")] || text[0] == '.')
		return -1;
	char *end;
	double value = strtod(text, &end);
	return *end ? -1 : value;
}

static int check_host_memory(const struct annotation *a, const char *value, uint64_t bytes, struct hull_error *err)
{
	uint64_t host = hull_host_memory_bytes();
	if (host > 0 && bytes > host)
		return hull_error_set(err, ERANGE, "annotations: \"%s\" is \"%.32s\": more than the host's %llu MiB", a->key, value,
				      (unsigned long long)(host / MIB));
	return 0;
}

static int check_host_cpus(const struct annotation *a, const char *value, double cpus, struct hull_error *err)
{
	if (cpus > host_cpus())
		return hull_error_set(err, ERANGE, "annotations: \"%s\" is \"%.32s\": more than the host's %u CPUs", a->key, value, host_cpus());
	return 0;
}

/* Source: openEuler, secure container user guide: 0.25 and up, rounded up to whole vCPUs. */
static int read_sandbox_cpu(const struct annotation *a, const char *value, struct hull_pod_size *size, struct hull_error *err)
{
	double cpus = read_decimal(value);
	if (cpus < 0.25)
		return bad(a, value, err, "a number of CPUs, at least 0.25");
	int r = check_host_cpus(a, value, cpus, err);
	if (r == 0)
		size->vcpus = (unsigned)ceil(cpus);
	return r;
}

/* Source: the same: 300 MiB to 512 GiB, with the units of Docker's -m. */
static int read_sandbox_mem(const struct annotation *a, const char *value, struct hull_pod_size *size, struct hull_error *err)
{
	uint64_t bytes;
	if (hull_parse_size(value, &bytes) < 0 || bytes < 300 * MIB || bytes > 512 * GIB)
		return bad(a, value, err, "a size from 300M to 512G");
	int r = check_host_memory(a, value, bytes, err);
	if (r == 0)
		size->memory_bytes = bytes;
	return r;
}

static int read_default_vcpus(const struct annotation *a, const char *value, struct hull_pod_size *size, struct hull_error *err)
{
	double cpus = read_decimal(value);
	if (cpus <= 0)
		return bad(a, value, err, "a number of vCPUs");
	int r = check_host_cpus(a, value, cpus, err);
	if (r == 0)
		size->least_vcpus = (unsigned)ceil(cpus);
	return r;
}

static int read_default_memory(const struct annotation *a, const char *value, struct hull_pod_size *size, struct hull_error *err)
{
	int64_t mib;
	if (hull_parse_i64(value, 96, 1 << 20, &mib) < 0)
		return bad(a, value, err, "a number of MiB, at least 96");
	int r = check_host_memory(a, value, (uint64_t)mib * MIB, err);
	if (r == 0)
		size->least_memory_bytes = (uint64_t)mib * MIB;
	return r;
}

static const struct annotation annotations[] = {
	{ "io.katacontainers.sandbox_cpu", read_sandbox_cpu },
	{ "com.github.containers.virtcontainers.sandbox_cpu", read_sandbox_cpu },
	{ "io.katacontainers.sandbox_mem", read_sandbox_mem },
	{ "com.github.containers.virtcontainers.sandbox_mem", read_sandbox_mem },
	{ "io.katacontainers.config.hypervisor.default_vcpus", read_default_vcpus },
	{ "io.katacontainers.config.hypervisor.default_memory", read_default_memory },
};

/* A number that containerd wrote; 0 when it is not there or means "no limit". */
static int read_total(const struct hull_oci_spec *spec, const char *key, int64_t *ret, struct hull_error *err)
{
	const char *value = hull_oci_annotation(spec, key);
	*ret = 0;
	if (value && hull_parse_i64(value, -1, INT64_MAX / 1000, ret) < 0)
		return hull_error_set(err, EINVAL, "annotations: \"%s\" is \"%.32s\": expected a number", key, value);
	if (*ret < 0)
		*ret = 0;
	return 0;
}

static int read_totals(const struct hull_oci_spec *spec, struct hull_pod_size *size, struct hull_error *err)
{
	int64_t memory, quota, period, shares;
	struct hull_demand cpu = { 0 };
	if (read_total(spec, "io.kubernetes.cri.sandbox-memory", &memory, err) < 0 ||
	    read_total(spec, "io.kubernetes.cri.sandbox-cpu-quota", &quota, err) < 0 ||
	    read_total(spec, "io.kubernetes.cri.sandbox-cpu-period", &period, err) < 0 ||
	    read_total(spec, "io.kubernetes.cri.sandbox-cpu-shares", &shares, err) < 0)
		return -err->code;
	count_cpu(&cpu, quota, (uint64_t)period, (uint64_t)shares);
	size->total_memory_bytes = (uint64_t)memory;
	size->total_cpu_milli = cpu.cpu_milli;
	size->bursts = cpu.bursts;
	return 0;
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(annotations); i++)
		if (strcmp(key, annotations[i].key) == 0)
			return true;
	return false;
}

/* Words for another runtime's VM: an annotation may say anything, but whoever wrote these expects something of them. */
static void tell_of_others(const struct hull_oci_spec *spec)
{
	static const char prefix[] = "io.katacontainers.config.hypervisor.";
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (strncmp(spec->annotations.v[i].key, prefix, strlen(prefix)) == 0 && !is_known(spec->annotations.v[i].key))
			hull_log_info("annotations: \"%.128s\" has no effect", spec->annotations.v[i].key);
}

int hull_pod_size_parse(const struct hull_oci_spec *spec, struct hull_pod_size *ret, struct hull_error *err)
{
	*ret = (struct hull_pod_size){ 0 };
	tell_of_others(spec);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(annotations); i++) {
		const char *value = hull_oci_annotation(spec, annotations[i].key);
		int r = value ? annotations[i].read(&annotations[i], value, ret, err) : 0;
		if (r < 0)
			return r;
	}
	return read_totals(spec, ret, err);
}

static bool is_repeated(const struct annotation *a, const char *value, const struct hull_pod_size *pod)
{
	struct hull_pod_size with = *pod;
	return a->read(a, value, &with, NULL) == 0 && with.vcpus == pod->vcpus && with.memory_bytes == pod->memory_bytes &&
	       with.least_vcpus == pod->least_vcpus && with.least_memory_bytes == pod->least_memory_bytes;
}

int hull_pod_size_check_member(const struct hull_oci_spec *spec, const struct hull_pod_size *pod, struct hull_error *err)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(annotations); i++) {
		const char *value = hull_oci_annotation(spec, annotations[i].key);
		if (value && !is_repeated(&annotations[i], value, pod))
			return hull_error_set(err, EINVAL, "annotations: \"%s\" sizes a VM: it is for the first container of a pod, not for one "
					      "that joins it", annotations[i].key);
	}
	return 0;
}

/* ---- the sum */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Limits far beyond the host are common and are never reached; their sum must not overflow. */
static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static uint64_t sum_memory(const struct hull_config *config, const struct hull_pod_size *pod, const struct hull_demand *demands, size_t n)
{
	uint64_t limits = 0, host = hull_host_memory_bytes(), least = pod->least_memory_bytes ? pod->least_memory_bytes : config->memory_bytes;
	bool unlimited = false;
	for (size_t i = 0; i < n; i++) {
		limits = add_capped(limits, demands[i].memory_bytes);
		unlimited = unlimited || (demands[i].memory_bytes == 0 && !demands[i].modest);
	}
	if (unlimited && least > config->memory_base_bytes)
		limits = add_capped(limits, least - config->memory_base_bytes);
	uint64_t wanted = add_capped(config->memory_base_bytes, larger(limits, pod->total_memory_bytes));
	wanted = larger(larger(wanted, least), pod->memory_bytes);
	if (host > 0 && wanted > host)
		wanted = host;
	return wanted & ~(2 * MIB - 1);
}

static unsigned sum_vcpus(const struct hull_config *config, const struct hull_pod_size *pod, const struct hull_demand *demands, size_t n)
{
	uint64_t milli = 0, host = host_cpus();
	bool bursts = pod->bursts;
	for (size_t i = 0; i < n; i++) {
		milli = add_capped(milli, demands[i].cpu_milli);
		bursts = bursts || demands[i].bursts;
	}
	milli = larger(milli, pod->total_cpu_milli);
	uint64_t wanted = milli / 1000 + (milli % 1000 ? 1 : 0);
	/* What may use more than it requests must be able to. */
	wanted = larger(wanted, bursts ? 2 : 1);
	wanted = larger(wanted, pod->least_vcpus ? pod->least_vcpus : config->vcpus);
	wanted = larger(wanted, pod->vcpus);
	/* More than the host has only if the configuration says so, and never more than a VM can have. */
	host = larger(host < VCPUS_MOST ? host : VCPUS_MOST, config->vcpus);
	return (unsigned)(wanted > host ? host : wanted);
}

struct hull_size hull_size_sum(const struct hull_config *config, const struct hull_pod_size *pod, const struct hull_demand *demands,
			       size_t n)
{
	return (struct hull_size){ .memory_bytes = sum_memory(config, pod, demands, n), .vcpus = sum_vcpus(config, pod, demands, n) };
}

struct hull_size hull_size_largest(const struct hull_config *config, const struct hull_size *first)
{
	uint64_t memory = config->memory_max_bytes ? config->memory_max_bytes : hull_host_memory_bytes();
	unsigned vcpus = config->vcpus_max ? config->vcpus_max : host_cpus() < VCPUS_MAX_DEFAULT ? host_cpus() : VCPUS_MAX_DEFAULT;
	return (struct hull_size){
		.memory_bytes = larger(memory & ~(2 * MIB - 1), first->memory_bytes),
		.vcpus = vcpus > first->vcpus ? vcpus : first->vcpus,
	};
}
