/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hotplug.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/modules.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#define UEVENT_MAX_BYTES 8192
#define EVENT_GROUP_KERNEL 1

static void load_driver(const char *modalias)
{
	unsigned id;
	/* Source: linux scripts/mod/file2alias.c, do_virtio_entry(): "virtio:d%08Xv%08X". */
	if (sscanf(modalias, "virtio:d%8xv", &id) != 1)
		return;
	int r = hull_modules_load_virtio(id);
	if (r < 0)
		hull_log_warning("driver for %s: %s", modalias, strerror(-r));
}

static void online_cpu(const char *devpath)
{
	char path[256];
	snprintf(path, sizeof(path), "/sys%.200s/online", devpath);
	int r = hull_file_write(AT_FDCWD, path, "1");
	if (r < 0 && r != -EINVAL)
		hull_log_warning("%s: %s", path, strerror(-r));
}

/* The kernel puts new memory online by itself when it was built or told so; otherwise it is done here. */
static void online_memory(const char *devpath)
{
	char path[256];
	_cleanup_free_ char *state = NULL;
	snprintf(path, sizeof(path), "/sys%.200s/state", devpath);
	if (hull_file_read(AT_FDCWD, path, 64, &state, NULL) == 0 && strncmp(state, "offline", 7) == 0)
		hull_file_write(AT_FDCWD, path, "online_movable");
}

/* The value of KEY=value in an event of NUL-terminated strings. */
static const char *event_value(const char *event, size_t n, const char *key)
{
	size_t length = strlen(key);
	for (const char *p = event; p < event + n; p += strlen(p) + 1) {
		if (strncmp(p, key, length) == 0 && p[length] == '=')
			return p + length + 1;
	}
	return NULL;
}

/* Source: linux lib/kobject_uevent.c; Documentation/ABI/stable/sysfs-devices-system-cpu. */
static void on_event(const char *event, size_t n)
{
	const char *action = event_value(event, n, "ACTION"), *subsystem = event_value(event, n, "SUBSYSTEM");
	const char *devpath = event_value(event, n, "DEVPATH"), *modalias = event_value(event, n, "MODALIAS");
	if (!action || !subsystem || !devpath)
		return;
	bool added = strcmp(action, "add") == 0;
	if (added && strcmp(subsystem, "virtio") == 0 && modalias)
		load_driver(modalias);
	if (added && strcmp(subsystem, "cpu") == 0)
		online_cpu(devpath);
	if (strcmp(subsystem, "memory") == 0) {
		if (added)
			online_memory(devpath);
		hull_boot_update_reserve();
	}
}

static void on_readable(void *data, int events)
{
	struct hull_watch **watch = data;
	char event[UEVENT_MAX_BYTES + 1];
	struct sockaddr_nl from = { 0 };
	socklen_t length = sizeof(from);
	ssize_t n = recvfrom(hull_watch_fd(*watch), event, UEVENT_MAX_BYTES, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
	/* Only the kernel is believed: a container with CAP_NET_ADMIN can send to the group too. */
	if (n <= 0 || from.nl_pid != 0)
		return;
	event[n] = '\0';
	on_event(event, (size_t)n);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void load_present(void)
{
	_cleanup_(closedirp) DIR *dir = opendir("/sys/bus/virtio/devices");
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		char path[300];
		_cleanup_free_ char *alias = NULL;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/driver", entry->d_name);
		if (faccessat(dirfd(dir), path, F_OK, 0) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/modalias", entry->d_name);
		if (hull_file_read(dirfd(dir), path, 256, &alias, NULL) == 0)
			load_driver(alias);
	}
}

int hull_hotplug_start(struct hull_agent *agent, struct hull_error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = EVENT_GROUP_KERNEL };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return hull_error_errno(err, errno, "listen to the kernel's events");
	agent->events = hull_watch_new(agent->loop, TAKE_FD(fd), on_readable, &agent->events);
	hull_watch_set(agent->events, UV_READABLE);
	load_present();
	return 0;
}
