/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the KVM probe runs, in long mode at KVM_GUEST_CODE, with paging on: some millions of plain instructions, and
 * between them what an ordinary kernel does all the time and what a host that emulates privileged code is slow
 * at or cannot do: page table reloads, TLB flushes, MSR writes, exceptions, port I/O.
 *
 * Ends with an `out` to port 0x81 whose value is the number of exceptions that were handled.
 */
#include "vmm/kvm_guest.h"

	.section .rodata
	.globl hull_kvm_guest_start, hull_kvm_guest_handler, hull_kvm_guest_end
	.code64
hull_kvm_guest_start:
	xorl	%r13d, %r13d
	movl	$KVM_GUEST_ROUNDS, %r12d
1:	movl	$KVM_GUEST_INNER, %ecx
2:	addq	%rcx, %rax
	xorq	%rax, %rbx
	decl	%ecx
	jnz	2b

	movq	%cr3, %rax
	movq	%rax, %cr3
	invlpg	KVM_GUEST_STACK

	testl	$(KVM_GUEST_PRIVILEGED_EVERY - 1), %r12d
	jnz	3f
	movl	$0xc0000081, %ecx		/* STAR: segments of SYSCALL */
	xorl	%eax, %eax
	movl	$0x00100008, %edx
	wrmsr
	movl	$0xc0000080, %ecx		/* EFER, rewritten as it is */
	rdmsr
	wrmsr
	int3
	outb	%al, $KVM_GUEST_PORT_EXIT

3:	decl	%r12d
	jnz	1b
	movl	%r13d, %eax
	outl	%eax, $KVM_GUEST_PORT_DONE
4:	hlt
	jmp	4b

hull_kvm_guest_handler:
	incl	%r13d
	iretq
hull_kvm_guest_end:

	.section .note.GNU-stack, "", @progbits
