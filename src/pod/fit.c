/* SPDX-License-Identifier: Apache-2.0 */
/* A VM that is large enough: before a container is made in it, and before a limit goes up. */
#include "pod/pod.h"

#include "base/cleanup.h"
#include "base/mem.h"

struct hull_pod_fit {
	struct hull_pod_fit *next;     /* of the same container */
	struct hull_container *container;      /* NULL: it is gone */
	struct hull_demand before;
	hull_pod_fit_fn done;
	void *data;
};

struct hull_size hull_pod_wanted_size(const struct hull_pod *pod)
{
	size_t n = 0;
	for (const struct hull_container *c = pod->containers; c; c = c->next)
		n++;
	_cleanup_free_ struct hull_demand *demands = hull_new(struct hull_demand, n);
	n = 0;
	for (const struct hull_container *c = pod->containers; c; c = c->next)
		demands[n++] = c->demand;
	struct hull_size size = hull_size_sum(pod->config, &pod->size, demands, n);
	if (!pod->vm)
		return size;
	/* Limits whose sum is larger than the VM can be are never reached all at once. */
	const struct hull_vm_facts *facts = hull_vm_facts(pod->vm);
	if (size.memory_bytes > facts->memory_max_bytes)
		size.memory_bytes = facts->memory_max_bytes;
	if (size.vcpus > facts->vcpus_max)
		size.vcpus = facts->vcpus_max;
	return size;
}

static void forget(struct hull_pod_fit *fit)
{
	struct hull_pod_fit **at = &fit->container->fitting;
	while (*at != fit)
		at = &(*at)->next;
	*at = fit->next;
}

static void on_grown(void *data, const struct hull_error *err)
{
	struct hull_pod_fit *fit = data;
	struct hull_container *c = fit->container;
	struct hull_error wrapped = HULL_ERROR_INIT;

	if (c) {
		forget(fit);
		if (err) {
			c->demand = fit->before;
			wrapped = *err;
			hull_error_wrap(&wrapped, "the VM does not grow to what its containers need");
		}
		fit->done(fit->data, c, err ? &wrapped : NULL);
	}
	free(fit);
}

void hull_pod_fit(struct hull_container *c, const struct hull_demand *demand, hull_pod_fit_fn done, void *data)
{
	struct hull_pod_fit *fit = hull_new(struct hull_pod_fit, 1);
	*fit = (struct hull_pod_fit){ .next = c->fitting, .container = c, .before = c->demand, .done = done, .data = data };
	c->fitting = fit;
	c->demand = *demand;
	struct hull_size size = hull_pod_wanted_size(c->pod);
	hull_pod_widen_host(c->pod, size.memory_bytes);
	hull_vm_grow(c->pod->vm, size.memory_bytes, size.vcpus, on_grown, fit);
}

void hull_pod_fit_cancel(struct hull_container *c)
{
	while (c->fitting) {
		struct hull_pod_fit *fit = c->fitting;
		struct hull_error err = HULL_ERROR_INIT;
		c->fitting = fit->next;
		fit->container = NULL;
		hull_error_set(&err, ECANCELED, "container %s is gone", c->id);
		fit->done(fit->data, NULL, &err);
	}
}
