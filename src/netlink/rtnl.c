/* SPDX-License-Identifier: Apache-2.0 */
#include "netlink/rtnl.h"

#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* The kernel answers within the call; only a lock that somebody holds delays it. */
#define ANSWER_S 10
/* Of one dump message: the kernel never sends more. Source: linux net/netlink/af_netlink.c, netlink_dump(). */
#define RECEIVE_BYTES (64 << 10)

struct hull_rtnl {
	struct nl_sock *sock;
	uint8_t *buf;
};

int hull_rtnl_open(struct hull_rtnl **ret, struct hull_error *err)
{
	const struct timeval patience = { .tv_sec = ANSWER_S };
	const int on = 1;
	struct hull_rtnl *rtnl = hull_new(struct hull_rtnl, 1);
	rtnl->buf = hull_calloc(1, RECEIVE_BYTES);
	rtnl->sock = nl_socket_alloc();
	int r = rtnl->sock ? nl_connect(rtnl->sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (r < 0) {
		hull_rtnl_free(rtnl);
		return hull_error_set(err, EIO, "open a routing socket: %s", nl_geterror(r));
	}
	int fd = nl_socket_get_fd(rtnl->sock);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* Words instead of a bare errno; kernels before 4.12 have none. Without strict checks a filter of a dump is ignored. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*ret = rtnl;
	return 0;
}

void hull_rtnl_free(struct hull_rtnl *rtnl)
{
	if (!rtnl)
		return;
	nl_socket_free(rtnl->sock);
	free(rtnl->buf);
	free(rtnl);
}

struct nl_msg *hull_rtnl_message(int type, int flags, const void *header, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK | flags);
	if (!msg || nlmsg_append(msg, (void *)(uintptr_t)header, size, NLMSG_ALIGNTO) < 0)
		abort();
	return msg;
}

/* The kernel's words behind an error. Source: linux/netlink.h, enum nlmsgerr_attrs. */
static const char *extended(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t skip = sizeof(*e);
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	if ((size_t)nlmsg_datalen(h) < skip)
		return NULL;
	struct nlattr *a = nla_find((struct nlattr *)((uintptr_t)nlmsg_data(h) + NLMSG_ALIGN(skip)), nlmsg_datalen(h) - (int)NLMSG_ALIGN(skip),
				    NLMSGERR_ATTR_MSG);
	return a && nla_len(a) > 0 && ((const char *)nla_data(a))[nla_len(a) - 1] == '\0' ? nla_get_string(a) : NULL;
}

/* The answer to the last request. 1: more is to come; 0: done; -errno. */
static int take(const struct nlmsghdr *h, int (*fn)(const struct nlmsghdr *, void *), void *data, struct hull_error *err)
{
	if (h->nlmsg_type == NLMSG_DONE) {
		int code = nlmsg_datalen(h) >= (int)sizeof(int) ? *(const int *)nlmsg_data(h) : 0;
		return code < 0 ? hull_error_errno(err, code, "read a table") : 0;
	}
	if (h->nlmsg_type != NLMSG_ERROR) {
		int r = fn ? fn(h, data) : 0;
		return r == 0 ? 1 : r;
	}
	const struct nlmsgerr *e = nlmsg_data(h);
	if (nlmsg_datalen(h) < (int)sizeof(*e))
		return hull_error_set(err, EBADMSG, "the kernel's answer is cut off");
	if (e->error == 0)
		return 0;
	const char *words = extended(h);
	return words ? hull_error_set(err, -e->error, "%s", words) : hull_error_set(err, -e->error, "%s", strerror(-e->error));
}

static int receive(struct hull_rtnl *rtnl, uint32_t seq, int (*fn)(const struct nlmsghdr *, void *), void *data, struct hull_error *err)
{
	for (;;) {
		ssize_t n = recv(nl_socket_get_fd(rtnl->sock), rtnl->buf, RECEIVE_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hull_error_errno(err, errno == EAGAIN ? ETIMEDOUT : errno, "the kernel does not answer");
		int left = (int)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)rtnl->buf; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			/* The rest of an earlier walk that was ended. */
			if (h->nlmsg_seq != seq)
				continue;
			int r = take(h, fn, data, err);
			if (r != 1)
				return r;
		}
	}
}

static int transact(struct hull_rtnl *rtnl, struct nl_msg *msg, int (*fn)(const struct nlmsghdr *, void *), void *data,
		    struct hull_error *err)
{
	nl_complete_msg(rtnl->sock, msg);
	uint32_t seq = nlmsg_hdr(msg)->nlmsg_seq;
	int r = nl_send(rtnl->sock, msg);
	nlmsg_free(msg);
	if (r < 0)
		return hull_error_set(err, EIO, "ask the kernel: %s", nl_geterror(r));
	return receive(rtnl, seq, fn, data, err);
}

int hull_rtnl_request(struct hull_rtnl *rtnl, struct nl_msg *msg, struct hull_error *err)
{
	return transact(rtnl, msg, NULL, NULL, err);
}

int hull_rtnl_dump(struct hull_rtnl *rtnl, int type, const void *header, size_t size,
		   int (*fn)(const struct nlmsghdr *message, void *data), void *data, struct hull_error *err)
{
	struct nl_msg *msg = hull_rtnl_message(type, NLM_F_DUMP, header, size);
	nlmsg_hdr(msg)->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	return transact(rtnl, msg, fn, data, err);
}

int hull_rtnl_listen(const int *groups, size_t n, struct hull_error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return hull_error_errno(err, errno, "open a routing socket");
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			return hull_error_errno(err, errno, "listen to group %d of the routing socket", groups[i]);
	return TAKE_FD(fd);
}

bool hull_rtnl_drain(int fd)
{
	char buf[8192];
	bool any = false;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		/* ENOBUFS: something was lost, which is something too. */
		if (n < 0 && errno != ENOBUFS && errno != EINTR)
			return any;
		any = true;
	}
}
