/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofs has no limits of its own, neither in the guest nor in the VMM, and what virtiofsd reads and writes is the host's. So the
 * host keeps them, in the control group where virtiofsd is: that of the pod's first container.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "pod/pod.h"
#include "storage/share_disks.h"

static struct hull_oci_throttle *throttles(const struct hull_share_disks *disks, uint64_t rate, size_t *ret_n)
{
	if (!rate)
		return NULL;
	struct hull_oci_throttle *v = hull_new(struct hull_oci_throttle, disks->n);
	for (size_t i = 0; i < disks->n; i++)
		v[i] = (struct hull_oci_throttle){ .major = disks->v[i].major, .minor = disks->v[i].minor, .rate = rate };
	*ret_n = disks->n;
	return v;
}

static int limit(const struct hull_container *first, const struct hull_pod_io *io, const struct hull_share_disks *disks,
		 struct hull_error *err)
{
	const struct hull_hostgroup_vm vm = { 0 };
	struct hull_oci_resources r = { .has_blkio_weight = io->weight > 0, .blkio_weight = io->weight };
	r.read_bps = throttles(disks, io->share.read_bps, &r.n_read_bps);
	r.write_bps = throttles(disks, io->share.write_bps, &r.n_write_bps);
	r.read_iops = throttles(disks, io->share.read_iops, &r.n_read_iops);
	r.write_iops = throttles(disks, io->share.write_iops, &r.n_write_iops);
	int n = hull_hostgroup_limit(&first->state->group, &r, &vm, err);
	free(r.read_bps);
	free(r.write_bps);
	free(r.read_iops);
	free(r.write_iops);
	return n;
}

int hull_pod_limit_share(struct hull_pod *pod, struct hull_error *err)
{
	struct hull_share_disks disks;
	const struct hull_container *first = pod->containers;
	if (!hull_pod_io_acts_on_host(&pod->io))
		return 0;
	while (first && first->role == HULL_ROLE_MEMBER)
		first = first->next;
	if (!first || first->state->group.n == 0)
		return hull_error_set(err, ENOTSUP, "%s: limits of what the pod shares need a control group on this host, and it has none",
				      pod->io.said_by);
	_cleanup_free_ char *dir = hull_asprintf("%s/share", pod->dir);
	int r = hull_share_disks_now(dir, &disks, err);
	if (r < 0)
		return r;
	r = limit(first, &pod->io, &disks, err);
	if (r < 0)
		hull_error_wrap(err, "%s", pod->io.said_by);
	else if (disks.other)
		hull_log_warning("%s: the limits do not hold for %s, which is on no disk of this host", pod->io.said_by, disks.other);
	hull_share_disks_clear(&disks);
	return r;
}
