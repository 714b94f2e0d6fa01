/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "jail/output.h"

#define VERSION_TIMEOUT_MS 5000

int hull_vmm_version(const char *vmm_path, char *buf, size_t size, struct hull_error *err)
{
	char *const argv[] = { (char *)vmm_path, (char *)"--version", NULL };
	_cleanup_free_ char *text = NULL;

	int r = hull_spawn_output(vmm_path, argv, 4096, VERSION_TIMEOUT_MS, &text, err);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (text[0] == '\0')
		return hull_error_set(err, EIO, "%s --version says nothing", vmm_path);
	if (size > 0) {
		strncpy(buf, text, size - 1);
		buf[size - 1] = '\0';
	}
	return 0;
}
