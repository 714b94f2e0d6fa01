/* SPDX-License-Identifier: Apache-2.0 */
/* One side is ours, the other is the test, which sends bytes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc_fixture.h"
#include "rpc/ttrpc.pb-c.h"

static const uint8_t closed_flags = HULL_FRAME_REMOTE_CLOSED | HULL_FRAME_NO_DATA;

static void test_header(void **state)
{
	static const struct {
		uint8_t bytes[HULL_FRAME_HEADER_BYTES];
		struct hull_frame_header h;
		int result;
	} cases[] = {
		{ { 0, 0, 0, 5, 0, 0, 0, 1, 1, 0 }, { 5, 1, 1, 0 }, 0 },
		{ { 0, 64, 0, 0, 1, 2, 3, 4, 2, 3 }, { 4 << 20, 0x01020304, 2, 3 }, 0 },
		{ { 0, 64, 0, 1, 0, 0, 0, 1, 3, 0 }, { (4 << 20) + 1, 1, 3, 0 }, -EMSGSIZE },
		{ { 255, 255, 255, 255, 0, 0, 0, 0, 9, 9 }, { UINT32_MAX, 0, 9, 9 }, -EMSGSIZE },
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, { 0, 0, 1, 0 }, -EPROTO },
		{ { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0 }, { 0, 1, 0, 0 }, -EPROTO },
		{ { 0, 0, 0, 0, 0, 0, 0, 1, 4, 0 }, { 0, 1, 4, 0 }, -EPROTO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hull_frame_header h;
		uint8_t again[HULL_FRAME_HEADER_BYTES];
		assert_int_equal(hull_frame_decode(cases[i].bytes, &h), cases[i].result);
		assert_int_equal(h.length, cases[i].h.length);
		assert_int_equal(h.stream_id, cases[i].h.stream_id);
		assert_int_equal(h.type, cases[i].h.type);
		assert_int_equal(h.flags, cases[i].h.flags);
		hull_frame_encode(&h, again);
		assert_memory_equal(again, cases[i].bytes, sizeof(again));
	}
}

/* ------------------------------------------------------------ as the client */

static void test_flags_of_go_clients(void **state)
{
	static const uint8_t flags[] = { 0, HULL_FRAME_REMOTE_CLOSED, HULL_FRAME_REMOTE_OPEN };
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[512];
	uint32_t id;

	for (uint32_t i = 0; i < sizeof(flags); i++) {
		fx_write(fd, bytes, fx_request_bytes(2 * i + 1, flags[i], "Echo", "web", 0, NULL, bytes));
		assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_OK);
		assert_int_equal(id, 2 * i + 1);
	}
	close(fd);
	fx_free(fx);
}

static void test_byte_by_byte(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[512];

	for (uint32_t id = 1; id < 7; id += 2) {
		size_t len = fx_request_bytes(id, 0, "Fail", "web", 0, NULL, bytes);
		for (size_t i = 0; i < len; i++) {
			fx_write(fd, bytes + i, 1);
			uv_run(&fx->loop, UV_RUN_NOWAIT);
		}
		assert_int_equal(fx_read_status(fx, fd, NULL, NULL), HULL_RPC_NOT_FOUND);
	}
	close(fd);
	fx_free(fx);
}

/* Every way to cut three frames in two. */
static void test_split_anywhere(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[3 * 512];
	uint32_t id = 1, got;

	for (size_t cut = 1;; cut++) {
		size_t len = 0;
		for (int i = 0; i < 3; i++, id += 2)
			len += fx_request_bytes(id, 0, "Echo", "web", 0, NULL, bytes + len);
		if (cut >= len)
			break;
		fx_write(fd, bytes, cut);
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		fx_write(fd, bytes + cut, len - cut);
		for (uint32_t i = 3; i > 0; i--) {
			assert_int_equal(fx_read_status(fx, fd, &got, NULL), HULL_RPC_OK);
			assert_int_equal(got, id - 2 * i);
		}
	}
	close(fd);
	fx_free(fx);
}

