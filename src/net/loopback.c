/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loopback.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/sk_lookup.h"
#include "net/netns.h"

#define BACKLOG 64

#define FIELD(dst, name) HULL_BPF_LOAD(dst, BPF_REG_6, offsetof(struct bpf_sk_lookup, name))

/* Addresses are in network byte order, and this is a little-endian machine. */
#define LOOPBACK_FIRST_BYTE 127
#define LOOPBACK_V6_LAST_WORD 0x01000000
/* 127.0.0.11: an engine's name server, which is in the namespace itself (resolver.h). */
#define RESOLVER 0x0b00007f

static int attach(int map, int netns_fd, struct hull_error *err)
{
	const struct bpf_insn program[] = {
		/*  0 */ HULL_BPF_MOVE(BPF_REG_6, BPF_REG_1),
		/*  1 */ FIELD(BPF_REG_2, protocol),
		/*  2 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, IPPROTO_TCP, 29),
		/*  3 */ FIELD(BPF_REG_2, family),
		/*  4 */ HULL_BPF_JUMP_IF(BPF_JEQ, BPF_REG_2, AF_INET, 9),
		/*  5 */ FIELD(BPF_REG_2, local_ip6[0]),
		/*  6 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, 0, 25),
		/*  7 */ FIELD(BPF_REG_2, local_ip6[1]),
		/*  8 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, 0, 23),
		/*  9 */ FIELD(BPF_REG_2, local_ip6[2]),
		/* 10 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, 0, 21),
		/* 11 */ FIELD(BPF_REG_2, local_ip6[3]),
		/* 12 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, LOOPBACK_V6_LAST_WORD, 19),
		/* 13 */ HULL_BPF_JUMP(4),
		/* 14 */ FIELD(BPF_REG_2, local_ip4),
		/* 15 */ HULL_BPF_JUMP_IF(BPF_JEQ, BPF_REG_2, RESOLVER, 16),
		/* 16 */ HULL_BPF_AND(BPF_REG_2, 0xff),
		/* 17 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, LOOPBACK_FIRST_BYTE, 14),
		/* 18 to 33; 32 lets it pass */ HULL_BPF_ASSIGN(map, 0),
	};
	return hull_sk_lookup_attach(program, HULL_ARRAY_SIZE(program), "hull_localhost", netns_fd, err);
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
	_cleanup_close_ int listener = -1, map = -1;
	int r = hull_netns_inside(netns_fd, listen_inside, &listener, err);
	if (r < 0)
		return r;
	map = hull_sk_lookup_map(&listener, 1);
	if (map < 0)
		return hull_error_errno(err, map, "make a BPF map of sockets");
	int link = attach(map, netns_fd, err);
	if (link < 0)
		return link;
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
