/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of devices: which commands make one, with which members. */
#include "vmm/qemu_device.h"

#include <stdio.h>

#include "base/cleanup.h"

static struct json_object *fdset_args(const struct hull_qemu_device *d)
{
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "fdset-id", json_object_new_int64(d->fdset));
	return args;
}

static struct json_object *fdname_args(const struct hull_qemu_device *d)
{
	char name[sizeof(d->id) + 8];
	snprintf(name, sizeof(name), "%s.%u", d->id, d->fd_at);
	return hull_qemu_object("fdname", name, NULL);
}

/* The names under which QEMU keeps `n` descriptors from the `first` on. */
static const char *fd_names(const struct hull_qemu_device *d, unsigned first, unsigned n, char *buf, size_t size)
{
	size_t used = 0;
	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s.%u", i ? ":" : "", d->id, first + i);
	return buf;
}

struct json_object *hull_qemu_device_id_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("id", d->id, NULL);
}

/* What all virtio devices of ours have in common, and the two members by which the kinds differ. */
static struct json_object *virtio_args(const struct hull_qemu_device *d, const char *driver, const char *backend_member,
				       const char *detail_member)
{
	char bus[16] = HULL_QEMU_NIC_BUS, addr[8];
	snprintf(addr, sizeof(addr), "0x%x", d->place + 1);
	if (!d->kind->on_bridge)
		snprintf(bus, sizeof(bus), HULL_QEMU_PORT_PREFIX "%u", d->place);
	struct json_object *args = hull_qemu_object("driver", driver, "id", d->id, "bus", bus, "disable-legacy", "on", "romfile", "",
						    backend_member, d->id, detail_member, d->detail, NULL);
	if (d->kind->on_bridge)
		json_object_object_add(args, "addr", json_object_new_string(addr));
	return args;
}

static bool wants_iothread(const struct hull_qemu_device *d)
{
	return d->iothread;
}

static bool wants_limits(const struct hull_qemu_device *d)
{
	return d->limits.read_bps || d->limits.write_bps || d->limits.read_iops || d->limits.write_iops;
}

/* Objects have a name space of their own. */
static struct json_object *iothread_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("qom-type", "iothread", "id", d->id, NULL);
}

/* Source: QEMU qapi/block-core.json, ThrottleLimits. */
static struct json_object *limits_args(const struct hull_qemu_device *d)
{
	const struct { const char *name; uint64_t value; } limits[] = {
		{ "bps-read", d->limits.read_bps }, { "bps-write", d->limits.write_bps },
		{ "iops-read", d->limits.read_iops }, { "iops-write", d->limits.write_iops },
	};
	char id[sizeof(d->id) + 8];
	snprintf(id, sizeof(id), "%s-limits", d->id);
	struct json_object *args = hull_qemu_object("qom-type", "throttle-group", "id", id, NULL);
	struct json_object *values = json_object_new_object();
	for (size_t i = 0; i < HULL_ARRAY_SIZE(limits); i++)
		if (limits[i].value)
			json_object_object_add(values, limits[i].name, json_object_new_int64((int64_t)limits[i].value));
	json_object_object_add(args, "limits", values);
	return args;
}

static struct json_object *limits_id_args(const struct hull_qemu_device *d)
{
	char id[sizeof(d->id) + 8];
	snprintf(id, sizeof(id), "%s-limits", d->id);
	return hull_qemu_object("id", id, NULL);
}

static struct json_object *blockdev_args(const struct hull_qemu_device *d)
{
	char path[32], group[sizeof(d->id) + 8];
	bool limited = wants_limits(d);

	snprintf(path, sizeof(path), "/dev/fdset/%u", d->fdset);
	snprintf(group, sizeof(group), "%s-limits", d->id);
	struct json_object *args = hull_qemu_object("driver", d->is_block_device ? "host_device" : "file",
						    "node-name", limited ? NULL : d->id, "filename", path,
						    "discard", d->discard ? "unmap" : "ignore", NULL);
	json_object_object_add(args, "read-only", json_object_new_boolean(d->readonly));
	struct json_object *cache = json_object_new_object();
	json_object_object_add(cache, "direct", json_object_new_boolean(d->direct));
	json_object_object_add(args, "cache", cache);
	if (!limited)
		return args;
	struct json_object *outer = hull_qemu_object("driver", "throttle", "node-name", d->id, "throttle-group", group, NULL);
	json_object_object_add(outer, "read-only", json_object_new_boolean(d->readonly));
	json_object_object_add(outer, "discard", json_object_new_string(d->discard ? "unmap" : "ignore"));
	json_object_object_add(outer, "file", args);
	return outer;
}

