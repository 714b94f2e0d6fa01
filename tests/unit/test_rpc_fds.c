/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors beside requests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc_fixture.h"

typedef Hull__Agent__V1__StdioFrame Frame;

static void on_number(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct fx_reply *reply = data;

	reply->n++;
	reply->code = status->code;
	snprintf(reply->text, sizeof(reply->text), "%s", status->message);
	if (response)
		reply->number = ((const Frame *)response)->credit;
}

/* Sends `send` descriptors, numbered by their content, and says that there are `claim`; `padding` bytes go along. */
static void call_fds(struct fx *fx, const char *method, size_t send, size_t claim, size_t padding, struct fx_reply *reply)
{
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	int *fds = hull_new(int, send);

	for (size_t i = 0; i < send; i++) {
		uint32_t number = (uint32_t)i;
		fds[i] = memfd_create("test", MFD_CLOEXEC);
		assert_true(fds[i] >= 0);
		fx_write(fds[i], &number, sizeof(number));
	}
	frame.credit = claim;
	frame.data.len = padding;
	frame.data.data = hull_calloc(1, padding);
	hull_rpc_call(fx->client, "test.Service", method, &frame.base, &hull__agent__v1__stdio_frame__descriptor, 10000,
		      fds, send, on_number, reply);
	/* They are borrowed during the call only. */
	for (size_t i = 0; i < send; i++)
		close(fds[i]);
	free(fds);
	free(frame.data.data);
}

static void test_counts(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 252, 253, 254, 300, 506, 507, HULL_RPC_FDS_MAX };
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };

	setrlimit(RLIMIT_NOFILE, &limit);
	/* The first loop of a process leaves descriptors of libuv's behind. */
	fx_free(fx_new(NULL, NULL));
	int before = fx_count_fds();
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct fx *fx = fx_new(NULL, NULL);
		struct fx_reply reply = { 0 };
		call_fds(fx, "Fds", counts[i], counts[i], 0, &reply);
		fx_until(fx, &reply.n, 1);
		assert_int_equal(reply.code, HULL_RPC_OK);
		assert_int_equal(reply.number, counts[i]);
		fx_free(fx);
	}
	assert_int_equal(fx_count_fds(), before);
}

static void test_many_in_order(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply replies[60] = { 0 };

	/* With and without descriptors, small and large, all queued at once. */
	for (size_t i = 0; i < 60; i++)
		call_fds(fx, "Fds", i % 4, i % 4, i % 7 * 10000, &replies[i]);
	fx_until(fx, &replies[59].n, 1);
	for (size_t i = 0; i < 60; i++) {
		assert_int_equal(replies[i].code, HULL_RPC_OK);
		assert_int_equal(replies[i].number, i % 4);
	}
	fx_free(fx);
}

static void test_wrong_number(void **state)
{
	int before = fx_count_fds();
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply replies[4] = { 0 };

	call_fds(fx, "Fds", 2, 3, 0, &replies[0]);
	call_fds(fx, "Fds", 3, 2, 0, &replies[1]);
	call_fds(fx, "Fds", 0, 1, 0, &replies[2]);
	call_fds(fx, "Fds", 2, 2, 0, &replies[3]);
	fx_until(fx, &replies[3].n, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(replies[i].code, HULL_RPC_INVALID_ARGUMENT);
		assert_non_null(strstr(replies[i].text, "-74"));
	}
	assert_int_equal(replies[3].code, HULL_RPC_OK);
	fx_free(fx);
	assert_int_equal(fx_count_fds(), before);
}

/* What nobody takes is closed: by a handler that does not look, for a method that is not there. */
static void test_not_taken(void **state)
{
	int before = fx_count_fds();
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply replies[4] = { 0 };

	call_fds(fx, "IgnoreFds", 5, 5, 0, &replies[0]);
	call_fds(fx, "Nothing", 5, 5, 0, &replies[1]);
	call_fds(fx, "Chat", 5, 5, 0, &replies[2]);
	call_fds(fx, "Fds", 3, 3, 0, &replies[3]);
	fx_until(fx, &replies[3].n, 1);
	assert_int_equal(replies[0].number, 5);
	assert_int_equal(replies[1].code, HULL_RPC_UNIMPLEMENTED);
	assert_int_equal(replies[3].number, 3);
	fx_free(fx);
	assert_int_equal(fx_count_fds(), before);
}

