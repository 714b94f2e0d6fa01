/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's end of the channel to the supervisor. */
#include "agent/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#define PORTS_DIR "/sys/class/virtio-ports"
#define POLL_MS 2

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };
	nanosleep(&ts, NULL);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Looks once. Source: linux drivers/char/virtio_console.c, show_port_name(). */
static int find_port(const char *wanted, char *device, size_t size)
{
	_cleanup_(closedirp) DIR *dir = opendir(PORTS_DIR);
	if (!dir)
		return -errno;

	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		char path[300];
		_cleanup_free_ char *name = NULL;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/name", entry->d_name);
		if (hull_file_read(dirfd(dir), path, 256, &name, NULL) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, wanted) == 0) {
			snprintf(device, size, "/dev/%s", entry->d_name);
			return 0;
		}
	}
	return -ENOENT;
}

int hull_boot_open_port(const char *name, int timeout_ms, struct hull_error *err)
{
	char device[300];
	int64_t deadline = hull_now_ms() + timeout_ms;
	_cleanup_close_ int fd = -1;

	for (;;) {
		int r = find_port(name, device, sizeof(device));
		if (r == 0) {
			fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0)
				break;
			r = -errno;
		}
		if (hull_now_ms() >= deadline)
			return hull_error_errno(err, r, "virtio-serial port %s", name);
		sleep_ms(POLL_MS);
	}

	/* While nobody is connected a read would say "end of file". */
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	while (poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP))
		sleep_ms(POLL_MS);
	return TAKE_FD(fd);
}