/* What the server says to a frame that is not right, and that it goes on. */
static void test_refused_frames(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[512];
	uint32_t id;

	/* The first good one. */
	fx_write(fd, bytes, fx_request_bytes(11, 0, "Echo", "web", 0, NULL, bytes));
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_OK);
	/* The same id again, a lower one, an even one. */
	static const uint32_t bad_ids[] = { 11, 9, 12 };
	for (int i = 0; i < 3; i++) {
		fx_write(fd, bytes, fx_request_bytes(bad_ids[i], 0, "Echo", "web", 0, NULL, bytes));
		assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_INVALID_ARGUMENT);
		assert_int_equal(id, bad_ids[i]);
	}
	/* Data for a stream that never was. */
	fx_write_frame(fd, 13, HULL_FRAME_DATA, 0, "x", 1);
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_INVALID_ARGUMENT);
	assert_int_equal(id, 13);
	/* No request at all. */
	fx_write_frame(fd, 15, HULL_FRAME_REQUEST, 0, "\xff\xff", 2);
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_INVALID_ARGUMENT);
	/* An empty one names no service. */
	fx_write_frame(fd, 17, HULL_FRAME_REQUEST, 0, NULL, 0);
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_UNIMPLEMENTED);
	/* No answer to: data after the end, a response, types of the future. */
	fx_write_frame(fd, 11, HULL_FRAME_DATA, 0, "x", 1);
	fx_write_frame(fd, 11, HULL_FRAME_RESPONSE, 0, "x", 1);
	fx_write_frame(fd, 19, 4, 0, "future", 6);
	fx_write_frame(fd, 19, 255, 255, "future", 6);
	fx_write(fd, bytes, fx_request_bytes(19, 0, "Echo", "web", 0, NULL, bytes));
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_OK);
	assert_int_equal(id, 19);
	close(fd);
	fx_free(fx);
}

static void test_garbage_closes(void **state)
{
	static const uint8_t cases[][HULL_FRAME_HEADER_BYTES] = {
		"GET / HTTP",
		{ 1, 0, 0, 0, 0, 0, 0, 1, 1, 0 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd;
		struct fx *fx = fx_new_server(NULL, &fd);
		fx_write(fd, cases[i], HULL_FRAME_HEADER_BYTES);
		fx_until(fx, &fx->disconnects, 1);
		uint8_t byte;
		assert_int_equal(read(fd, &byte, 1), 0);
		close(fd);
		fx_free(fx);
	}
}

static void test_end_within_frame(void **state)
{
	uint8_t bytes[512];
	size_t len = fx_request_bytes(1, 0, "Echo", "web", 0, NULL, bytes);

	for (size_t cut = 0; cut < len; cut++) {
		int fd;
		struct fx *fx = fx_new_server(NULL, &fd);
		fx_write(fd, bytes, cut);
		close(fd);
		fx_until(fx, &fx->disconnects, 1);
		assert_int_equal(fx->handled, 0);
		fx_free(fx);
	}
}

static void test_oversized_is_skipped(void **state)
{
	struct hull_rpc_limits small = { .payload_max = 1000 };
	int fd;
	struct fx *fx = fx_new_server(&small, &fd);
	uint8_t bytes[512], block[4096] = { 0 };
	struct hull_frame_header h = { .length = 10 * sizeof(block), .stream_id = 1, .type = HULL_FRAME_REQUEST };
	uint32_t id;

	hull_frame_encode(&h, bytes);
	fx_write(fd, bytes, HULL_FRAME_HEADER_BYTES);
	/* The refusal does not wait for the payload. */
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(id, 1);
	for (int i = 0; i < 10; i++) {
		fx_write(fd, block, sizeof(block));
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	fx_write(fd, bytes, fx_request_bytes(3, 0, "Echo", "web", 0, NULL, bytes));
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_OK);
	assert_int_equal(id, 3);
	close(fd);
	fx_free(fx);
}

/* A header that claims much costs nothing until the bytes come. */
static void test_claim_allocates_nothing(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t header[HULL_FRAME_HEADER_BYTES], block[1024] = { 0 };
	struct hull_frame_header h = { .length = 4 << 20, .stream_id = 1, .type = HULL_FRAME_REQUEST };

	hull_frame_encode(&h, header);
	fx_write(fd, header, sizeof(header));
	fx_run(fx, 5);
	assert_true(fx->conn->chan->in_cap <= 65536);
	for (int i = 0; i < 100; i++) {
		fx_write(fd, block, sizeof(block));
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	assert_true(fx->conn->chan->in_cap <= 262144);
	close(fd);
	fx_free(fx);
}

static void test_deadline_of_the_client(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[512];
	uint32_t id;

	fx_write(fd, bytes, fx_request_bytes(1, 0, "Hold", "web", 20 * 1000000, NULL, bytes));
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_DEADLINE_EXCEEDED);
	assert_int_equal(fx->cancels, 1);
	fx_answer(fx, 0);
	/* Passed before it came: the handler does not run. Far in the future: it does. */
	fx_write(fd, bytes, fx_request_bytes(3, 0, "Hold", "web", -1, NULL, bytes));
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_DEADLINE_EXCEEDED);
	assert_int_equal(fx->handled, 1);
	fx_write(fd, bytes, fx_request_bytes(5, 0, "Hold", "web", INT64_MAX, NULL, bytes));
	fx_until(fx, &fx->handled, 2);
	fx_answer(fx, 1);
	assert_int_equal(fx_read_status(fx, fd, &id, NULL), HULL_RPC_OK);
	assert_int_equal(id, 5);
	close(fd);
	fx_free(fx);
}

