/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the guest code of the KVM probe (kvm_guest.S) and what sets up its machine. */
#pragma once

/* Guest-physical layout: 64 KiB, mapped one to one. */
#define KVM_GUEST_SIZE 0x10000
#define KVM_GUEST_PML4 0x1000
#define KVM_GUEST_PDPT 0x2000
#define KVM_GUEST_PD 0x3000
#define KVM_GUEST_GDT 0x4000
#define KVM_GUEST_IDT 0x5000
#define KVM_GUEST_STACK 0x7000         /* grows down */
#define KVM_GUEST_CODE 0x8000

/* About 4 million instructions: one or two milliseconds for a CPU, and as much again for the exits. */
#define KVM_GUEST_ROUNDS 2000
#define KVM_GUEST_INNER 500
#define KVM_GUEST_PRIVILEGED_EVERY 16   /* a power of two */
#define KVM_GUEST_EXCEPTIONS (KVM_GUEST_ROUNDS / KVM_GUEST_PRIVILEGED_EVERY)

#define KVM_GUEST_PORT_EXIT 0x80
#define KVM_GUEST_PORT_DONE 0x81

#ifndef __ASSEMBLER__
extern const unsigned char hull_kvm_guest_start[], hull_kvm_guest_handler[], hull_kvm_guest_end[];
#endif
