/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes, errno values and the texts that go with them. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "rpc/internal.h"

/* The first row of a code says which errno it becomes. */
static const struct {
	int err;
	enum hull_rpc_code code;
} errno_codes[] = {
	{ 0, HULL_RPC_OK },
	{ ECANCELED, HULL_RPC_CANCELLED },
	{ EINVAL, HULL_RPC_INVALID_ARGUMENT },
	{ EBADMSG, HULL_RPC_INVALID_ARGUMENT },
	{ E2BIG, HULL_RPC_INVALID_ARGUMENT },
	{ ENAMETOOLONG, HULL_RPC_INVALID_ARGUMENT },
	{ ENOTDIR, HULL_RPC_INVALID_ARGUMENT },
	{ ENOEXEC, HULL_RPC_INVALID_ARGUMENT },
	{ ETIMEDOUT, HULL_RPC_DEADLINE_EXCEEDED },
	{ ETIME, HULL_RPC_DEADLINE_EXCEEDED },
	{ ENOENT, HULL_RPC_NOT_FOUND },
	{ ESRCH, HULL_RPC_NOT_FOUND },
	{ ENODEV, HULL_RPC_NOT_FOUND },
	{ ENXIO, HULL_RPC_NOT_FOUND },
	{ EEXIST, HULL_RPC_ALREADY_EXISTS },
	{ EPERM, HULL_RPC_PERMISSION_DENIED },
	{ EACCES, HULL_RPC_PERMISSION_DENIED },
	{ EROFS, HULL_RPC_PERMISSION_DENIED },
	{ ENOBUFS, HULL_RPC_RESOURCE_EXHAUSTED },
	{ ENOMEM, HULL_RPC_RESOURCE_EXHAUSTED },
	{ ENOSPC, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EDQUOT, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EMFILE, HULL_RPC_RESOURCE_EXHAUSTED },
	{ ENFILE, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EAGAIN, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EMSGSIZE, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EFBIG, HULL_RPC_RESOURCE_EXHAUSTED },
	{ EBUSY, HULL_RPC_FAILED_PRECONDITION },
	{ ENOTEMPTY, HULL_RPC_FAILED_PRECONDITION },
	{ ECHILD, HULL_RPC_FAILED_PRECONDITION },
	{ ECONNABORTED, HULL_RPC_ABORTED },
	{ ERANGE, HULL_RPC_OUT_OF_RANGE },
	{ EOVERFLOW, HULL_RPC_OUT_OF_RANGE },
	{ ENOTSUP, HULL_RPC_UNIMPLEMENTED },
	{ ENOSYS, HULL_RPC_UNIMPLEMENTED },
	{ EIO, HULL_RPC_INTERNAL },
	{ EPROTO, HULL_RPC_INTERNAL },
	{ ENOTCONN, HULL_RPC_UNAVAILABLE },
	{ ECONNREFUSED, HULL_RPC_UNAVAILABLE },
	{ ECONNRESET, HULL_RPC_UNAVAILABLE },
	{ EPIPE, HULL_RPC_UNAVAILABLE },
	{ EHOSTDOWN, HULL_RPC_UNAVAILABLE },
};

/* `err` may be negative. What is not in the table is UNKNOWN. */
enum hull_rpc_code hull_rpc_code_from_errno(int err)
{
	if (err < 0)
		err = -err;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(errno_codes); i++)
		if (errno_codes[i].err == err)
			return errno_codes[i].code;
	return HULL_RPC_UNKNOWN;
}

/* A positive errno, 0 for OK. */
int hull_rpc_code_to_errno(enum hull_rpc_code code)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(errno_codes); i++)
		if (errno_codes[i].code == code)
			return errno_codes[i].err;
	return EIO;
}

/* Source: google.rpc.Code; 15 and 16 have no use here. */
enum hull_rpc_code hull_rpc_code_from_wire(int32_t code)
{
	return code >= HULL_RPC_OK && code <= HULL_RPC_UNAVAILABLE ? (enum hull_rpc_code)code : HULL_RPC_UNKNOWN;
}

static const struct hull_send_failure send_failures[] = {
	{ EPIPE, HULL_RPC_UNAVAILABLE, "the connection is closed" },
	{ ENOBUFS, HULL_RPC_RESOURCE_EXHAUSTED, "the peer does not read: the write queue is full" },
	{ EMSGSIZE, HULL_RPC_RESOURCE_EXHAUSTED, "the request is longer than a frame may be" },
	{ EUSERS, HULL_RPC_RESOURCE_EXHAUSTED, "too many calls are open on the connection" },
	{ EOVERFLOW, HULL_RPC_RESOURCE_EXHAUSTED, "the connection has used up its stream ids" },
	{ ENOTSOCK, HULL_RPC_INVALID_ARGUMENT, "descriptors can travel over a unix socket only" },
	{ E2BIG, HULL_RPC_INVALID_ARGUMENT, "too many descriptors for one request" },
	{ EBADF, HULL_RPC_INVALID_ARGUMENT, "a descriptor of the request is not open" },
	{ EINVAL, HULL_RPC_INVALID_ARGUMENT, "a call needs a deadline" },
	{ EMFILE, HULL_RPC_RESOURCE_EXHAUSTED, "too many open descriptors" },
};

/* `r` is what hull_client_start() returned, other than 0. Never NULL. */
const struct hull_send_failure *hull_send_failure(int r)
{
	static const struct hull_send_failure other = { EIO, HULL_RPC_INTERNAL, "the request could not be sent" };

	for (size_t i = 0; i < HULL_ARRAY_SIZE(send_failures); i++)
		if (send_failures[i].err == -r)
			return &send_failures[i];
	return &other;
}