static void test_stream_frames(void **state)
{
	int fd;
	struct fx *fx = fx_new_server(NULL, &fd);
	uint8_t bytes[512];
	struct hull_frame_header h;

	/* As a Go client does it: open, data, half-close; a server that ends well half-closes as well. */
	fx->accepted.finish_on_remote_closed = true;
	fx_write(fd, bytes, fx_request_bytes(1, HULL_FRAME_REMOTE_OPEN, "Chat", "web", 0, NULL, bytes));
	fx_write_frame(fd, 1, HULL_FRAME_DATA, 0, "\x1a\x02hi", 4);
	fx_write_frame(fd, 1, HULL_FRAME_DATA, closed_flags, NULL, 0);
	fx_read_frame(fx, fd, &h, bytes, sizeof(bytes));
	assert_int_equal(h.type, HULL_FRAME_DATA);
	assert_int_equal(h.flags, closed_flags);
	assert_int_equal(h.length, 0);
	assert_string_equal(fx->accepted.last, "hi");

	/* A request with data and the flag, then data that should not be. */
	fx->accepted = (struct fx_stream) { 0 };
	fx_write(fd, bytes, fx_request_bytes(3, HULL_FRAME_REMOTE_OPEN, "Chat", "web", 0, NULL, bytes));
	fx_write_frame(fd, 3, HULL_FRAME_DATA, HULL_FRAME_REMOTE_CLOSED, "\x1a\x04last", 6);
	fx_write_frame(fd, 3, HULL_FRAME_DATA, 0, "\x1a\x04late", 6);
	fx_until(fx, &fx->accepted.remote_closed, 1);
	fx_run(fx, 5);
	assert_int_equal(fx->accepted.messages, 1);
	assert_string_equal(fx->accepted.last, "last");
	hull_rpc_stream_finish(fx->accepted.stream, HULL_RPC_ABORTED, "bad \xff");
	char text[256];
	assert_int_equal(fx_read_status(fx, fd, NULL, text), HULL_RPC_ABORTED);
	assert_string_equal(text, "bad ?");

	/* No message. */
	fx->accepted = (struct fx_stream) { .free_on_end = true };
	fx_write(fd, bytes, fx_request_bytes(5, HULL_FRAME_REMOTE_OPEN, "Chat", "web", 0, NULL, bytes));
	fx_write_frame(fd, 5, HULL_FRAME_DATA, 0, "\xff", 1);
	assert_int_equal(fx_read_status(fx, fd, NULL, NULL), HULL_RPC_INVALID_ARGUMENT);
	assert_int_equal(fx->accepted.ended, 1);
	assert_int_equal(fx->accepted.code, HULL_RPC_INVALID_ARGUMENT);
	close(fd);
	fx_free(fx);
}

