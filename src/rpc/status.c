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

/* Bytes of the well-formed character at `p`, 0 if there is none. Source: RFC 3629, section 4. */
static size_t utf8_length(const unsigned char *p)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;

	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* U+0000 to U+001F, U+007F to U+009F, save newline and tab. */
static bool is_control(const unsigned char *p)
{
	if (p[0] == '\n' || p[0] == '\t')
		return false;
	return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

/* NULL counts as the empty text. Each byte that cannot stay becomes a question mark. */
void hull_rpc_text_copy(char out[static HULL_RPC_TEXT_MAX], const char *text)
{
	const unsigned char *p = (const unsigned char *)(text ? text : "");
	size_t used = 0;

	while (*p) {
		size_t n = utf8_length(p);
		bool keep = n > 0 && !is_control(p);
		if (used + (keep ? n : 1) >= HULL_RPC_TEXT_MAX)
			break;
		if (keep)
			memcpy(out + used, p, n);
		else
			out[used] = '?';
		used += keep ? n : 1;
		p += n ? n : 1;
	}
	out[used] = '\0';
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
