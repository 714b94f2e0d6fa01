/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/names.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/agent.h"
#include "agent/names_tcp.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sk_lookup.h"

#define ADDRESS 0x7f00000bu
#define PORT 53
/* A datagram with its headers. */
#define UDP_MAX (65535 - sizeof(struct iphdr) - sizeof(struct udphdr))

typedef Hull__Agent__V1__NameMessage Message;

struct query {
	bool taken;
	uint32_t id;
	struct sockaddr_in from;       /* who asked by datagram, or … */
	struct hull_names_connection *connection;
};

struct hull_names {
	struct hull_agent *agent;
	struct hull_rpc_stream *stream;
	int link, raw;
	struct hull_watch *udp;
	struct hull_names_tcp *tcp;
	struct query queries[HULL_NAMES_QUERIES_MAX];
	unsigned n_queries;
	uint32_t next_id;
};

/* ---- queries */

/* Whoever asks while all places are taken waits in its socket. */
static void update(struct hull_names *n)
{
	bool room = n->n_queries < HULL_NAMES_QUERIES_MAX;
	hull_watch_set(n->udp, room ? UV_READABLE : 0);
	hull_names_tcp_room(n->tcp, room);
}

static struct query *ask(struct hull_names *n, const uint8_t *data, size_t length, bool tcp)
{
	struct query *q = n->queries;
	Message m = HULL__AGENT__V1__NAME_MESSAGE__INIT;
	while (q->taken)
		q++;
	*q = (struct query){ .taken = true, .id = n->next_id++ };
	n->n_queries++;
	m.id = q->id;
	m.tcp = tcp;
	m.message = (ProtobufCBinaryData){ .len = length, .data = (uint8_t *)(uintptr_t)data };
	hull_rpc_stream_send(n->stream, &m.base);
	return q;
}

static void ask_for_connection(void *data, struct hull_names_connection *c, const uint8_t *message, size_t length)
{
	struct hull_names *n = data;
	ask(n, message, length, true)->connection = c;
	update(n);
}

static void forget_connection(void *data, const struct hull_names_connection *c)
{
	struct hull_names *n = data;
	for (struct query *q = n->queries; q < n->queries + HULL_NAMES_QUERIES_MAX; q++)
		if (q->connection == c)
			q->connection = NULL;
}

static void on_udp(void *data, int events)
{
	struct hull_names *n = data;
	uint8_t buffer[UDP_MAX];
	struct sockaddr_in from = { 0 };
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(hull_watch_fd(n->udp), buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&from, &length);
	if (got > 0 && from.sin_family == AF_INET)
		ask(n, buffer, (size_t)got, false)->from = from;
	update(n);
}

/* From port 53, to which nobody is bound. No checksum: none is needed on the way through lo. Source: RFC 768; raw(7). */
static void answer_datagram(struct hull_names *n, const struct sockaddr_in *to, const uint8_t *data, size_t length)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		uint8_t data[UDP_MAX];
	} packet;
	size_t whole = sizeof(packet.ip) + sizeof(packet.udp) + length;
	if (length > sizeof(packet.data))
		return;
	packet.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .saddr = htonl(ADDRESS), .daddr = to->sin_addr.s_addr,
				    .tot_len = htons((uint16_t)whole) };
	packet.udp = (struct udphdr){ .source = htons(PORT), .dest = to->sin_port, .len = htons((uint16_t)(sizeof(packet.udp) + length)) };
	memcpy(packet.data, data, length);
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = to->sin_addr };
	if (sendto(n->raw, &packet, whole, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof(address)) < 0)
		hull_log_warning("names: answer: %s", strerror(errno));
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct hull_names *n = data;
	const Message *m = (const Message *)message;
	for (struct query *q = n->queries; q < n->queries + HULL_NAMES_QUERIES_MAX; q++) {
		if (!q->taken || q->id != m->id)
			continue;
		struct query was = *q;
		*q = (struct query){ 0 };
		n->n_queries--;
		if (was.connection)
			hull_names_tcp_answer(was.connection, m->message.data, m->message.len);
		else if (was.from.sin_family == AF_INET && m->message.len > 0)
			answer_datagram(n, &was.from, m->message.data, m->message.len);
		break;
	}
	update(n);
}

/* ---- from one end to the other */