/* ------------------------------------------------------------ as the server */

static void respond(int fd, uint32_t id, int32_t code, const char *message, const void *payload, size_t len)
{
	Hull__Ttrpc__Response response = HULL__TTRPC__RESPONSE__INIT;
	Hull__Ttrpc__Status status = HULL__TTRPC__STATUS__INIT;
	uint8_t packed[4096];

	status.code = code;
	status.message = (char *)message;
	response.status = &status;
	response.payload.data = (uint8_t *)payload;
	response.payload.len = len;
	fx_write_frame(fd, id, HULL_FRAME_RESPONSE, 0, packed, hull__ttrpc__response__pack(&response, packed));
}

static void test_ids_of_calls(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	struct fx_reply replies[3] = { 0 };
	uint8_t payload[512];
	struct hull_frame_header h;

	for (uint32_t i = 0; i < 3; i++) {
		fx_call(fx, "Echo", "web", 5000, &replies[i]);
		fx_read_frame(fx, fd, &h, payload, sizeof(payload));
		assert_int_equal(h.stream_id, 2 * i + 1);
		assert_int_equal(h.type, HULL_FRAME_REQUEST);
		assert_int_equal(h.flags, 0);
		Hull__Ttrpc__Request *request = hull__ttrpc__request__unpack(NULL, h.length, payload);
		assert_string_equal(request->service, "test.Service");
		assert_string_equal(request->method, "Echo");
		assert_int_equal(request->timeout_nano, 5000000000);
		assert_int_equal(request->n_metadata, 0);
		hull__ttrpc__request__free_unpacked(request, NULL);
	}
	/* The last ids, and none after them. */
	fx->client->chan->last_id = UINT32_MAX - 4;
	struct fx_reply last = { 0 }, over = { 0 };
	fx_call(fx, "Echo", "web", 5000, &last);
	fx_read_frame(fx, fd, &h, payload, sizeof(payload));
	assert_int_equal(h.stream_id, UINT32_MAX - 2);
	fx_call(fx, "Echo", "web", 5000, &over);
	fx_until(fx, &over.n, 1);
	assert_int_equal(over.code, HULL_RPC_RESOURCE_EXHAUSTED);
	close(fd);
	fx_free(fx);
}

