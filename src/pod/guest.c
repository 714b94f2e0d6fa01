/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel and initramfs boot. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "pod/config.h"
#include "pod/paths.h"

/*
 * The same for every pod. A guest that panics or oopses reboots at once, which the VMM takes for the end; the rest leaves out what
 * a VM need not do (guest/README.md has the measurements).
 */
#define CMDLINE "console=hvc0 quiet panic=-1 oops=panic noreplace-smp cgroup_no_v1=all"
/* Debian's modules carry Debian's signatures; nobody in the guest, root neither, loads others. */
#define DEBIAN_CMDLINE " module.sig_enforce=1"

static char *read_version(const char *name)
{
	_cleanup_free_ char *path = hull_path_data(name);
	char *text = NULL;
	if (hull_file_read(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return hull_strdup("unknown");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool take_installed(struct hull_guest *g, const char *flavour, const char *kernel, const char *initrd,
			   const char *version)
{
	_cleanup_free_ char *kernel_path = hull_path_data(kernel);
	_cleanup_free_ char *initrd_path = hull_path_data(initrd);
	if (access(kernel_path, R_OK) < 0 || access(initrd_path, R_OK) < 0)
		return false;
	g->kernel = TAKE_PTR(kernel_path);
	g->initrd = TAKE_PTR(initrd_path);
	g->flavour = hull_strdup(flavour);
	g->version = read_version(version);
	return true;
}

static const char *configured_kernel(const struct hull_config *config, enum hull_accel accel)
{
	const char *one = accel == HULL_ACCEL_KVM ? config->kernel_kvm : config->kernel_tcg;
	return *one ? one : config->kernel;
}

int hull_guest_choose(const struct hull_config *config, enum hull_accel accel, struct hull_guest *ret,
		      struct hull_error *err)
{
	struct hull_guest g = { 0 };
	const char *kernel = configured_kernel(config, accel);

	if (*kernel) {
		if (!*config->initrd)
			return hull_error_set(err, EINVAL, "configuration: `kernel` is set but `initrd` is not: "
							   "name the initramfs that has the kernel's modules");
		g.kernel = hull_strdup(kernel);
		g.initrd = hull_strdup(config->initrd);
		g.flavour = hull_strdup("configured");
		g.version = hull_strdup(kernel);
	} else if (!take_installed(&g, HULL_GUEST_TUNED, "vmlinux-hull", "initramfs-hull.img", "version-hull") &&
		   !take_installed(&g, "debian", "vmlinuz-debian", "initramfs-debian.img", "version-debian")) {
		_cleanup_free_ char *where = hull_path_data("");
		return hull_error_set(err, ENOENT, "no guest kernel in %s: run `make guest install` in Hull's source tree", where);
	}
	g.cmdline = hull_asprintf(CMDLINE "%s%s%s", strcmp(g.flavour, "debian") == 0 ? DEBIAN_CMDLINE : "",
				  *config->kernel_params ? " " : "", config->kernel_params);
	*ret = g;
	return 0;
}

void hull_guest_clear(struct hull_guest *g)
{
	free(g->kernel);
	free(g->initrd);
	free(g->cmdline);
	free(g->flavour);
	free(g->version);
	*g = (struct hull_guest){ 0 };
}