static struct json_object *node_args(const struct hull_qemu_device *d)
{
	return hull_qemu_object("node-name", d->id, NULL);
}

static struct json_object *disk_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "virtio-blk-pci", "drive", "serial");
	if (d->iothread)
		json_object_object_add(args, "iothread", json_object_new_string(d->id));
	json_object_object_add(args, "discard", json_object_new_boolean(d->discard));
	json_object_object_add(args, "write-zeroes", json_object_new_boolean(d->discard));
	return args;
}

static struct json_object *netdev_args(const struct hull_qemu_device *d)
{
	char names[HULL_NIC_QUEUES_MAX * (sizeof(d->id) + 8)];
	const bool one = d->queues == 1;
	struct json_object *args = hull_qemu_object("type", "tap", "id", d->id, one ? "fd" : "fds",
						    fd_names(d, 0, d->queues, names, sizeof(names)), NULL);
	if (d->vhost) {
		json_object_object_add(args, "vhost", json_object_new_boolean(true));
		json_object_object_add(args, one ? "vhostfd" : "vhostfds",
				       json_object_new_string(fd_names(d, d->queues, d->queues, names, sizeof(names))));
	}
	return args;
}

static struct json_object *nic_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "virtio-net-pci", "netdev", "mac");
	if (d->queues > 1) {
		json_object_object_add(args, "mq", json_object_new_boolean(true));
		json_object_object_add(args, "vectors", json_object_new_int((int)(2 * d->queues + 2)));
	}
	return args;
}

static struct json_object *chardev_args(const struct hull_qemu_device *d)
{
	struct json_object *addr = hull_qemu_object("type", "fd", NULL);
	char name[sizeof(d->id) + 8];
	json_object_object_add(addr, "data", hull_qemu_object("str", fd_names(d, 0, 1, name, sizeof(name)), NULL));
	struct json_object *socket = json_object_new_object();
	json_object_object_add(socket, "addr", addr);
	json_object_object_add(socket, "server", json_object_new_boolean(false));
	struct json_object *backend = hull_qemu_object("type", "socket", NULL);
	json_object_object_add(backend, "data", socket);
	struct json_object *args = hull_qemu_device_id_args(d);
	json_object_object_add(args, "backend", backend);
	return args;
}

static struct json_object *share_device_args(const struct hull_qemu_device *d)
{
	struct json_object *args = virtio_args(d, "vhost-user-fs-pci", "chardev", "tag");
	/* This one is modern only and does not know the property. */
	json_object_object_del(args, "disable-legacy");
	json_object_object_add(args, "queue-size", json_object_new_int(1024));
	return args;
}

/* A backend takes the named descriptor over; closefd then only matters when the backend was never made. */
const struct hull_qemu_kind hull_qemu_disk_kind = { "disk", {
	{ "add-fd", fdset_args, "remove-fd", fdset_args, NULL },
	{ "object-add", iothread_args, "object-del", hull_qemu_device_id_args, wants_iothread },
	{ "object-add", limits_args, "object-del", limits_id_args, wants_limits },
	{ "blockdev-add", blockdev_args, "blockdev-del", node_args, NULL },
	{ "device_add", disk_device_args, NULL, NULL, NULL },
}, false };
const struct hull_qemu_kind hull_qemu_nic_kind = { "nic", {
	{ "getfd", fdname_args, "closefd", fdname_args, NULL },
	{ "netdev_add", netdev_args, "netdev_del", hull_qemu_device_id_args, NULL },
	{ "device_add", nic_device_args, NULL, NULL, NULL },
}, true };
const struct hull_qemu_kind hull_qemu_share_kind = { "share", {
	{ "getfd", fdname_args, "closefd", fdname_args, NULL },
	{ "chardev-add", chardev_args, "chardev-remove", hull_qemu_device_id_args, NULL },
	{ "device_add", share_device_args, NULL, NULL, NULL },
}, false };
