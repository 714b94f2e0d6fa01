/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/disks.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

/* A hot-plug takes a busy, emulated guest seconds. */
#define SEEN_TIMEOUT_MS 30000

/*
 *   WAITING ─plug▶ PLUGGING ─▶ PLUGGED ─unplug▶ LEAVING ─▶ (freed)
 * One whose container is gone while it is PLUGGING is unplugged when that is over. One that the guest does not let go of is STUCK
 * until the VM ends.
 */
enum disk_state { WAITING, PLUGGING, PLUGGED, LEAVING, STUCK };

struct hull_pod_disk {
	struct hull_pod_disk *next;
	struct hull_pod *pod;
	char *owner;                   /* container id */
	bool orphan;
	enum disk_state state;
	char id[12], serial[24];
	int fd;                        /* until it is plugged */
	Hull__Pod__V1__Disk__Kind kind;
	unsigned index;
	bool readonly;
	char *fstype, *options;
	uint32_t host_major, host_minor;
};

static bool is_of(const struct hull_pod_disk *d, const struct hull_container *c)
{
	return !d->orphan && strcmp(d->owner, c->id) == 0;
}

static void disk_free(struct hull_pod_disk *d)
{
	for (struct hull_pod_disk **at = &d->pod->disks; *at; at = &(*at)->next) {
		if (*at == d) {
			*at = d->next;
			break;
		}
	}
	hull_closep(&d->fd);
	free(d->owner);
	free(d->fstype);
	free(d->options);
	free(d);
}

void hull_disks_take(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, int *fds)
{
	/* The list is filled from its end, so that it is in the request's order. */
	for (size_t i = m->n_disks; i-- > 0;) {
		struct hull_pod_disk *d = hull_new(struct hull_pod_disk, 1);
		d->pod = c->pod;
		d->owner = hull_strdup(c->id);
		d->fd = TAKE_FD(fds[i]);
		d->kind = m->disks[i]->kind;
		d->index = m->disks[i]->index;
		d->readonly = m->disks[i]->readonly;
		d->fstype = hull_strdup(m->disks[i]->fstype);
		d->options = hull_strdup(m->disks[i]->options);
		d->host_major = m->disks[i]->host_major;
		d->host_minor = m->disks[i]->host_minor;
		snprintf(d->id, sizeof(d->id), "%u", ++c->pod->disk_number);
		snprintf(d->serial, sizeof(d->serial), "hull-%s", d->id);
		d->next = c->pod->disks;
		c->pod->disks = d;
	}
}

/* Whoever waits for a container's last disk to leave waits no more. */
static void disk_left(struct hull_pod_disk *d, bool is_stuck)
{
	struct hull_pod *pod = d->pod;
	_cleanup_free_ char *owner = hull_strdup(d->owner);
	if (is_stuck)
		d->state = STUCK;
	else
		disk_free(d);
	if (!hull_disks_leaving(pod, owner))
		hull_container_disks_free(pod, owner);
}

static void on_unplugged(void *data, const struct hull_error *err)
{
	struct hull_pod_disk *d = data;
	if (err && err->code == ECANCELED)
		return;
	if (err)
		hull_log_warning("disk %s of %s stays until the VM ends: %s", d->id, d->owner, err->message);
	disk_left(d, err != NULL);
}

static void unplug(struct hull_pod_disk *d)
{
	d->state = LEAVING;
	hull_vm_remove_disk(d->pod->vm, d->id, on_unplugged, d);
}

/* Plugged and seen by the guest, or not. */
static void plug_over(struct hull_pod_disk *d, const struct hull_error *err)
{
	struct hull_pod *pod = d->pod;
	struct hull_container *c = d->orphan ? NULL : hull_pod_find(pod, d->owner);

	if (!c) {
		if (d->state == PLUGGED)
			unplug(d);
		else
			disk_left(d, false);
	} else if (err) {
		struct hull_error cause = *err;
		hull_error_wrap(&cause, "attach a disk of %s", d->owner);
		hull_container_fail(c, &cause);
	} else if (hull_disks_ready(c)) {
		hull_container_continue(c);
	}
}

static void on_seen(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_pod_disk *d = data;
	struct hull_error err = HULL_ERROR_INIT;
	(void)response;
	if (status->code == HULL_RPC_CANCELLED)
		return;
	if (status->code != HULL_RPC_OK)
		hull_error_set(&err, hull_rpc_code_to_errno(status->code), "%s", status->message);
	d->state = PLUGGED;
	plug_over(d, err.code ? &err : NULL);
}

