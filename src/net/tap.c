/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "net/view.h"

/* The kernel chooses the name at the first queue; the others join it. Source: linux Documentation/networking/tuntap.rst. */
static int open_queue(char name[IFNAMSIZ], bool multi, struct hull_error *err)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi ? IFF_MULTI_QUEUE : 0)) };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "/dev/net/tun (the kernel needs the module tun)");
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return hull_error_errno(err, errno, "make a tap");
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return TAKE_FD(fd);
}

static void open_vhost(struct hull_net_nic *nic)
{
	nic->vhost = true;
	for (unsigned q = 0; q < nic->queues; q++) {
		nic->vhost_fds[q] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		nic->vhost = nic->vhost && nic->vhost_fds[q] >= 0;
	}
}

/* Otherwise the kernel would make it a link-local address, and tell the guest about that in its own name. */
static void silence(const char *name)
{
	char path[80];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	hull_file_write(AT_FDCWD, path, "1");
}

int hull_tap_make(struct hull_net_nic *nic, struct hull_error *err)
{
	char name[IFNAMSIZ] = HULL_TAP_NAME;
	for (unsigned q = 0; q < nic->queues; q++) {
		nic->tap_fds[q] = open_queue(name, nic->queues > 1, err);
		if (nic->tap_fds[q] < 0)
			return -err->code;
	}
	nic->tap_index = (int)if_nametoindex(name);
	if (nic->tap_index == 0)
		return hull_error_errno(err, errno, "find %s", name);
	silence(name);
	open_vhost(nic);
	return 0;
}

void hull_tap_close(struct hull_net_nic *nic)
{
	for (unsigned q = 0; q < nic->queues; q++) {
		hull_closep(&nic->tap_fds[q]);
		hull_closep(&nic->vhost_fds[q]);
	}
}
