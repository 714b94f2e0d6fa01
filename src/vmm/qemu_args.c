/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on the command line, and why. Times are from boots under TCG on two cores, start to the first line of init.
 *
 *  -machine q35    PCIe hot-plug, memory and CPU hot-plug; a tenth slower to boot than microvm, which has none of them.
 *                  usb, sata, smbus, i8042, vmport, graphics, hpet off: 50 ms, and less code for a guest to reach.
 *  -bios qboot     85 ms less than SeaBIOS with eight root ports, for PVH kernels and bzImages alike.
 *  -cpu max (TCG)  everything TCG has, so that container images built for x86-64-v3 run on both accelerators. But for
 *                  erms and fsrm: kernels that see them copy memory with `rep movsb`, which TCG does byte by byte
 *                  (30 to 100 ms).
 *  swiotlb=noforce With hot-pluggable memory above 4 GiB a kernel sets 64 MiB aside for devices that cannot reach
 *                  it. There are none here. Saves those 64 MiB and 120 ms.
 *  pcie-pci-bridge Thirty slots into which interfaces can be plugged (by ACPI, like the root ports), for the price of one
 *                  device: as many root ports would cost 10 ms each at every boot. The entropy device sits there too: a bridge
 *                  that is empty at boot gets no window from the kernel, and one window has room for all.
 */
#include "vmm/qemu_args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* QEMU frees no translated code before this many MiB are full; its own default is up to 1 GiB for each VM. */
#define TCG_BUFFER_MIB 256
/* Memory that is plugged in is used at once, and by what can be moved away again as far as that goes. */
#define HOTPLUG_CMDLINE " memhp_default_state=online memory_hotplug.online_policy=auto-movable"

static int check(const struct hull_vm_config *c, struct hull_error *err)
{
	if (c->accel != HULL_ACCEL_KVM && c->accel != HULL_ACCEL_TCG)
		return hull_error_set(err, EINVAL, "accelerator %s is not resolved", hull_accel_name(c->accel));
	if (c->memory_bytes == 0 || c->memory_bytes % HULL_QEMU_MEMORY_BLOCK != 0 ||
	    c->memory_max_bytes % HULL_QEMU_MEMORY_BLOCK != 0)
		return hull_error_set(err, EINVAL, "memory must be a multiple of 2 MiB");
	if (c->memory_max_bytes < c->memory_bytes)
		return hull_error_set(err, EINVAL, "the largest memory size is below the first");
	if (c->vcpus == 0 || c->vcpus_max < c->vcpus || c->vcpus_max > HULL_QEMU_VCPUS_MAX)
		return hull_error_set(err, EINVAL, "%u vCPUs of at most %u: not possible", c->vcpus, c->vcpus_max);
	if (c->hotplug_ports > HULL_QEMU_PORTS_MAX)
		return hull_error_set(err, EINVAL, "%u hot-plug ports: at most %d", c->hotplug_ports,
				      HULL_QEMU_PORTS_MAX);
	if (c->share_fd >= 0 && (!c->share_tag || !*c->share_tag || strlen(c->share_tag) > 36))
		return hull_error_set(err, EINVAL, "a share needs a tag of 1 to 36 bytes");
	if (c->n_nics > HULL_NICS_MAX)
		return hull_error_set(err, EINVAL, "%zu network interfaces: at most %d", c->n_nics, HULL_NICS_MAX);
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].queues == 0 || c->nics[i].queues > HULL_NIC_QUEUES_MAX || !hull_qemu_name_valid(c->nics[i].id))
			return hull_error_set(err, EINVAL, "network interface %.32s: not a device name, or %u queues", c->nics[i].id,
					      c->nics[i].queues);
	return 0;
}

bool hull_qemu_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n > 0 && n <= 32 && name[n] == '\0';
}

static void add(struct hull_strv *args, const char *option, const char *value)
{
	hull_strv_add(args, option);
	if (value)
		hull_strv_add(args, value);
}

/* Doubles the commas of a value that becomes part of an option. Source: QEMU's manual, "Option values". */
static char *escape(const char *value)
{
	char *out = hull_calloc(2 * strlen(value) + 1, 1);
	char *p = out;
	for (; *value; value++) {
		if (*value == ',')
			*p++ = ',';
		*p++ = *value;
	}
	return out;
}

