/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between our own client and server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/process.h"
#include "rpc_fixture.h"

static struct fx *open_pair(struct fx_stream *s, const struct hull_rpc_limits *client, const struct hull_rpc_limits *server)
{
	struct fx *fx = fx_new(client, server);
	fx_open(fx, "Chat", s);
	fx_until(fx, &fx->handled, 1);
	return fx;
}

static void test_both_ways(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	assert_string_equal(fx->accepted.last, "opening");
	assert_int_equal(fx_send_text(s.stream, "to the server"), 0);
	fx_until(fx, &fx->accepted.messages, 1);
	assert_string_equal(fx->accepted.last, "to the server");
	assert_int_equal(fx_send_text(fx->accepted.stream, "to the client"), 0);
	fx_until(fx, &s.messages, 1);
	assert_string_equal(s.last, "to the client");
	/* An empty message is a message. */
	assert_int_equal(fx_send(s.stream, 0), 0);
	fx_until(fx, &fx->accepted.messages, 2);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_echo(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx->accepted.echo = true;
	for (int i = 0; i < 100; i++)
		assert_int_equal(fx_send(s.stream, (size_t)i * 1000), 0);
	fx_until(fx, &s.messages, 100);
	assert_int_equal(s.bytes, 4950000);
	assert_int_equal(hull_rpc_stream_backlog(s.stream), 0);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_status_at_end(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	hull_rpc_stream_finish(fx->accepted.stream, HULL_RPC_ABORTED, "the process is gone");
	fx->accepted.stream = NULL;
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_ABORTED);
	assert_string_equal(s.text, "the process is gone");
	assert_int_equal(s.remote_closed, 0);
	assert_int_equal(fx_send_text(s.stream, "late"), -EPIPE);
	assert_int_equal(hull_rpc_stream_close_send(s.stream), -EPIPE);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_ok_before_half_close(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	hull_rpc_stream_finish(fx->accepted.stream, HULL_RPC_OK, "");
	fx->accepted.stream = NULL;
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_OK);
	/* The client's half-close crosses the end: nobody minds. */
	struct fx_reply reply = { 0 };
	hull_rpc_stream_free(s.stream);
	fx_call(fx, "Echo", "web", 5000, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_OK);
	fx_free(fx);
}

static void test_client_half_close(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	assert_int_equal(hull_rpc_stream_close_send(s.stream), 0);
	assert_int_equal(hull_rpc_stream_close_send(s.stream), -EPIPE);
	assert_int_equal(fx_send_text(s.stream, "late"), -EPIPE);
	fx_until(fx, &fx->accepted.remote_closed, 1);
	/* The other way is still open. */
	assert_int_equal(fx_send_text(fx->accepted.stream, "still here"), 0);
	fx_until(fx, &s.messages, 1);
	assert_int_equal(s.ended, 0);
	hull_rpc_stream_finish(fx->accepted.stream, HULL_RPC_NOT_FOUND, "gone");
	fx->accepted.stream = NULL;
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_NOT_FOUND);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_server_half_close_first(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	assert_int_equal(hull_rpc_stream_close_send(fx->accepted.stream), 0);
	assert_int_equal(fx_send_text(fx->accepted.stream, "late"), -EPIPE);
	fx_until(fx, &s.remote_closed, 1);
	assert_int_equal(s.ended, 0);
	assert_int_equal(fx_send_text(s.stream, "more"), 0);
	fx_until(fx, &fx->accepted.messages, 1);
	assert_int_equal(hull_rpc_stream_close_send(s.stream), 0);
	fx_until(fx, &fx->accepted.remote_closed, 1);
	assert_int_equal(s.ended, 0);
	hull_rpc_stream_finish(fx->accepted.stream, HULL_RPC_ABORTED, "no");
	fx->accepted.stream = NULL;
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_ABORTED);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

/* Source: ttrpc PROTOCOL.md: closed on both sides, the client's first, is the end. */
static void test_both_half_closed(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx->accepted.close_on_remote_closed = true;
	assert_int_equal(hull_rpc_stream_close_send(s.stream), 0);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.remote_closed, 1);
	assert_int_equal(s.code, HULL_RPC_OK);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_finish_on_half_close(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx->accepted.finish_on_remote_closed = true;
	fx_send_text(s.stream, "last");
	hull_rpc_stream_close_send(s.stream);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_OK);
	assert_string_equal(fx->accepted.last, "last");
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_refused(void **state)
{
	static const struct {
		const char *method;
		enum hull_rpc_code code;
	} cases[] = {
		{ "Refuse", HULL_RPC_PERMISSION_DENIED },
		{ "Forget", HULL_RPC_INTERNAL },
		{ "Nothing", HULL_RPC_UNIMPLEMENTED },
	};
	struct fx *fx = fx_new(NULL, NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fx_stream s = { .free_on_end = true };
		fx_open(fx, cases[i].method, &s);
		fx_until(fx, &s.ended, 1);
		assert_int_equal(s.code, cases[i].code);
	}
	fx_free(fx);
}

/* A stream to a unary method gets the method's answer, and a unary call to a stream method a stream without data. */
static void test_wrong_kind(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_stream s = { .free_on_end = true };
	struct fx_reply reply = { 0 };

	fx_open(fx, "Fail", &s);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_NOT_FOUND);
	fx->accepted.finish_on_remote_closed = true;
	fx_call(fx, "Chat", "web", 5000, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(fx->accepted.remote_closed, 1);
	assert_int_equal(reply.code, HULL_RPC_INTERNAL);
	fx_free(fx);
}

static void test_connection_breaks(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx_client_free(fx);
	assert_int_equal(s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_CANCELLED);
	assert_int_equal(fx_send_text(s.stream, "late"), -EPIPE);
	fx_until(fx, &fx->accepted.ended, 1);
	assert_int_equal(fx->accepted.code, HULL_RPC_UNAVAILABLE);
	assert_int_equal(fx_send_text(fx->accepted.stream, "late"), -EPIPE);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_server_freed(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx_server_free(fx);
	assert_int_equal(fx->accepted.ended, 1);
	assert_int_equal(fx->accepted.code, HULL_RPC_CANCELLED);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_UNAVAILABLE);
	hull_rpc_stream_free(s.stream);
	/* A stream on a dead connection ends from the loop. */
	struct fx_stream late = { .free_on_end = true };
	fx_open(fx, "Chat", &late);
	assert_int_equal(late.ended, 0);
	assert_int_equal(fx_send_text(late.stream, "late"), -EPIPE);
	fx_until(fx, &late.ended, 1);
	assert_int_equal(late.code, HULL_RPC_UNAVAILABLE);
	fx_free(fx);
}

static void test_free_dead_stream_early(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);
	struct fx_stream late = { 0 };

	fx_server_free(fx);
	fx_until(fx, &s.ended, 1);
	fx_open(fx, "Chat", &late);
	hull_rpc_stream_free(late.stream);
	hull_rpc_stream_free(s.stream);
	fx_run(fx, 10);
	assert_int_equal(late.ended, 0);
	fx_free(fx);
}