static void names_free(struct hull_names *n)
{
	hull_closep(&n->link);
	hull_closep(&n->raw);
	hull_watch_free(n->udp);
	hull_names_tcp_free(n->tcp);
	n->agent->names = NULL;
	free(n);
}

static void finish(struct hull_names *n, enum hull_rpc_code code, const char *message)
{
	hull_rpc_stream_finish(n->stream, code, message);
	names_free(n);
}

static void on_remote_closed(void *data)
{
	finish(data, HULL_RPC_OK, "");
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	finish(data, HULL_RPC_CANCELLED, "");
}

static const struct hull_rpc_stream_ops stream_ops = { .on_message = on_message, .on_remote_closed = on_remote_closed, .on_end = on_end };

#define FIELD(dst, name) HULL_BPF_LOAD(dst, BPF_REG_6, offsetof(struct bpf_sk_lookup, name))

/* For connections the first socket, for datagrams the second. */
static int steer(const int sockets[2], struct hull_error *err)
{
	_cleanup_close_ int map = hull_sk_lookup_map(sockets, 2), own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (map < 0 || own < 0)
		return hull_error_errno(err, map < 0 ? map : errno, "make a BPF map of sockets");
	const struct bpf_insn program[] = {
		/*  0 */ HULL_BPF_MOVE(BPF_REG_6, BPF_REG_1),
		/*  1 */ FIELD(BPF_REG_2, family),
		/*  2 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, AF_INET, 37),
		/*  3 */ FIELD(BPF_REG_2, local_ip4),
		/*  4 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, (int)__builtin_bswap32(ADDRESS), 35),
		/*  5 */ FIELD(BPF_REG_2, local_port),
		/*  6 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, PORT, 33),
		/*  7 */ FIELD(BPF_REG_2, protocol),
		/*  8 */ HULL_BPF_JUMP_IF(BPF_JEQ, BPF_REG_2, IPPROTO_UDP, 17),
		/*  9 */ HULL_BPF_JUMP_IF(BPF_JNE, BPF_REG_2, IPPROTO_TCP, 30),
		/* 10 to 25 */ HULL_BPF_ASSIGN(map, 0),
		/* 26 to 41; 40 lets it pass */ HULL_BPF_ASSIGN(map, 1),
	};
	return hull_sk_lookup_attach(program, HULL_ARRAY_SIZE(program), "hull_names", own, err);
}

static int open_socket(int type, int protocol)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ADDRESS) };
	_cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0 || (type != SOCK_RAW && bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0) ||
	    (type == SOCK_STREAM && listen(fd, HULL_NAMES_CONNECTIONS_MAX) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static int names_open(struct hull_names *n, struct hull_error *err)
{
	_cleanup_close_ int udp = open_socket(SOCK_DGRAM, 0), tcp = open_socket(SOCK_STREAM, 0);
	n->raw = open_socket(SOCK_RAW, IPPROTO_RAW);
	if (udp < 0 || tcp < 0 || n->raw < 0)
		return hull_error_errno(err, udp < 0 ? udp : tcp < 0 ? tcp : n->raw, "listen for names");
	n->link = steer((const int[]){ tcp, udp }, err);
	if (n->link < 0)
		return n->link;
	n->udp = hull_watch_new(n->agent->loop, TAKE_FD(udp), on_udp, n);
	static const struct hull_names_tcp_ops tcp_ops = { ask_for_connection, forget_connection };
	n->tcp = hull_names_tcp_new(n->agent->loop, TAKE_FD(tcp), &tcp_ops, n);
	return n->udp && n->tcp ? 0 : hull_error_set(err, EIO, "watch for names");
}

void hull_handle_resolve_names(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct hull_agent *agent = data;
	struct hull_error err = HULL_ERROR_INIT;
	if (agent->names) {
		hull_rpc_stream_finish(stream, HULL_RPC_ALREADY_EXISTS, "names are resolved already");
		return;
	}
	struct hull_names *n = agent->names = hull_new(struct hull_names, 1);
	n->agent = agent;
	n->stream = stream;
	n->link = n->raw = -1;
	if (names_open(n, &err) < 0) {
		finish(n, HULL_RPC_UNAVAILABLE, err.message);
		return;
	}
	hull_rpc_stream_accept(stream, &hull__agent__v1__name_message__descriptor, &stream_ops, n);
	update(n);
}