static void add_machine(const struct hull_vm_config *c, const struct hull_qemu_host *host, struct hull_strv *args)
{
	add(args, "-machine", "q35,memory-backend=mem,usb=off,sata=off,smbus=off,i8042=off,vmport=off,graphics=off,"
	    "hpet=off,dump-guest-core=off,mem-merge=off");
	if (c->accel == HULL_ACCEL_KVM) {
		add(args, "-accel", "kvm");
		hull_strv_add(args, "-cpu");
		hull_strv_addf(args, "host%s", host->no_arch_capabilities ? ",arch-capabilities=off" : "");
	} else {
		/* A vCPU may go on with text that another has rewritten meanwhile: docs/adr/0015. */
		bool take_turns = c->kernel_rewrites_itself && c->vcpus_max > 1;
		hull_strv_add(args, "-accel");
		hull_strv_addf(args, "tcg,thread=%s,tb-size=%d", take_turns ? "single" : "multi", TCG_BUFFER_MIB);
		add(args, "-cpu", "max,erms=off,fsrm=off");
	}
	hull_strv_add(args, "-smp");
	hull_strv_addf(args, "%u,sockets=1,cores=%u,threads=1,maxcpus=%u", c->vcpus, c->vcpus_max, c->vcpus_max);
	if (host->firmware)
		add(args, "-bios", host->firmware);
}

/* All memory is shared: virtiofsd maps it, whether it is there now or plugged in later. */
static void add_memory(const struct hull_vm_config *c, struct hull_strv *args)
{
	const unsigned long long size = c->memory_bytes, max = c->memory_max_bytes;

	hull_strv_add(args, "-object");
	hull_strv_addf(args, "memory-backend-memfd,id=mem,size=%llu,share=on", size);
	hull_strv_add(args, "-m");
	if (max == size) {
		hull_strv_addf(args, "size=%llub", size);
		return;
	}
	hull_strv_addf(args, "size=%llub,maxmem=%llub", size, max);
	hull_strv_add(args, "-object");
	hull_strv_addf(args, "memory-backend-memfd,id=" HULL_QEMU_VIRTIO_MEM "-backend,size=%llu,share=on,reserve=off",
		       max - size);
	hull_strv_add(args, "-device");
	hull_strv_addf(args, "virtio-mem-pci,id=" HULL_QEMU_VIRTIO_MEM ",memdev=" HULL_QEMU_VIRTIO_MEM "-backend,"
		       "block-size=%llu,requested-size=0," HULL_QEMU_VIRTIO, HULL_QEMU_MEMORY_BLOCK);
}

static void add_kernel(const struct hull_vm_config *c, const struct hull_qemu_host *host, struct hull_strv *args)
{
	bool emulated = c->accel == HULL_ACCEL_TCG;
	char frequency[40] = "";

	add(args, "-kernel", HULL_QEMU_KERNEL);
	if (c->initrd_path)
		add(args, "-initrd", HULL_QEMU_INITRD);
	/*
	 * Facts about this machine, in front of what the caller wants: no device needs bounce buffers, and the emulated
	 * timer and TSC need no comparison with each other, but the TSC's frequency is told. KVM has a paravirtual clock instead.
	 */
	if (emulated && host->tsc_khz)
		snprintf(frequency, sizeof(frequency), " tsc_early_khz=%u", host->tsc_khz);
	hull_strv_add(args, "-append");
	hull_strv_addf(args, "swiotlb=noforce%s%s%s%s %s", emulated ? " no_timer_check tsc=reliable" : "", frequency,
		       c->memory_max_bytes > c->memory_bytes ? HOTPLUG_CMDLINE : "",
		       c->debug_console ? " earlyprintk=ttyS0 console=ttyS0 ignore_loglevel" : "",
		       c->kernel_cmdline ? c->kernel_cmdline : "");
}

static void add_socket(struct hull_strv *args, const char *id, int fd)
{
	hull_strv_add(args, "-chardev");
	hull_strv_addf(args, "socket,id=%s,fd=%d", id, fd);
}

/* The channels to the supervisor. */
static void add_channels(const struct hull_vm_config *c, const struct hull_qemu_fds *fds, struct hull_strv *args)
{
	add_socket(args, "qmp", fds->qmp);
	add(args, "-mon", "chardev=qmp,mode=control");
	add(args, "-device", "virtio-serial-pci,id=serial,max_ports=4," HULL_QEMU_VIRTIO);
	add_socket(args, "console", fds->console);
	add(args, "-device", "virtconsole,bus=serial.0,nr=0,chardev=console");
	add_socket(args, "agent", fds->agent);
	add(args, "-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name=" HULL_QEMU_AGENT_PORT);
	if (c->debug_console) {
		add_socket(args, "early", fds->serial);
		add(args, "-device", "isa-serial,chardev=early");
	}
}

