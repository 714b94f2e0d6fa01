/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/qemu_jail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "vmm/kvm.h"
#include "vmm/tsc.h"

#define BINDS_MAX 20
/* Descriptors of QEMU: a few for each device, and eventfds for each queue under KVM. */
#define OPEN_FILES_MAX 4096
/* Beside one for each vCPU: QEMU's own, and up to 64 that wait for disks. Source: QEMU util/thread-pool.c. */
#define OTHER_THREADS_MAX 128

/*
 * What QEMU reads: the dynamic linker, libraries and modules, firmware, the size of huge pages. What the host lacks
 * is left out.
 */
static const char *const read_by_qemu[] = {
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache",
	"/usr/share/qemu", "/usr/share/qemu-kvm", "/usr/share/seabios", "/usr/share/seavgabios", "/usr/share/qboot",
	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
};

/* The first of these that exists; both kinds of kernel boot with it. NULL: whatever QEMU takes by default. */
static const char *find_firmware(void)
{
	static const char *const candidates[] = { "/usr/share/qemu/qboot.rom", "/usr/share/qboot/bios.bin" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(candidates); i++)
		if (access(candidates[i], R_OK) == 0)
			return candidates[i];
	return NULL;
}

static size_t make_binds(const struct hull_vm_config *config, struct hull_jail_bind binds[static BINDS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(read_by_qemu); i++)
		if (access(read_by_qemu[i], F_OK) == 0)
			binds[n++] = (struct hull_jail_bind){ read_by_qemu[i], read_by_qemu[i] };
	binds[n++] = (struct hull_jail_bind){ config->vmm_path, config->vmm_path };
	binds[n++] = (struct hull_jail_bind){ config->kernel_path, HULL_QEMU_KERNEL };
	if (config->initrd_path)
		binds[n++] = (struct hull_jail_bind){ config->initrd_path, HULL_QEMU_INITRD };
	return n;
}

static int compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The descriptors that are there, ascending; the array is the caller's to free. */
static int *sort_fds(const struct hull_vm_config *config, const struct hull_qemu_fds *fds, size_t *ret_n)
{
	const int all[] = { fds->qmp, fds->agent, fds->console, fds->serial, fds->share };
	int *keep = hull_new(int, HULL_ARRAY_SIZE(all) + config->n_nics * 2 * HULL_NIC_QUEUES_MAX);
	size_t n = 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			keep[n++] = all[i];
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct hull_nic *nic = &config->nics[i];
		for (unsigned q = 0; q < nic->queues; q++) {
			keep[n++] = nic->tap_fds[q];
			if (nic->vhost_fds)
				keep[n++] = nic->vhost_fds[q];
		}
	}
	qsort(keep, n, sizeof(*keep), compare_ints);
	*ret_n = n;
	return keep;
}

/* The group that may open /dev/kvm, 0 when nobody's or root's. */
static gid_t kvm_group(void)
{
	struct stat st;
	return stat("/dev/kvm", &st) == 0 ? st.st_gid : 0;
}

int hull_qemu_jail_start(uv_loop_t *loop, const struct hull_vm_config *config, const struct hull_qemu_fds *fds,
			 hull_child_exit_fn on_exit, void *data, struct hull_child **ret, struct hull_error *err)
{
	static const char *const kvm_nodes[] = { "/dev/kvm", NULL };
	const bool kvm = config->accel == HULL_ACCEL_KVM;
	const struct hull_qemu_host host = {
		.firmware = find_firmware(),
		.tsc_khz = config->accel == HULL_ACCEL_TCG ? hull_tsc_khz() : 0,
		.no_arch_capabilities = kvm && !hull_kvm_takes_arch_capabilities(),
	};
	struct hull_jail_bind binds[BINDS_MAX];
	struct hull_strv args = { 0 };
	size_t n_keep;

	int r = hull_qemu_args(config, &host, fds, &args, err);
	if (r < 0)
		return r;
	/* An empty directory to mount the root on; only its name is needed, and only until the root has turned. */
	_cleanup_free_ char *root = hull_asprintf("%s/jail", config->run_dir);
	if (mkdir(root, 0700) < 0 && errno != EEXIST) {
		r = hull_error_errno(err, errno, "make %s", root);
		hull_strv_clear(&args);
		return r;
	}
	_cleanup_free_ int *keep = sort_fds(config, fds, &n_keep);
	const struct hull_spawn spawn = {
		.path = config->vmm_path, .argv = args.v,
		.stdin_fd = -1, .stdout_fd = -1,
		.keep_fds = keep, .n_keep_fds = n_keep,
		.die_with_parent = true, .new_session = true, .ordinary_oom_score = true,
		.drop_privileges = true, .uid = config->run_as_uid, .gid = config->run_as_gid,
		.extra_gid = kvm ? kvm_group() : 0,
		.new_net = true, .new_ipc = true, .new_uts = true, .new_pid = true,
		.root_dir = root, .binds = binds, .n_binds = make_binds(config, binds),
		.device_nodes = kvm ? kvm_nodes : NULL,
		.open_files_max = OPEN_FILES_MAX, .threads_max = config->vcpus_max + OTHER_THREADS_MAX,
	};
	r = hull_child_start(loop, &spawn, on_exit, data, ret, err);
	hull_strv_clear(&args);
	rmdir(root);
	return r;
}
