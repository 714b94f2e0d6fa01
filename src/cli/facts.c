/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define PROBE_TIMEOUT_MS 2000

static uint64_t meminfo(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) << 10 : 0;
}

static void gather_host(struct hull_facts *f)
{
	struct utsname uts;
	_cleanup_free_ char *text = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (uname(&uts) == 0)
		snprintf(f->host_kernel, sizeof(f->host_kernel), "%s", uts.release);
	f->host_cpus = cpus > 0 ? (unsigned)cpus : 1;
	if (hull_file_read(AT_FDCWD, "/proc/meminfo", 64 << 10, &text, NULL) == 0) {
		f->host_memory_bytes = meminfo(text, "MemTotal:");
		f->host_memory_available_bytes = meminfo(text, "MemAvailable:");
	}
}

int hull_facts_gather(const char *root, struct hull_facts *f, struct hull_error *err)
{
	*f = (struct hull_facts){ .accel = HULL_ACCEL_AUTO };
	int r = hull_config_load(&f->config, err);
	if (r < 0)
		return r;
	gather_host(f);
	hull_vmm_version(f->config->vmm, f->vmm_version, sizeof(f->vmm_version), &f->vmm_err);
	hull_vmm_version(f->config->virtiofsd, f->virtiofsd_version, sizeof(f->virtiofsd_version), &f->virtiofsd_err);
	hull_kvm_probe_run(PROBE_TIMEOUT_MS, &f->kvm);
	if (hull_accel_choose(f->config->accelerator, root, &f->accel, f->accel_why, &f->accel_err) == 0)
		hull_guest_choose(f->config, f->accel, &f->guest, &f->guest_err);
	else
		hull_error_set(&f->guest_err, EINVAL, "no accelerator, so no kernel was chosen");
	return 0;
}

void hull_facts_clear(struct hull_facts *f)
{
	hull_config_free(f->config);
	hull_guest_clear(&f->guest);
}
