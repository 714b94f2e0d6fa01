/* SPDX-License-Identifier: Apache-2.0 */
/* `-info`: what containerd 2.x wants to know of a runtime. It gives the options on stdin, which change nothing here. */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "shim/any.h"
#include "shim/shim.h"

int shim_info(struct hull_error *err)
{
	Hull__Containerd__RuntimeInfo info = HULL__CONTAINERD__RUNTIME_INFO__INIT;
	Hull__Containerd__RuntimeVersion version = HULL__CONTAINERD__RUNTIME_VERSION__INIT;
	size_t len;

	version.version = (char *)(uintptr_t)HULL_VERSION;
	info.name = (char *)(uintptr_t)"io.containerd.hull.v2";
	info.version = &version;
	_cleanup_free_ uint8_t *data = shim_pack(&info.base, &len);
	int r = hull_fd_write_all(STDOUT_FILENO, data, len);
	return r < 0 ? hull_error_errno(err, r, "write the answer") : 0;
}
