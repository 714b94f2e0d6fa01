/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/isulad.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

void shim_isulad_exit(const struct shim_host *host, const char *id, uint32_t exit_status)
{
	const char *dir = getenv("EXIT_FIFO_DIR");
	const int status = (int)exit_status;
	if (!dir || dir[0] != '/')
		return;
	_cleanup_free_ char *path = hull_asprintf("%s/%s/exit_fifo", dir, id);
	_cleanup_close_ int fd = hull_open_in_root(host->root, path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || write(fd, &status, sizeof(status)) != sizeof(status))
		hull_log_warning("%s: %s", path, strerror(fd < 0 ? -fd : errno));
}
