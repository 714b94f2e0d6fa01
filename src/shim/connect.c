/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/connect.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

int shim_connect(const char *address)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strncmp(address, "unix://", 7) == 0)
		address += 7;
	if (strlen(address) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, address, strlen(address) + 1);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}
