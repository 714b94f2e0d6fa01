/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/disks.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"

#define POLL_MS 5
#define APPEAR_TIMEOUT_MS 20000
/* Source: linux include/uapi/linux/virtio_blk.h, VIRTIO_BLK_ID_BYTES. */
#define SERIAL_MAX 20

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool has_serial(int dirfd, const char *name, const char *serial)
{
	char path[300];
	_cleanup_free_ char *text = NULL;
	snprintf(path, sizeof(path), "%s/serial", name);
	if (hull_file_read(dirfd, path, 64, &text, NULL) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, serial) == 0;
}

/* "/dev/vdX" and its numbers, or -ENOENT. Its node is there when sysfs shows the disk: devtmpfs makes it first. */
static int find_disk(const char *serial, char device[static 32], unsigned *ret_major, unsigned *ret_minor)
{
	_cleanup_(closedirp) DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		char path[300];
		_cleanup_free_ char *numbers = NULL;
		if (strncmp(entry->d_name, "vd", 2) != 0 || !has_serial(dirfd(dir), entry->d_name, serial))
			continue;
		snprintf(path, sizeof(path), "%s/dev", entry->d_name);
		snprintf(device, 32, "/dev/%.26s", entry->d_name);
		if (hull_file_read(dirfd(dir), path, 64, &numbers, NULL) == 0 &&
		    sscanf(numbers, "%u:%u", ret_major, ret_minor) == 2 && access(device, F_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

/* ---- waiting for one */

struct awaited {
	struct hull_rpc_request *request;
	char serial[SERIAL_MAX + 1];
	int64_t deadline_ms;
	struct hull_alarm *alarm;
};

static struct hull_rpc_request *release(struct awaited *a)
{
	struct hull_rpc_request *request = a->request;
	hull_rpc_request_on_cancel(request, NULL, NULL);
	hull_alarm_free(a->alarm);
	free(a);
	return request;
}

static void on_cancel(void *data)
{
	hull_rpc_fail(release(data), HULL_RPC_CANCELLED, "nobody waits");
}

static void look(void *data)
{
	struct awaited *a = data;
	char device[32];
	unsigned major, minor;
	if (find_disk(a->serial, device, &major, &minor) == 0)
		hull_reply_empty(release(a));
	else if (hull_now_ms() < a->deadline_ms)
		hull_alarm_set(a->alarm, POLL_MS);
	else
		hull_rpc_fail(release(a), HULL_RPC_DEADLINE_EXCEEDED, "the disk did not appear in the VM");
}

void hull_handle_await_disk(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__DiskRef *m = (const Hull__Agent__V1__DiskRef *)message;
	struct hull_agent *agent = data;
	if (strlen(m->serial) == 0 || strlen(m->serial) > SERIAL_MAX) {
		hull_rpc_fail(request, HULL_RPC_INVALID_ARGUMENT, "no serial number of a disk");
		return;
	}
	struct awaited *a = hull_new(struct awaited, 1);
	a->request = request;
	snprintf(a->serial, sizeof(a->serial), "%s", m->serial);
	a->deadline_ms = hull_now_ms() + APPEAR_TIMEOUT_MS;
	a->alarm = hull_alarm_new(agent->loop, look, a);
	hull_rpc_request_on_cancel(request, on_cancel, a);
	look(a);
}

/* ---- using them */

/* Rules about the device of the host now speak of the guest's. Without one, the disk was allowed by other means. */
static void rewrite_rules(struct hull_oci_spec *spec, const Hull__Agent__V1__Disk *disk, unsigned major, unsigned minor)
{
	struct hull_oci_resources *r = &spec->resources;
	unsigned access = HULL_DEV_MKNOD | HULL_DEV_READ | (disk->readonly ? 0 : HULL_DEV_WRITE);
	bool found = false;

	for (size_t i = 0; i < r->n_devices; i++) {
		struct hull_oci_device_rule *rule = &r->devices[i];
		if (rule->type != 'b' || rule->major != disk->host_major || rule->minor != disk->host_minor)
			continue;
		rule->major = major;
		rule->minor = minor;
		found = found || rule->allow;
	}
	if (found)
		return;
	r->devices = hull_reallocarray(r->devices, r->n_devices + 1, sizeof(*r->devices));
	r->devices[r->n_devices++] = (struct hull_oci_device_rule){ true, 'b', major, minor, access };
	spec->has_resources = true;
}

/* mount(8) makes a loop device for this option; here the disk is one already. */
static char *without_loop(const char *data)
{
	_cleanup_free_ char *copy = hull_strdup(data);
	char *kept = NULL, *save = NULL;
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (strcmp(p, "loop") == 0)
			continue;
		char *longer = kept ? hull_asprintf("%s,%s", kept, p) : hull_strdup(p);
		free(kept);
		kept = longer;
	}
	return kept;
}

static int resolve_mount(struct hull_oci_spec *spec, const Hull__Agent__V1__Disk *disk, const char *device, struct hull_error *err)
{
	if (disk->index >= spec->n_mounts)
		return hull_error_set(err, EINVAL, "disk %s: there is no mounts[%u]", disk->serial, disk->index);
	struct hull_oci_mount *m = &spec->mounts[disk->index];
	free(m->source);
	m->source = hull_strdup(device);
	if (disk->kind == HULL__AGENT__V1__DISK__KIND__MOUNT) {
		char *data = m->data ? without_loop(m->data) : NULL;
		free(m->data);
		m->data = data;
		if (disk->readonly)
			m->flags |= MS_RDONLY;
	}
	return 0;
}

static int resolve_one(struct hull_oci_spec *spec, const Hull__Agent__V1__Disk *disk, struct hull_disk_root *root,
		       struct hull_error *err)
{
	char device[32];
	unsigned major, minor;
	int r = find_disk(disk->serial, device, &major, &minor);
	if (r < 0)
		return hull_error_errno(err, r, "disk %s", disk->serial);

	switch (disk->kind) {
	case HULL__AGENT__V1__DISK__KIND__ROOTFS:
		*root = (struct hull_disk_root){ .fstype = disk->fstype, .options = disk->options, .readonly = disk->readonly };
		memcpy(root->device, device, sizeof(root->device));
		return 0;
	case HULL__AGENT__V1__DISK__KIND__MOUNT:
		return resolve_mount(spec, disk, device, err);
	case HULL__AGENT__V1__DISK__KIND__BIND:
		rewrite_rules(spec, disk, major, minor);
		return resolve_mount(spec, disk, device, err);
	case HULL__AGENT__V1__DISK__KIND__DEVICE:
		if (disk->index >= spec->n_devices)
			return hull_error_set(err, EINVAL, "disk %s: there is no linux.devices[%u]", disk->serial, disk->index);
		rewrite_rules(spec, disk, major, minor);
		spec->devices[disk->index].major = major;
		spec->devices[disk->index].minor = minor;
		return 0;
	default:
		return hull_error_set(err, EINVAL, "disk %s: unknown kind", disk->serial);
	}
}

int hull_disks_resolve(struct hull_oci_spec *spec, Hull__Agent__V1__Disk *const *disks, size_t n, struct hull_disk_root *ret_root,
		       struct hull_error *err)
{
	*ret_root = (struct hull_disk_root){ 0 };
	/* Only what was plugged in for this container is mounted for it. */
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (hull_disk_is_source(spec->mounts[i].source))
			return hull_error_set(err, EPERM, "mounts[%zu]: %s is not a disk of this container", i, spec->mounts[i].source);
	for (size_t i = 0; i < n; i++) {
		int r = resolve_one(spec, disks[i], ret_root, err);
		if (r < 0)
			return r;
	}
	return 0;
}

bool hull_disk_is_source(const char *source)
{
	return source && strncmp(source, "/dev/vd", 7) == 0;
}