static void test_too_many(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	call_fds(fx, "Fds", HULL_RPC_FDS_MAX + 1, 0, 0, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_INVALID_ARGUMENT);
	assert_int_equal(fx->handled, 0);
	assert_true(hull_rpc_client_alive(fx->client));
	fx_free(fx);
}

static void test_bad_descriptor(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	int fds[2] = { 0, 9999 };

	hull_rpc_call(fx->client, "test.Service", "Fds", &frame.base, &hull__agent__v1__stdio_frame__descriptor, 10000,
		      fds, 2, on_number, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_INVALID_ARGUMENT);
	fx_free(fx);
}

/* The queue is dropped with its descriptors. */
static void test_unsent(void **state)
{
	int before = fx_count_fds(), fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	struct fx_reply replies[40] = { 0 };

	for (int i = 0; i < 40; i++)
		call_fds(fx, "Fds", 10, 10, 100000, &replies[i]);
	fx_client_free(fx);
	close(fd);
	assert_int_equal(replies[39].n, 1);
	fx_free(fx);
	assert_int_equal(fx_count_fds(), before);
}

/* ---------------------------------------------------------------------- raw */

static void send_raw(int fd, const void *data, size_t len, int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = { .bytes = { 0 } };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[253];
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int)),
	};

	for (int i = 0; i < n_fds; i++)
		fds[i] = null;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, (size_t)n_fds * sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), len);
	close(null);
}

/* Descriptors that no request claims do not stay, nor do they reach another request. */
static void test_stray(void **state)
{
	int before = fx_count_fds(), fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t request[512];

	size_t len = fx_request_bytes(1, 0, "Echo", "web", 0, NULL, request);
	int quiet = fx_count_fds();
	send_raw(fd, request, len, 100);
	assert_int_equal(fx_read_status(fx, fd, NULL, NULL), HULL_RPC_OK);
	assert_int_equal(fx_count_fds(), quiet);

	len = fx_request_bytes(3, 0, "Echo", "web", 0, "7", request);
	send_raw(fd, request, len, 7);
	assert_int_equal(fx_read_status(fx, fd, NULL, NULL), HULL_RPC_OK);
	len = fx_request_bytes(5, 0, "Hold", "web", 0, "18446744073709551615", request);
	send_raw(fd, request, len, 7);
	fx_until(fx, &fx->handled, 3);
	assert_int_equal(hull_rpc_request_n_fds(fx->held[0]), 0);
	assert_int_equal(fx_count_fds(), quiet);
	close(fd);
	fx_free(fx);
	assert_int_equal(fx_count_fds(), before);
}

/* They come before their frame is complete, and wait. */
static void test_split_frame(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t request[512];

	size_t len = fx_request_bytes(1, 0, "Hold", "web", 0, "5", request);
	send_raw(fd, request, 1, 3);
	fx_run(fx, 5);
	send_raw(fd, request + 1, 1, 2);
	fx_run(fx, 5);
	fx_write(fd, request + 2, len - 2);
	fx_until(fx, &fx->handled, 1);
	assert_int_equal(hull_rpc_request_n_fds(fx->held[0]), 5);
	close(fd);
	fx_free(fx);
}

/* A sender that piles up descriptors is closed. */
static void test_flood(void **state)
{
	int before = fx_count_fds(), fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t request[512];

	fx_request_bytes(1, 0, "Hold", "web", 0, NULL, request);
	for (size_t i = 0; i < 5; i++)
		send_raw(fd, request + i, 1, 253);
	fx_until(fx, &fx->disconnects, 1);
	close(fd);
	fx_free(fx);
	assert_int_equal(fx_count_fds(), before);
}

/* A client takes no descriptors from its server. */
static void test_client_refuses(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	uint8_t zeros[HULL_FRAME_HEADER_BYTES] = { 0, 0, 0, 0, 0, 0, 0, 9, HULL_FRAME_RESPONSE, 0 };

	int quiet = fx_count_fds();
	send_raw(fd, zeros, sizeof(zeros), 50);
	fx_run(fx, 10);
	assert_int_equal(fx_count_fds(), quiet);
	assert_true(hull_rpc_client_alive(fx->client));
	close(fd);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_many_in_order),
		cmocka_unit_test(test_wrong_number),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_bad_descriptor),
		cmocka_unit_test(test_unsent),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_split_frame),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_client_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
