/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF programs that choose the socket for what arrives at a network namespace: TCP connections and UDP datagrams. A program is written
 * down as instructions; neither a compiler nor a library is needed. Source: kernel documentation, BPF sk_lookup program.
 */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Instructions by the names that the kernel's documentation has for them. */
#define HULL_BPF_LOAD(dst, src, offset) { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = dst, .src_reg = src, .off = offset }
#define HULL_BPF_STORE(dst, offset, value) { .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = dst, .off = offset, .imm = value }
#define HULL_BPF_MOVE(dst, src) { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = dst, .src_reg = src }
#define HULL_BPF_SET(dst, value) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = dst, .imm = value }
#define HULL_BPF_ADD(dst, value) { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = dst, .imm = value }
#define HULL_BPF_AND(dst, value) { .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = dst, .imm = value }
#define HULL_BPF_JUMP_IF(op, reg, value, steps) { .code = BPF_JMP | op | BPF_K, .dst_reg = reg, .imm = value, .off = steps }
#define HULL_BPF_JUMP(steps) { .code = BPF_JMP | BPF_JA, .off = steps }
#define HULL_BPF_CALL(function) { .code = BPF_JMP | BPF_CALL, .imm = function }
#define HULL_BPF_EXIT { .code = BPF_JMP | BPF_EXIT }
/* Two places of the array. */
#define HULL_BPF_LOAD_MAP(dst, map) \
	{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = dst, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map }, { 0 }

/*
 * The end of every such program, 16 instructions: gives what arrives to socket number `slot` of the map, R6 being the program's
 * argument; and, as its last two, lets it pass.
 */
#define HULL_BPF_ASSIGN(map, slot) \
	HULL_BPF_STORE(BPF_REG_10, -4, slot), \
	HULL_BPF_LOAD_MAP(BPF_REG_1, map), \
	HULL_BPF_MOVE(BPF_REG_2, BPF_REG_10), \
	HULL_BPF_ADD(BPF_REG_2, -4), \
	HULL_BPF_CALL(BPF_FUNC_map_lookup_elem), \
	HULL_BPF_JUMP_IF(BPF_JEQ, BPF_REG_0, 0, 7), \
	HULL_BPF_MOVE(BPF_REG_7, BPF_REG_0), \
	HULL_BPF_MOVE(BPF_REG_1, BPF_REG_6), \
	HULL_BPF_MOVE(BPF_REG_2, BPF_REG_7), \
	HULL_BPF_SET(BPF_REG_3, 0), \
	HULL_BPF_CALL(BPF_FUNC_sk_assign), \
	HULL_BPF_MOVE(BPF_REG_1, BPF_REG_7), \
	HULL_BPF_CALL(BPF_FUNC_sk_release), \
	HULL_BPF_SET(BPF_REG_0, SK_PASS), \
	HULL_BPF_EXIT

/* A map with the sockets at 0, 1, …: its descriptor, or -errno. The sockets stay the caller's. */
int hull_sk_lookup_map(const int *sockets, uint32_t n);

/*
 * Loads the program and ties it to the namespace. It works until the descriptor that is returned is closed. -errno with err set if this
 * kernel cannot do that (Linux 5.9, BPF not locked down).
 */
int hull_sk_lookup_attach(const struct bpf_insn *program, uint32_t n, const char *name, int netns_fd, struct hull_error *err);
