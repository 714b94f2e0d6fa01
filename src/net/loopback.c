/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loopback.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bpf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "net/netns.h"

#define BACKLOG 64

/* One place for the listening socket, where the program finds it. */
static int make_map(int listener)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = sizeof(uint32_t), .value_size = sizeof(uint64_t), .max_entries = 1 };
	uint32_t key = 0;
	uint64_t value = (uint64_t)listener;
	_cleanup_close_ int map = hull_bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		return map;
	attr = (union bpf_attr){ .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value };
	int r = hull_bpf(BPF_MAP_UPDATE_ELEM, &attr);
	return r < 0 ? r : TAKE_FD(map);
}

/* Instructions by the names that the kernel's documentation has for them. */
#define LOAD(dst, src, offset) { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = dst, .src_reg = src, .off = offset }
#define FIELD(dst, name) LOAD(dst, BPF_REG_6, offsetof(struct bpf_sk_lookup, name))
#define MOVE(dst, src) { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = dst, .src_reg = src }
#define SET(dst, value) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = dst, .imm = value }
#define ADD(dst, value) { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = dst, .imm = value }
#define AND(dst, value) { .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = dst, .imm = value }
#define JUMP_IF(op, reg, value, steps) { .code = BPF_JMP | op | BPF_K, .dst_reg = reg, .imm = value, .off = steps }
#define JUMP(steps) { .code = BPF_JMP | BPF_JA, .off = steps }
#define CALL(function) { .code = BPF_JMP | BPF_CALL, .imm = function }
#define EXIT { .code = BPF_JMP | BPF_EXIT }

/* Addresses are in network byte order, and this is a little-endian machine. */
#define LOOPBACK_FIRST_BYTE 127
#define LOOPBACK_V6_LAST_WORD 0x01000000

static int load_program(int map)
{
	const struct bpf_insn program[] = {
		/*  0 */ MOVE(BPF_REG_6, BPF_REG_1),
		/*  1 */ FIELD(BPF_REG_2, protocol),
		/*  2 */ JUMP_IF(BPF_JNE, BPF_REG_2, IPPROTO_TCP, 30),
		/*  3 */ FIELD(BPF_REG_2, family),
		/*  4 */ JUMP_IF(BPF_JEQ, BPF_REG_2, AF_INET, 9),
		/*  5 */ FIELD(BPF_REG_2, local_ip6[0]),
		/*  6 */ JUMP_IF(BPF_JNE, BPF_REG_2, 0, 26),
		/*  7 */ FIELD(BPF_REG_2, local_ip6[1]),
		/*  8 */ JUMP_IF(BPF_JNE, BPF_REG_2, 0, 24),
		/*  9 */ FIELD(BPF_REG_2, local_ip6[2]),
		/* 10 */ JUMP_IF(BPF_JNE, BPF_REG_2, 0, 22),
		/* 11 */ FIELD(BPF_REG_2, local_ip6[3]),
		/* 12 */ JUMP_IF(BPF_JNE, BPF_REG_2, LOOPBACK_V6_LAST_WORD, 20),
		/* 13 */ JUMP(3),
		/* 14 */ FIELD(BPF_REG_2, local_ip4),
		/* 15 */ AND(BPF_REG_2, 0xff),
		/* 16 */ JUMP_IF(BPF_JNE, BPF_REG_2, LOOPBACK_FIRST_BYTE, 16),
		/* 17 */ { .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4, .imm = 0 },
		/* 18 */ { .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		/* 19 */ { 0 },
		/* 20 */ MOVE(BPF_REG_2, BPF_REG_10),
		/* 21 */ ADD(BPF_REG_2, -4),
		/* 22 */ CALL(BPF_FUNC_map_lookup_elem),
		/* 23 */ JUMP_IF(BPF_JEQ, BPF_REG_0, 0, 9),
		/* 24 */ MOVE(BPF_REG_7, BPF_REG_0),
		/* 25 */ MOVE(BPF_REG_1, BPF_REG_6),
		/* 26 */ MOVE(BPF_REG_2, BPF_REG_7),
		/* 27 */ SET(BPF_REG_3, 0),
		/* 28 */ CALL(BPF_FUNC_sk_assign),
		/* 29 */ MOVE(BPF_REG_1, BPF_REG_7),
		/* 30 */ CALL(BPF_FUNC_sk_release),
		/* 31 */ SET(BPF_REG_0, SK_PASS),
		/* 32 */ EXIT,
		/* 33 */ SET(BPF_REG_0, SK_PASS),
		/* 34 */ EXIT,
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP, .insns = (uintptr_t)program,
				.insn_cnt = HULL_ARRAY_SIZE(program), .license = (uintptr_t)"GPL", .prog_name = "hull_localhost" };
	return hull_bpf(BPF_PROG_LOAD, &attr);
}

static int attach(int program, int netns_fd)
{
	union bpf_attr attr = { .link_create = { .prog_fd = (uint32_t)program, .target_fd = (uint32_t)netns_fd, .attach_type = BPF_SK_LOOKUP } };
	return hull_bpf(BPF_LINK_CREATE, &attr);
}

/* One socket for both families, if there are two. Its own port does not matter. */
static int listen_inside(void *data, struct hull_error *err)
{
	int *ret = data, off = 0;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 || bind(fd, (struct sockaddr *)&v6, sizeof(v6)) < 0) {
		hull_closep(&fd);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&v4, sizeof(v4)) < 0)
			return hull_error_errno(err, errno, "make a socket");
	}
	if (listen(fd, BACKLOG) < 0)
		return hull_error_errno(err, errno, "listen");
	*ret = TAKE_FD(fd);
	return 0;
}

int hull_loopback_open(int netns_fd, struct hull_loopback *ret, struct hull_error *err)
{
	_cleanup_close_ int listener = -1, map = -1, program = -1;
	int r = hull_netns_inside(netns_fd, listen_inside, &listener, err);
	if (r < 0)
		return r;
	map = make_map(listener);
	if (map < 0)
		return hull_error_errno(err, map, "make a BPF map of sockets");
	program = load_program(map);
	if (program < 0)
		return hull_error_errno(err, program, "load a BPF program");
	int link = attach(program, netns_fd);
	if (link < 0)
		return hull_error_errno(err, link, "attach a BPF program to the network namespace");
	*ret = (struct hull_loopback){ TAKE_FD(listener), link };
	return 0;
}

uint16_t hull_loopback_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = { 0 };
	socklen_t length = sizeof(address);
	if (getsockname(fd, &address.any, &length) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

void hull_loopback_close(struct hull_loopback *loopback)
{
	hull_closep(&loopback->link);
	hull_closep(&loopback->listener);
}
