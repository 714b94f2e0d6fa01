/* SPDX-License-Identifier: Apache-2.0 */
/* `-info`: what containerd 2.x wants to know of a runtime. It gives the options on stdin, which change nothing here. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "oci/spec.h"
#include "shim/any.h"
#include "shim/shim.h"

int shim_info(struct hull_error *err)
{
	Hull__Containerd__RuntimeInfo info = HULL__CONTAINERD__RUNTIME_INFO__INIT;
	Hull__Containerd__RuntimeVersion version = HULL__CONTAINERD__RUNTIME_VERSION__INIT;
	Hull__Containerd__Any features = HULL__CONTAINERD__ANY__INIT;
	_cleanup_free_ char *text = hull_oci_features(HULL_VERSION);
	size_t len;

	/* Source: containerd, core/runtime/typeurl.go. */
	features.type_url = (char *)(uintptr_t)"types.containerd.io/opencontainers/runtime-spec/1/features/Features";
	features.value = (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)text };
	version.version = (char *)(uintptr_t)HULL_VERSION;
	info.name = (char *)(uintptr_t)"io.containerd.hull.v2";
	info.version = &version;
	info.features = &features;
	_cleanup_free_ uint8_t *data = shim_pack(&info.base, &len);
	int r = hull_fd_write_all(STDOUT_FILENO, data, len);
	return r < 0 ? hull_error_errno(err, r, "write the answer") : 0;
}