/* Giving up a stream half-closes it, so that the server can end its side. */
static void test_client_gives_up(void **state)
{
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, NULL);

	hull_rpc_stream_free(s.stream);
	fx_until(fx, &fx->accepted.remote_closed, 1);
	fx_send_text(fx->accepted.stream, "nobody listens");
	fx_run(fx, 10);
	assert_int_equal(s.messages + s.ended, 0);
	fx_free(fx);
}

static void test_message_too_long(void **state)
{
	struct hull_rpc_limits small = { .payload_max = 1000 };
	struct fx_stream s = { 0 };
	struct fx *fx = open_pair(&s, NULL, &small);

	assert_int_equal(fx_send(fx->accepted.stream, 2000), -EMSGSIZE);
	/* The sender allows what the receiver does not: the stream ends, on both sides. */
	assert_int_equal(fx_send(s.stream, 2000), 0);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(fx->accepted.ended, 1);
	assert_int_equal(fx->accepted.code, HULL_RPC_RESOURCE_EXHAUSTED);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);

	s = (struct fx_stream) { 0 };
	fx = open_pair(&s, &small, NULL);
	assert_int_equal(fx_send(fx->accepted.stream, 2000), 0);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_RESOURCE_EXHAUSTED);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

/* ---------------------------------------------------------------- backpressure */

