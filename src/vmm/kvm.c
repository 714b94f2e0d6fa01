/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "vmm/kvm_guest.h"

#define CPUID_ENTRIES_MAX 256
#define MSR_ARCH_CAPABILITIES 0x10a

struct machine {
	int kvm_fd, vm_fd, vcpu_fd;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

#define MACHINE_INIT { .kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1, .memory = MAP_FAILED, .run = MAP_FAILED }

static void machine_close(struct machine *m)
{
	if (m->run != MAP_FAILED)
		munmap(m->run, m->run_size);
	hull_closep(&m->vcpu_fd);
	hull_closep(&m->vm_fd);
	hull_closep(&m->kvm_fd);
	if (m->memory != MAP_FAILED)
		munmap(m->memory, KVM_GUEST_SIZE);
}

static bool fail(struct hull_kvm_run *ret, const char *what)
{
	ret->code = errno;
	snprintf(ret->failed, sizeof(ret->failed), "%s", what);
	return false;
}

/* Opens /dev/kvm and makes a VM with one vCPU that has all features KVM offers. */
static bool make_vcpu(struct machine *m, struct hull_kvm_run *ret)
{
	m->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm_fd < 0)
		return fail(ret, "open /dev/kvm");
	if (ioctl(m->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fail(ret, "KVM_GET_API_VERSION");
	m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return fail(ret, "KVM_CREATE_VM");
	/* Intel CPUs without "unrestricted guest" need three pages here; where it is not needed it may fail. */
	ioctl(m->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	m->vcpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
	if (m->vcpu_fd < 0)
		return fail(ret, "KVM_CREATE_VCPU");

	_cleanup_free_ struct kvm_cpuid2 *cpuid =
		hull_calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(m->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return fail(ret, "KVM_GET_SUPPORTED_CPUID");
	if (ioctl(m->vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return fail(ret, "KVM_SET_CPUID2");
	return true;
}

static void put64(struct machine *m, unsigned address, uint64_t value)
{
	memcpy(m->memory + address, &value, sizeof(value));
}

/* Page tables that map the first 2 MiB one to one, a flat GDT, and an IDT with the breakpoint exception. */
static void fill_memory(struct machine *m)
{
	const uint64_t present_writable = 3, large_page = 0x80;
	const uint64_t code64 = 0x00af9b000000ffff, data = 0x00cf93000000ffff;
	const size_t handler = KVM_GUEST_CODE + (size_t)(hull_kvm_guest_handler - hull_kvm_guest_start);

	memcpy(m->memory + KVM_GUEST_CODE, hull_kvm_guest_start, (size_t)(hull_kvm_guest_end - hull_kvm_guest_start));
	put64(m, KVM_GUEST_PML4, KVM_GUEST_PDPT | present_writable);
	put64(m, KVM_GUEST_PDPT, KVM_GUEST_PD | present_writable);
	put64(m, KVM_GUEST_PD, 0 | large_page | present_writable);
	put64(m, KVM_GUEST_GDT + 0x08, code64);
	put64(m, KVM_GUEST_GDT + 0x10, data);
	/* Vector 3, a 64-bit interrupt gate through selector 8. Source: Intel SDM, volume 3, section 6.14.1. */
	put64(m, KVM_GUEST_IDT + 3 * 16, (handler & 0xffff) | 0x8ULL << 16 | 0x8e00ULL << 32 | (handler >> 16) << 48);
}

static struct kvm_segment segment(uint16_t selector, bool code)
{
	return (struct kvm_segment){
		.selector = selector, .limit = 0xffffffff, .type = code ? 11 : 3,
		.present = 1, .s = 1, .g = 1, .l = code, .db = !code,
	};
}

/* Gives the VM its memory and the vCPU the registers of long mode. */
static bool prepare(struct machine *m, struct hull_kvm_run *ret)
{
	struct kvm_sregs sregs;

	m->memory = mmap(NULL, KVM_GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		return fail(ret, "mmap");
	fill_memory(m);
	struct kvm_userspace_memory_region region = {
		.memory_size = KVM_GUEST_SIZE, .userspace_addr = (uint64_t)(uintptr_t)m->memory,
	};
	if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail(ret, "KVM_SET_USER_MEMORY_REGION");
	int size = ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*m->run))
		return fail(ret, "KVM_GET_VCPU_MMAP_SIZE");
	m->run_size = (size_t)size;
	m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu_fd, 0);
	if (m->run == MAP_FAILED)
		return fail(ret, "mmap of the vCPU");

	if (ioctl(m->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return fail(ret, "KVM_GET_SREGS");
	sregs.cs = segment(0x08, true);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(0x10, false);
	sregs.gdt = (struct kvm_dtable){ .base = KVM_GUEST_GDT, .limit = 0x17 };
	sregs.idt = (struct kvm_dtable){ .base = KVM_GUEST_IDT, .limit = 0xfff };
	sregs.cr3 = KVM_GUEST_PML4;
	sregs.cr4 |= 1UL << 5;                          /* PAE */
	sregs.cr0 |= 1UL << 31 | 1UL << 5 | 1UL << 0;   /* PG, NE, PE */
	sregs.efer |= 1UL << 10 | 1UL << 8 | 1UL << 0;  /* LMA, LME, SCE */
	if (ioctl(m->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return fail(ret, "KVM_SET_SREGS (long mode)");
	struct kvm_regs regs = { .rip = KVM_GUEST_CODE, .rsp = KVM_GUEST_STACK, .rflags = 2 };
	if (ioctl(m->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return fail(ret, "KVM_SET_REGS");
	return true;
}

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Enters the guest until it reports its end. */
static bool run(struct machine *m, struct hull_kvm_run *ret)
{
	char what[sizeof(ret->failed)];

	for (;;) {
		if (ioctl(m->vcpu_fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return fail(ret, "KVM_RUN");
		}
		errno = 0;
		if (m->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
			return fail(ret, "the host emulates privileged guest code and gave up (KVM_EXIT_INTERNAL_ERROR)");
		if (m->run->exit_reason != KVM_EXIT_IO) {
			snprintf(what, sizeof(what), "the guest stopped with KVM exit reason %u", m->run->exit_reason);
			return fail(ret, what);
		}
		if (m->run->io.port == KVM_GUEST_PORT_EXIT)
			continue;
		uint32_t handled;
		memcpy(&handled, (uint8_t *)m->run + m->run->io.data_offset, sizeof(handled));
		if (handled == KVM_GUEST_EXCEPTIONS)
			return true;
		snprintf(what, sizeof(what), "the guest handled %u of %d exceptions", handled, KVM_GUEST_EXCEPTIONS);
		return fail(ret, what);
	}
}

void hull_kvm_run_guest(struct hull_kvm_run *ret)
{
	struct machine m = MACHINE_INIT;

	memset(ret, 0, sizeof(*ret));
	errno = 0;
	if (make_vcpu(&m, ret) && prepare(&m, ret)) {
		int64_t begin = now_us();
		run(&m, ret);
		ret->run_us = now_us() - begin;
	}
	machine_close(&m);
}

bool hull_kvm_takes_arch_capabilities(void)
{
	struct machine m = MACHINE_INIT;
	struct hull_kvm_run ignored;
	_cleanup_free_ struct kvm_msrs *msrs = hull_calloc(1, sizeof(*msrs) + sizeof(msrs->entries[0]));

	msrs->nmsrs = 1;
	msrs->entries[0].index = MSR_ARCH_CAPABILITIES;
	bool taken = make_vcpu(&m, &ignored);
	/* Not offered is fine too: then QEMU does not set it. */
	if (taken && ioctl(m.kvm_fd, KVM_GET_MSRS, msrs) == 1)
		taken = ioctl(m.vcpu_fd, KVM_SET_MSRS, msrs) == 1;
	machine_close(&m);
	return taken;
}