static void add_devices(const struct hull_vm_config *c, const struct hull_qemu_fds *fds, struct hull_strv *args)
{
	/* A guest that asks for entropy without end gets 64 KiB a second. */
	add(args, "-object", "rng-builtin,id=entropy");
	add(args, "-device", "pcie-pci-bridge,id=" HULL_QEMU_NIC_BUS);
	add(args, "-device", "virtio-rng-pci,rng=entropy,max-bytes=65536,period=1000,bus=" HULL_QEMU_NIC_BUS ",addr=0x1f," HULL_QEMU_VIRTIO);
	add(args, "-device", "pvpanic-pci");
	if (c->share_fd >= 0) {
		_cleanup_free_ char *tag = escape(c->share_tag);
		add_socket(args, "share", fds->share);
		hull_strv_add(args, "-device");
		hull_strv_addf(args, "vhost-user-fs-pci,id=share,chardev=share,queue-size=1024,romfile=,tag=%s", tag);
	}
	for (unsigned i = 0; i < c->hotplug_ports; i++) {
		hull_strv_add(args, "-device");
		hull_strv_addf(args, "pcie-root-port,id=" HULL_QEMU_PORT_PREFIX "%u,chassis=%u,slot=%u,romfile=",
			       i, i + 1, i);
	}
}

static char *join_fds(const int *fds, unsigned n)
{
	char *text = hull_asprintf("%d", fds[0]);
	for (unsigned i = 1; i < n; i++) {
		_cleanup_free_ char *shorter = text;
		text = hull_asprintf("%s:%d", shorter, fds[i]);
	}
	return text;
}

/* An interface that is there from the start: what qemu_plug.c does in steps, in slot i + 1. */
static void add_nic(const struct hull_nic *nic, size_t i, struct hull_strv *args)
{
	_cleanup_free_ char *taps = join_fds(nic->tap_fds, nic->queues);
	_cleanup_free_ char *vhosts = nic->vhost_fds ? join_fds(nic->vhost_fds, nic->queues) : NULL;
	const char *plural = nic->queues > 1 ? "s" : "";
	char queues[40] = "";

	hull_strv_add(args, "-netdev");
	hull_strv_addf(args, "tap,id=" HULL_QEMU_NIC_PREFIX "%s,fd%s=%s%s%s%s%s", nic->id, plural, taps,
		       vhosts ? ",vhost=on,vhostfd" : "", vhosts ? plural : "", vhosts ? "=" : "", vhosts ? vhosts : "");
	/* A vector each for receiving and sending, one for the control queue, one for changes of the configuration. */
	if (nic->queues > 1)
		snprintf(queues, sizeof(queues), ",mq=on,vectors=%u", 2 * nic->queues + 2);
	hull_strv_add(args, "-device");
	hull_strv_addf(args, "virtio-net-pci,id=" HULL_QEMU_NIC_PREFIX "%s,netdev=" HULL_QEMU_NIC_PREFIX "%s,mac=%s,bus="
		       HULL_QEMU_NIC_BUS ",addr=0x%zx%s," HULL_QEMU_VIRTIO, nic->id, nic->id, nic->mac, i + 1, queues);
}

int hull_qemu_args(const struct hull_vm_config *config, const struct hull_qemu_host *host,
		   const struct hull_qemu_fds *fds, struct hull_strv *ret, struct hull_error *err)
{
	int r = check(config, err);
	if (r < 0)
		return r;

	hull_strv_add(ret, config->vmm_path);
	add(ret, "-nodefaults", NULL);
	add(ret, "-no-user-config", NULL);
	add(ret, "-display", "none");
	add(ret, "-name", "hull,debug-threads=on");
	/* What a guest could make QEMU do if it took it over: no program, no other user, no scheduling tricks. */
	add(ret, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	/* A reset ends the VM like a power-off does: the pod is over either way. */
	add(ret, "-action", "reboot=shutdown,shutdown=poweroff,panic=shutdown");
	add(ret, "-rtc", "base=utc");
	add_machine(config, host, ret);
	add_memory(config, ret);
	add_kernel(config, host, ret);
	add_channels(config, fds, ret);
	add_devices(config, fds, ret);
	for (size_t i = 0; i < config->n_nics; i++)
		add_nic(&config->nics[i], i, ret);
	return 0;
}