/* The VMM has it; the guest finds it a moment later. */
static void on_plugged(void *data, const struct hull_error *err)
{
	struct hull_pod_disk *d = data;
	struct hull_pod *pod = d->pod;

	hull_closep(&d->fd);
	if (!pod->vm || pod->lost)
		return;
	if (err) {
		d->state = WAITING;
		plug_over(d, err);
		return;
	}
	Hull__Agent__V1__DiskRef m = HULL__AGENT__V1__DISK_REF__INIT;
	m.serial = d->serial;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "AwaitDisk", &m.base,
		      &hull__agent__v1__empty__descriptor, SEEN_TIMEOUT_MS, NULL, 0, on_seen, d);
}

static void plug(struct hull_pod_disk *d)
{
	const struct hull_config *config = d->pod->config;
	const struct hull_disk disk = {
		.id = d->id, .fd = d->fd, .readonly = d->readonly, .serial = d->serial,
		.direct = config->disk_cache_none, .discard = config->disk_discard, .iothread = config->disk_iothread,
		.limits = d->pod->io.disk,
	};
	d->state = PLUGGING;
	hull_vm_add_disk(d->pod->vm, &disk, on_plugged, d);
}

bool hull_disks_ready(struct hull_container *c)
{
	bool ready = true;
	for (struct hull_pod_disk *d = c->pod->disks, *next; d; d = next) {
		next = d->next;
		if (!is_of(d, c) || d->state == PLUGGED)
			continue;
		ready = false;
		if (d->state == WAITING)
			plug(d);
	}
	return ready;
}

Hull__Agent__V1__Disk *hull_disks_describe(struct hull_container *c, size_t *ret_n)
{
	size_t n = 0;
	for (const struct hull_pod_disk *d = c->pod->disks; d; d = d->next)
		n += is_of(d, c);
	Hull__Agent__V1__Disk *out = hull_new(Hull__Agent__V1__Disk, n);
	*ret_n = n;
	n = 0;
	for (struct hull_pod_disk *d = c->pod->disks; d; d = d->next) {
		if (!is_of(d, c))
			continue;
		Hull__Agent__V1__Disk *disk = &out[n++];
		hull__agent__v1__disk__init(disk);
		disk->serial = d->serial;
		disk->kind = (Hull__Agent__V1__Disk__Kind)d->kind;
		disk->index = d->index;
		disk->readonly = d->readonly;
		disk->fstype = d->fstype;
		disk->options = d->options;
		disk->host_major = d->host_major;
		disk->host_minor = d->host_minor;
	}
	return out;
}

static const struct hull_pod_disk *find_kind(const struct hull_container *c, Hull__Pod__V1__Disk__Kind kind, unsigned index)
{
	for (const struct hull_pod_disk *d = c->pod->disks; d; d = d->next)
		if (is_of(d, c) && d->kind == kind && d->index == index)
			return d;
	return NULL;
}

bool hull_disks_has_rootfs(const struct hull_container *c)
{
	return find_kind(c, HULL__POD__V1__DISK__KIND__ROOTFS, 0) != NULL;
}

bool hull_disks_is_device(const struct hull_container *c, unsigned index)
{
	return find_kind(c, HULL__POD__V1__DISK__KIND__DEVICE, index) != NULL;
}

void hull_disks_renumber(struct hull_container *c, unsigned removed_device)
{
	for (struct hull_pod_disk *d = c->pod->disks; d; d = d->next)
		if (is_of(d, c) && d->kind == HULL__POD__V1__DISK__KIND__DEVICE && d->index > removed_device)
			d->index--;
}

void hull_disks_disown(struct hull_container *c)
{
	for (struct hull_pod_disk *d = c->pod->disks; d; d = d->next)
		if (is_of(d, c))
			d->orphan = true;
}

void hull_disks_release(struct hull_pod *pod, const char *container_id)
{
	for (struct hull_pod_disk *d = pod->disks, *next; d; d = next) {
		next = d->next;
		if (!d->orphan || strcmp(d->owner, container_id) != 0)
			continue;
		if (d->state == PLUGGED && pod->vm && !pod->lost)
			unplug(d);
		else if (d->state == WAITING)
			disk_free(d);
	}
}

bool hull_disks_leaving(const struct hull_pod *pod, const char *container_id)
{
	for (const struct hull_pod_disk *d = pod->disks; d; d = d->next)
		if (d->orphan && d->state != STUCK && strcmp(d->owner, container_id) == 0)
			return true;
	return false;
}

void hull_disks_free(struct hull_pod *pod)
{
	while (pod->disks)
		disk_free(pod->disks);
}
