/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large a pod's VM has to be: pure arithmetic over what its containers ask for. docs/sizing.md has the rules for people.
 *
 *     memory = memory_base + the containers' limits + one allowance for all that have none     (at least `memory`)
 *     vCPUs  = the containers' quotas, and the requests of those without a quota, rounded up   (at least `vcpus`)
 *
 * An engine that announces the pod's totals with its first container gets them at once. The host's own size is the bound of both.
 */
#pragma once

#include "base/error.h"
#include "oci/spec.h"
#include "pod/config.h"

/* What one container asks for. */
struct hull_demand {
	uint64_t memory_bytes;         /* its limit; 0: none */
	uint64_t cpu_milli;            /* thousandths of a CPU: its quota, or its request; 0: neither */
	bool bursts;                   /* a request without a quota: it may use more */
	bool modest;                   /* a pause container: without a limit it needs nothing worth counting */
};

/* What annotations say about the pod as a whole. */
struct hull_pod_size {
	uint64_t memory_bytes;         /* a size of the VM, all included; 0: none */
	uint64_t total_memory_bytes;   /* of all limits of its containers; 0: not announced */
	uint64_t total_cpu_milli;
	bool bursts;
	unsigned vcpus;                /* at least; 0: none */
	uint64_t least_memory_bytes;   /* instead of the configured `memory`; 0: none */
	unsigned least_vcpus;          /* instead of the configured `vcpus` */
};

struct hull_size {
	uint64_t memory_bytes;         /* multiple of 2 MiB */
	unsigned vcpus;
};

/* What a container with these resources asks of its VM; NULL: none are named. */
void hull_demand_of(const struct hull_oci_resources *resources, struct hull_demand *ret);

/* Changes in `demand` what `resources`, an update, names. */
void hull_demand_update(struct hull_demand *demand, const struct hull_oci_resources *resources);

/*
 * Reads the annotations of a pod's first container. Errors name the annotation, and what its value may be on this host.
 * Source: containerd's CRI plugin (sandbox-cpu-*, sandbox-memory); openEuler's and Kata Containers' documentation.
 */
int hull_pod_size_parse(const struct hull_oci_spec *spec, struct hull_pod_size *ret, struct hull_error *err);

/*
 * A container that joins a pod cannot size its VM. It may repeat what the first one said: containerd gives the pod's annotations to
 * all its containers.
 */
int hull_pod_size_check_member(const struct hull_oci_spec *spec, const struct hull_pod_size *pod, struct hull_error *err);

/* The size of a VM whose `n` containers ask for `demands`: what is configured for the guest itself, and the sum of theirs. */
struct hull_size hull_size_sum(const struct hull_config *config, const struct hull_pod_size *pod, const struct hull_demand *demands,
			       size_t n);

/*
 * What the VM may grow to: hot-plug has to know when the VM starts, and each CPU that could come costs the guest some memory. At
 * least `first`.
 */
struct hull_size hull_size_largest(const struct hull_config *config, const struct hull_size *first);