static void test_answers(void **state)
{
	static const struct {
		uint8_t type;
		const char *payload;
		size_t len;
		enum hull_rpc_code code;
	} cases[] = {
		{ HULL_FRAME_RESPONSE, "", 0, HULL_RPC_OK },
		{ HULL_FRAME_RESPONSE, "\x12\x05\x0a\x03web", 7, HULL_RPC_OK },
		{ HULL_FRAME_RESPONSE, "\xff", 1, HULL_RPC_INTERNAL },
		{ HULL_FRAME_RESPONSE, "\x12\x01\xff", 3, HULL_RPC_INTERNAL },
		{ HULL_FRAME_RESPONSE, "\x0a\x02\x08\x05", 4, HULL_RPC_NOT_FOUND },
		{ HULL_FRAME_RESPONSE, "\x0a\x02\x08\x63", 4, HULL_RPC_UNKNOWN },
		{ HULL_FRAME_RESPONSE, "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, HULL_RPC_UNKNOWN },
		{ HULL_FRAME_DATA, "", 0, HULL_RPC_INTERNAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd;
		struct fx *fx = fx_new_client(NULL, &fd);
		struct fx_reply reply = { 0 };
		fx_call(fx, "Echo", "web", 5000, &reply);
		/* None of these concerns it. */
		fx_write_frame(fd, 3, HULL_FRAME_RESPONSE, 0, "", 0);
		fx_write_frame(fd, 2, HULL_FRAME_DATA, 0, "", 0);
		fx_write_frame(fd, 1, HULL_FRAME_REQUEST, 0, "", 0);
		fx_write_frame(fd, 1, 77, 0, "", 0);
		fx_run(fx, 2);
		assert_int_equal(reply.n, 0);
		fx_write_frame(fd, 1, cases[i].type, 0, cases[i].payload, cases[i].len);
		fx_until(fx, &reply.n, 1);
		assert_int_equal(reply.code, cases[i].code);
		/* Answering twice changes nothing. */
		fx_write_frame(fd, 1, cases[i].type, 0, cases[i].payload, cases[i].len);
		fx_run(fx, 2);
		assert_int_equal(reply.n, 1);
		close(fd);
		fx_free(fx);
	}
}

static void test_text_is_cleaned(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Echo", "web", 5000, &reply);
	respond(fd, 1, 5, "\x1b]0;owned\x07", NULL, 0);
	fx_until(fx, &reply.n, 1);
	assert_string_equal(reply.text, "?]0;owned?");
	close(fd);
	fx_free(fx);
}

/* An answer, then the end, at once: the answer counts. Also when our next request cannot be written any more. */
static void test_answer_before_end(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	struct fx_reply first = { 0 }, second = { 0 };

	fx_call(fx, "Echo", "web", 5000, &first);
	respond(fd, 1, 0, "", NULL, 0);
	/* With our request unread in its buffer this resets the connection. */
	close(fd);
	fx_call(fx, "Echo", "web", 5000, &second);
	fx_until(fx, &fx->closes, 1);
	assert_int_equal(first.code, HULL_RPC_OK);
	assert_int_equal(second.n, 1);
	assert_int_equal(second.code, HULL_RPC_UNAVAILABLE);
	fx_free(fx);
}

/* A stream as a Go server ends it: no response frame, the half-close is the end. */
static void test_end_by_half_close(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);
	struct fx_stream s = { 0 };

	fx_open(fx, "Chat", &s);
	hull_rpc_stream_close_send(s.stream);
	fx_write_frame(fd, 1, HULL_FRAME_DATA, 0, "\x1a\x02hi", 4);
	fx_write_frame(fd, 1, HULL_FRAME_DATA, closed_flags, NULL, 0);
	fx_until(fx, &s.ended, 1);
	assert_string_equal(s.last, "hi");
	assert_int_equal(s.code, HULL_RPC_OK);
	hull_rpc_stream_free(s.stream);

	/* A method that streams one way answers with a message in the response. */
	s = (struct fx_stream) { 0 };
	fx_open(fx, "Chat", &s);
	respond(fd, 3, 0, "", "\x1a\x03sum", 5);
	fx_until(fx, &s.ended, 1);
	assert_string_equal(s.last, "sum");
	assert_int_equal(s.code, HULL_RPC_OK);
	hull_rpc_stream_free(s.stream);

	/* Messages that are none. */
	s = (struct fx_stream) { 0 };
	fx_open(fx, "Chat", &s);
	fx_write_frame(fd, 5, HULL_FRAME_DATA, 0, "\xff", 1);
	fx_until(fx, &s.ended, 1);
	assert_int_equal(s.code, HULL_RPC_INTERNAL);
	hull_rpc_stream_free(s.stream);
	close(fd);
	fx_free(fx);
}

/* ------------------------------------------------------------------ budgets */

/* Empty submessages of two bytes each would become a hundred bytes each. */
static void test_decode_budget(void **state)
{
	size_t len = 1 << 20;
	uint8_t *bomb = hull_calloc(1, len);

	for (size_t i = 0; i < len; i += 2)
		bomb[i] = 0x0a;
	assert_null(hull_rpc_unpack(&hull__agent__v1__process_list__descriptor, len, bomb));
	/* A few of them are fine. */
	ProtobufCMessage *m = hull_rpc_unpack(&hull__agent__v1__process_list__descriptor, 200, bomb);
	assert_non_null(m);
	assert_int_equal(((Hull__Agent__V1__ProcessList *)m)->n_processes, 100);
	hull_message_free(m);
	free(bomb);
}

/* What an honest guest sends must fit. */
static void test_budget_is_enough(void **state)
{
	enum { N = 20000 };
	Hull__Agent__V1__ProcessList list = HULL__AGENT__V1__PROCESS_LIST__INIT;
	Hull__Agent__V1__Process *processes = hull_new(Hull__Agent__V1__Process, N);

	list.n_processes = N;
	list.processes = hull_new(Hull__Agent__V1__Process *, N);
	for (int i = 0; i < N; i++) {
		hull__agent__v1__process__init(&processes[i]);
		processes[i].pid = i + 1;
		processes[i].ppid = 1;
		processes[i].user = (char *)"root";
		processes[i].start_ms = 1234;
		processes[i].command = (char *)"sleep 10";
		list.processes[i] = &processes[i];
	}
	size_t len = hull__agent__v1__process_list__get_packed_size(&list);
	uint8_t *packed = hull_calloc(1, len);
	hull__agent__v1__process_list__pack(&list, packed);
	ProtobufCMessage *m = hull_rpc_unpack(&hull__agent__v1__process_list__descriptor, len, packed);
	assert_non_null(m);
	hull_message_free(m);
	free(packed);
	free(list.processes);
	free(processes);
}

/* ------------------------------------------------------------------- devices */

/* A terminal in raw mode stands for a virtio-serial port: a character device, polled, without sendmsg(). */
static void test_character_device(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct termios raw;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);

	fx_client_free(fx);
	assert_non_null(hull_rpc_server_add(fx->server, slave));
	fx->client = hull_rpc_client_new(&fx->loop, master, NULL, NULL, NULL);
	struct fx_stream s = { 0 };
	fx_open(fx, "Chat", &s);
	fx_until(fx, &fx->handled, 1);
	fx->accepted.echo = true;
	for (int i = 0; i < 50; i++)
		assert_int_equal(fx_send(s.stream, 20000), 0);
	fx_until(fx, &s.messages, 50);
	assert_int_equal(s.bytes, 1000000);
	hull_rpc_stream_free(s.stream);

	/* Descriptors cannot travel there. */
	struct fx_reply reply = { 0 };
	Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
	struct hull_error err = HULL_ERROR_INIT;
	int r = hull_rpc_call_sync(fx->client, "test.Service", "Echo", &empty.base,
				   &hull__agent__v1__empty__descriptor, 1000, (int[]) { 0 }, 1, NULL, &err);
	assert_int_equal(r, -EINVAL);
	fx_call(fx, "Echo", "web", 5000, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_OK);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_flags_of_go_clients),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_split_anywhere),
		cmocka_unit_test(test_refused_frames),
		cmocka_unit_test(test_garbage_closes),
		cmocka_unit_test(test_end_within_frame),
		cmocka_unit_test(test_oversized_is_skipped),
		cmocka_unit_test(test_claim_allocates_nothing),
		cmocka_unit_test(test_deadline_of_the_client),
		cmocka_unit_test(test_stream_frames),
		cmocka_unit_test(test_ids_of_calls),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_text_is_cleaned),
		cmocka_unit_test(test_answer_before_end),
		cmocka_unit_test(test_end_by_half_close),
		cmocka_unit_test(test_decode_budget),
		cmocka_unit_test(test_budget_is_enough),
		cmocka_unit_test(test_character_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