static void test_write_queue_max(void **state)
{
	struct hull_rpc_limits limits = { .write_queue_max = 1 << 20 };
	int fd, r;
	struct fx *fx = fx_new_client(&limits, &fd);
	struct fx_stream s = { 0 };

	/* The peer does not read. */
	fx_open(fx, "Chat", &s);
	do {
		r = fx_send(s.stream, 32768);
		assert_true(hull_rpc_stream_backlog(s.stream) <= 1 << 20);
	} while (r == 0);
	assert_int_equal(r, -ENOBUFS);
	assert_true(hull_rpc_stream_backlog(s.stream) > (1 << 20) - 40000);
	assert_true(hull_rpc_client_alive(fx->client));

	/* A call still gets in behind the data, and the stream goes on when the peer has read. */
	struct fx_reply reply = { 0 };
	fx_call(fx, "Echo", "web", HULL_RPC_NO_DEADLINE, &reply);
	fx_run(fx, 10);
	assert_int_equal(reply.n, 0);
	static uint8_t buffer[1 << 16];
	while (hull_rpc_stream_backlog(s.stream) > 0) {
		assert_true(read(fd, buffer, sizeof(buffer)) > 0);
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(fx_send(s.stream, 32768), 0);
	hull_rpc_stream_free(s.stream);
	close(fd);
	fx_until(fx, &reply.n, 1);
	fx_free(fx);
}

static void test_calls_to_stuck_peer(void **state)
{
	struct hull_rpc_limits limits = { .write_queue_max = 4096, .payload_max = 4096 };
	int fd;
	struct fx *fx = fx_new_client(&limits, &fd);
	static struct fx_reply replies[4000];
	int n = 0;

	memset(replies, 0, sizeof(replies));
	while (hull_rpc_client_alive(fx->client) && n < 4000)
		fx_call(fx, "Echo", "some container's name", HULL_RPC_NO_DEADLINE, &replies[n++]);
	assert_true(n < 4000);
	assert_int_equal(replies[n - 1].n, 0);
	fx_until(fx, &replies[n - 1].n, 1);
	fx_until(fx, &fx->closes, 1);
	for (int i = 0; i < n; i++) {
		assert_int_equal(replies[i].n, 1);
		assert_true(replies[i].code == HULL_RPC_UNAVAILABLE || replies[i].code == HULL_RPC_RESOURCE_EXHAUSTED);
	}
	close(fd);
	fx_free(fx);
}

/* A client that calls and calls and never reads is closed; it costs bounded memory. */
static void test_client_that_never_reads(void **state)
{
	struct hull_rpc_limits limits = { .write_queue_max = 100000 };
	int fd;
	struct fx *fx = fx_new_server(&limits, &fd);
	uint8_t request[512];
	int size = 4096;

	setsockopt(fx->conn->chan->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (uint32_t id = 1; !fx->disconnects && id < 2000000; id += 2) {
		size_t len = fx_request_bytes(id, 0, "Fail", "web", 0, NULL, request);
		if (send(fd, request, len, MSG_NOSIGNAL) < 0)
			break;
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	fx_until(fx, &fx->disconnects, 1);
	close(fd);
	fx_free(fx);
}

/* One connection is stuck, the other is served as if nothing were. */
static void test_stuck_reader_blocks_itself(void **state)
{
	struct hull_rpc_limits limits = { .write_queue_max = 256 << 10 };
	struct fx *fx = fx_new(NULL, &limits);
	uint8_t request[512];
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct hull_rpc_conn *stuck = hull_rpc_server_add(fx->server, pair[0]);
	fx_write(pair[1], request, fx_request_bytes(1, HULL_FRAME_REMOTE_OPEN, "Chat", "web", 0, NULL, request));
	fx_until(fx, &fx->handled, 1);
	do
		r = fx_send(fx->accepted.stream, 10000);
	while (r == 0);
	assert_int_equal(r, -ENOBUFS);
	assert_false(hull_rpc_conn_idle(stuck));
	assert_false(hull_rpc_server_idle(fx->server));

	int64_t start = hull_now_ms();
	for (int i = 0; i < 100; i++) {
		struct fx_reply reply = { 0 };
		fx_call(fx, "Echo", "web", 1000, &reply);
		fx_until(fx, &reply.n, 1);
		assert_int_equal(reply.code, HULL_RPC_OK);
	}
	assert_true(hull_now_ms() - start < 2000);
	assert_int_equal(fx->accepted.ended, 0);
	close(pair[1]);
	fx_until(fx, &fx->accepted.ended, 1);
	fx_free(fx);
}

/* -------------------------------------------------- freeing inside callbacks */

static void test_free_in_on_message(void **state)
{
	struct fx_stream s = { .free_on_message = true };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx->accepted.free_on_message = true;
	fx_send_text(fx->accepted.stream, "one");
	fx_send_text(fx->accepted.stream, "two");
	fx_until(fx, &s.messages, 1);
	fx_run(fx, 10);
	assert_int_equal(s.messages, 1);
	assert_int_equal(s.ended, 0);
	fx_free(fx);

	s = (struct fx_stream) { 0 };
	fx = open_pair(&s, NULL, NULL);
	fx->accepted.free_on_message = true;
	fx_send_text(s.stream, "one");
	fx_send_text(s.stream, "two");
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_CANCELLED);
	assert_int_equal(fx->accepted.messages, 1);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_free_in_on_remote_closed(void **state)
{
	struct fx_stream s = { .free_on_remote_closed = true };
	struct fx *fx = open_pair(&s, NULL, NULL);

	hull_rpc_stream_close_send(fx->accepted.stream);
	fx_until(fx, &s.remote_closed, 1);
	assert_null(s.stream);
	fx_until(fx, &fx->accepted.remote_closed, 1);
	fx_free(fx);

	s = (struct fx_stream) { .free_on_remote_closed = true };
	fx = open_pair(&s, NULL, NULL);
	hull_rpc_stream_close_send(s.stream);
	fx->accepted.free_on_remote_closed = true;
	fx_until(fx, &fx->accepted.remote_closed, 1);
	assert_null(fx->accepted.stream);
	fx_until(fx, &s.ended, 1);
	hull_rpc_stream_free(s.stream);
	fx_free(fx);
}

static void test_free_in_on_end(void **state)
{
	struct fx_stream s = { .free_on_end = true };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx->accepted.free_on_end = true;
	fx_client_free(fx);
	assert_null(s.stream);
	fx_until(fx, &fx->accepted.ended, 1);
	assert_null(fx->accepted.stream);
	fx_free(fx);
}

static void test_free_connection_in_on_message(void **state)
{
	struct fx_stream s = { .free_client_on_message = true, .free_on_message = true };
	struct fx *fx = open_pair(&s, NULL, NULL);

	fx_send_text(fx->accepted.stream, "one");
	fx_send_text(fx->accepted.stream, "two");
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.messages, 1);
	fx_free(fx);

	s = (struct fx_stream) { .free_on_end = true };
	fx = open_pair(&s, NULL, NULL);
	fx->accepted.free_server_on_message = true;
	fx_send_text(s.stream, "one");
	fx_send_text(s.stream, "two");
	fx_until(fx, &s.ended, 1);
	assert_int_equal(fx->accepted.ended, 1);
	assert_int_equal(fx->accepted.messages, 1);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_status_at_end),
		cmocka_unit_test(test_ok_before_half_close),
		cmocka_unit_test(test_client_half_close),
		cmocka_unit_test(test_server_half_close_first),
		cmocka_unit_test(test_both_half_closed),
		cmocka_unit_test(test_finish_on_half_close),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_connection_breaks),
		cmocka_unit_test(test_server_freed),
		cmocka_unit_test(test_free_dead_stream_early),
		cmocka_unit_test(test_client_gives_up),
		cmocka_unit_test(test_message_too_long),
		cmocka_unit_test(test_write_queue_max),
		cmocka_unit_test(test_calls_to_stuck_peer),
		cmocka_unit_test(test_client_that_never_reads),
		cmocka_unit_test(test_stuck_reader_blocks_itself),
		cmocka_unit_test(test_free_in_on_message),
		cmocka_unit_test(test_free_in_on_remote_closed),
		cmocka_unit_test(test_free_in_on_end),
		cmocka_unit_test(test_free_connection_in_on_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
