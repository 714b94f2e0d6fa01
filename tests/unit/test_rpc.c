/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls between our own client and server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc_fixture.h"

typedef Hull__Agent__V1__ContainerRef Ref;
typedef Hull__Agent__V1__StdioFrame Frame;

static void test_ok(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Echo", "web", 5000, &reply);
	assert_int_equal(reply.n, 0);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_OK);
	assert_string_equal(reply.name, "web");
	assert_true(hull_rpc_conn_idle(fx->conn));
	assert_true(hull_rpc_server_idle(fx->server));
	fx_free(fx);
}

static void test_empty_message(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Echo", "", 5000, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_OK);
	assert_string_equal(reply.name, "");
	fx_free(fx);
}

static void test_error_status(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Fail", "web", 5000, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_NOT_FOUND);
	assert_string_equal(reply.text, "no container web");
	fx_call(fx, "Fail", "errno", 5000, &reply);
	fx_until(fx, &reply.n, 2);
	assert_int_equal(reply.code, HULL_RPC_FAILED_PRECONDITION);
	assert_string_equal(reply.text, "in use");
	fx_free(fx);
}

static void test_unknown_names(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply method = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;

	fx_call(fx, "Nothing", "web", 5000, &method);
	fx_until(fx, &method.n, 1);
	assert_int_equal(method.code, HULL_RPC_UNIMPLEMENTED);
	assert_non_null(strstr(method.text, "Nothing"));

	int r = hull_rpc_call_sync(fx->client, "no.Service", "Echo", &ref.base,
				   &hull__agent__v1__container_ref__descriptor, 5000, NULL, 0, NULL, &err);
	assert_int_equal(r, -ENOTSUP);
	assert_int_equal(err.code, ENOTSUP);
	assert_non_null(strstr(err.message, "no.Service"));
	fx_free(fx);
}

static void test_sync(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct hull_error err = HULL_ERROR_INIT;
	ProtobufCMessage *answer = NULL;
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;

	ref.container_id = (char *)"web";
	assert_int_equal(hull_rpc_call_sync(fx->client, "test.Service", "Echo", &ref.base,
					    &hull__agent__v1__container_ref__descriptor, 5000, NULL, 0, &answer, &err), 0);
	assert_string_equal(((Ref *)answer)->container_id, "web");
	protobuf_c_message_free_unpacked(answer, NULL);
	assert_int_equal(hull_rpc_call_sync(fx->client, "test.Service", "Hold", &ref.base,
					    &hull__agent__v1__container_ref__descriptor, 20, NULL, 0, &answer, &err),
			 -ETIMEDOUT);
	fx_free(fx);
}

static void test_client_deadline(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Hold", "web", 30, &reply);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_DEADLINE_EXCEEDED);
	/* The server was told of the deadline too. */
	fx_until(fx, &fx->cancels, 1);
	/* The late answer is dropped, and the connection still works. */
	fx_answer(fx, 0);
	struct fx_reply next = { 0 };
	fx_call(fx, "Echo", "next", 5000, &next);
	fx_until(fx, &next.n, 1);
	assert_string_equal(next.name, "next");
	assert_int_equal(reply.n, 1);
	fx_free(fx);
}

static void test_no_deadline(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 }, zero = { 0 };

	fx_call(fx, "Hold", "web", HULL_RPC_NO_DEADLINE, &reply);
	fx_until(fx, &fx->handled, 1);
	fx_run(fx, 50);
	assert_int_equal(reply.n, 0);
	fx_answer(fx, 0);
	fx_until(fx, &reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_OK);
	fx_call(fx, "Echo", "web", 0, &zero);
	assert_int_equal(zero.n, 0);
	fx_until(fx, &zero.n, 1);
	assert_int_equal(zero.code, HULL_RPC_INVALID_ARGUMENT);
	fx_free(fx);
}

static void test_cancel(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 }, next = { 0 };

	struct hull_rpc_call *call = fx_call(fx, "Hold", "web", 5000, &reply);
	fx_until(fx, &fx->handled, 1);
	hull_rpc_call_cancel(call);
	assert_int_equal(reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_CANCELLED);
	fx_answer(fx, 0);
	fx_call(fx, "Echo", "next", 5000, &next);
	fx_until(fx, &next.n, 1);
	assert_int_equal(reply.n, 1);
	fx_free(fx);
}

static void test_client_gone(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 };

	fx_call(fx, "Hold", "web", 5000, &reply);
	fx_until(fx, &fx->handled, 1);
	fx_client_free(fx);
	assert_int_equal(reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_CANCELLED);
	assert_int_equal(fx->closes, 0);
	fx_until(fx, &fx->disconnects, 1);
	assert_int_equal(fx->cancels, 1);
	/* The request is still to be answered, and its connection still there to look at. */
	assert_ptr_equal(hull_rpc_conn_data(hull_rpc_request_conn(fx->held[0])), fx);
	fx_answer(fx, 0);
	fx_free(fx);
}

static void test_server_gone(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply reply = { 0 }, late = { 0 };

	fx_call(fx, "Hold", "web", HULL_RPC_NO_DEADLINE, &reply);
	fx_until(fx, &fx->handled, 1);
	fx_server_free(fx);
	assert_int_equal(fx->cancels, 1);
	assert_int_equal(fx->disconnects, 1);
	fx_until(fx, &fx->closes, 1);
	assert_int_equal(reply.n, 1);
	assert_int_equal(reply.code, HULL_RPC_UNAVAILABLE);
	assert_string_equal(reply.text, fx->close_reason);
	assert_false(hull_rpc_client_alive(fx->client));
	/* Calls on a dead client fail from the loop. */
	fx_call(fx, "Echo", "web", 5000, &late);
	assert_int_equal(late.n, 0);
	fx_until(fx, &late.n, 1);
	assert_int_equal(late.code, HULL_RPC_UNAVAILABLE);
	assert_int_equal(fx->closes, 1);
	fx_free(fx);
}

static void test_many_out_of_order(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	static struct fx_reply replies[1000];
	char name[32];

	memset(replies, 0, sizeof(replies));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fx_call(fx, "Hold", name, 5000, &replies[i]);
	}
	fx_until(fx, &fx->handled, 1000);
	for (size_t i = 1000; i > 0; i--)
		fx_answer(fx, i - 1);
	fx_until(fx, &replies[0].n, 1);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(replies[i].n, 1);
		assert_string_equal(replies[i].name, name);
	}
	fx_free(fx);
}

static void test_streams_max(void **state)
{
	struct hull_rpc_limits four = { .streams_max = 4 };
	struct fx_reply replies[6] = { 0 };

	/* The server's limit. */
	struct fx *fx = fx_new(NULL, &four);
	for (int i = 0; i < 6; i++)
		fx_call(fx, "Hold", "web", 5000, &replies[i]);
	fx_until(fx, &replies[5].n, 1);
	assert_int_equal(fx->handled, 4);
	assert_int_equal(replies[4].code, HULL_RPC_RESOURCE_EXHAUSTED);
	fx_answer(fx, 0);
	fx_until(fx, &replies[0].n, 1);
	struct fx_reply next = { 0 };
	fx_call(fx, "Echo", "web", 5000, &next);
	fx_until(fx, &next.n, 1);
	assert_int_equal(next.code, HULL_RPC_OK);
	fx_free(fx);

	/* The client's own. */
	memset(replies, 0, sizeof(replies));
	fx = fx_new(&four, NULL);
	for (int i = 0; i < 5; i++)
		fx_call(fx, "Hold", "web", 5000, &replies[i]);
	fx_until(fx, &replies[4].n, 1);
	assert_int_equal(replies[4].code, HULL_RPC_RESOURCE_EXHAUSTED);
	fx_until(fx, &fx->handled, 4);
	fx_free(fx);
}

/* Requests whose deadline passed count until they are answered: a peer cannot pile them up. */
static void test_expired_requests_count(void **state)
{
	struct hull_rpc_limits two = { .streams_max = 2 };
	struct fx *fx = fx_new(NULL, &two);
	struct fx_reply replies[3] = { 0 };

	fx_call(fx, "Hold", "a", 10, &replies[0]);
	fx_call(fx, "Hold", "b", 10, &replies[1]);
	fx_until(fx, &fx->cancels, 2);
	fx_call(fx, "Hold", "c", 5000, &replies[2]);
	fx_until(fx, &replies[2].n, 1);
	assert_int_equal(replies[2].code, HULL_RPC_RESOURCE_EXHAUSTED);
	fx_free(fx);
}

static void on_big(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct fx_reply *reply = data;

	reply->n++;
	reply->code = status->code;
	if (response) {
		reply->bytes = ((const Frame *)response)->data.len;
		reply->number = ((const Frame *)response)->credit;
	}
}

static struct fx_reply call_big(struct fx *fx, size_t send, size_t receive)
{
	struct fx_reply reply = { 0 };
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;

	frame.data.len = send;
	frame.data.data = hull_calloc(1, send);
	frame.credit = receive;
	hull_rpc_call(fx->client, "test.Service", "Big", &frame.base, &hull__agent__v1__stdio_frame__descriptor, 10000,
		      NULL, 0, on_big, &reply);
	free(frame.data.data);
	fx_until(fx, &reply.n, 1);
	return reply;
}

static void test_largest_request(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct hull_envelope envelope = { .service = "test.Service", .method = "Big", .timeout_ns = 10000 * 1000000ll };
	struct hull_out *out = NULL;
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;

	/* How many bytes make a payload of exactly 4 MiB. */
	frame.data.len = 4 << 20;
	frame.data.data = hull_calloc(1, frame.data.len);
	assert_int_equal(hull_pack_request(1, 0, &envelope, &frame.base, UINT32_MAX, &out), 0);
	size_t over = out->len - HULL_FRAME_HEADER_BYTES - HULL_FRAME_PAYLOAD_MAX;
	hull_out_free(out);
	free(frame.data.data);

	struct fx_reply reply = call_big(fx, (4u << 20) - over, 0);
	assert_int_equal(reply.code, HULL_RPC_OK);
	assert_int_equal(reply.number, (4u << 20) - over);
	reply = call_big(fx, (4u << 20) - over + 1, 0);
	assert_int_equal(reply.code, HULL_RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(fx->handled, 1);
	fx_free(fx);
}

static void test_largest_response(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct hull_out *out = NULL;
	Frame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;

	frame.data.len = 4 << 20;
	frame.data.data = hull_calloc(1, frame.data.len);
	assert_int_equal(hull_pack_response(1, &frame.base, UINT32_MAX, &out), 0);
	size_t over = out->len - HULL_FRAME_HEADER_BYTES - HULL_FRAME_PAYLOAD_MAX;
	hull_out_free(out);
	free(frame.data.data);

	struct fx_reply reply = call_big(fx, 0, (4u << 20) - over);
	assert_int_equal(reply.code, HULL_RPC_OK);
	assert_int_equal(reply.bytes, (4u << 20) - over);
	reply = call_big(fx, 0, (4u << 20) - over + 1);
	assert_int_equal(reply.code, HULL_RPC_RESOURCE_EXHAUSTED);
	reply = call_big(fx, 10, 10);
	assert_int_equal(reply.code, HULL_RPC_OK);
	fx_free(fx);
}

/* Frames that the receiver's own limit refuses are skipped, and only their call fails. */
static void test_lower_limits(void **state)
{
	struct hull_rpc_limits small = { .payload_max = 1000 };
	struct fx *fx = fx_new(NULL, &small);
	struct fx_reply reply = call_big(fx, 200000, 0);
	assert_int_equal(reply.code, HULL_RPC_RESOURCE_EXHAUSTED);
	reply = call_big(fx, 500, 0);
	assert_int_equal(reply.code, HULL_RPC_OK);
	reply = call_big(fx, 0, 2000);
	assert_int_equal(reply.code, HULL_RPC_RESOURCE_EXHAUSTED);
	fx_free(fx);

	fx = fx_new(&small, NULL);
	reply = call_big(fx, 0, 200000);
	assert_int_equal(reply.code, HULL_RPC_RESOURCE_EXHAUSTED);
	reply = call_big(fx, 0, 500);
	assert_int_equal(reply.code, HULL_RPC_OK);
	fx_free(fx);
}

/* -------------------------------------------------- freeing inside callbacks */

static void test_free_client_in_reply(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply first = { .free_client = fx }, second = { 0 };

	fx_call(fx, "Echo", "a", 5000, &first);
	fx_call(fx, "Hold", "b", 5000, &second);
	fx_until(fx, &first.n, 1);
	assert_int_equal(second.n, 1);
	assert_int_equal(second.code, HULL_RPC_CANCELLED);
	fx_free(fx);
}

static void test_free_client_while_failing(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply first = { .free_client = fx }, second = { 0 };

	fx_call(fx, "Hold", "a", 5000, &first);
	fx_call(fx, "Hold", "b", 5000, &second);
	fx_until(fx, &fx->handled, 2);
	fx_server_free(fx);
	fx_until(fx, &first.n, 1);
	assert_int_equal(first.code, HULL_RPC_UNAVAILABLE);
	assert_int_equal(second.n, 1);
	assert_int_equal(second.code, HULL_RPC_CANCELLED);
	assert_int_equal(fx->closes, 0);
	fx_free(fx);
}

static void free_client_on_close(void *data, const char *reason)
{
	struct fx *fx = data;

	fx->closes++;
	fx_client_free(fx);
}

static void test_free_client_on_close(void **state)
{
	int fd;
	struct fx *fx = fx_new_client(NULL, &fd);

	fx->client->on_close = free_client_on_close;
	close(fd);
	fx_until(fx, &fx->closes, 1);
	assert_null(fx->client);
	fx_free(fx);
}

static void test_free_server_in_handler(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply replies[3] = { 0 };

	fx->free_server_in_handler = true;
	for (int i = 0; i < 3; i++)
		fx_call(fx, "Echo", "a", 5000, &replies[i]);
	fx_until(fx, &replies[2].n, 1);
	assert_int_equal(fx->handled, 1);
	assert_int_equal(fx->disconnects, 1);
	assert_int_equal(replies[0].code, HULL_RPC_UNAVAILABLE);
	fx_free(fx);
}

static void test_free_server_on_cancel(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_reply replies[3] = { 0 };

	fx->free_server_on_cancel = true;
	for (int i = 0; i < 3; i++)
		fx_call(fx, "Hold", "a", 5000, &replies[i]);
	fx_until(fx, &fx->handled, 3);
	fx_client_free(fx);
	fx_until(fx, &fx->disconnects, 1);
	assert_int_equal(fx->cancels, 3);
	fx_free(fx);
}

struct recall {
	struct fx *fx;
	int first, again;
};

static void on_again(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct recall *recall = data;

	recall->again++;
	assert_int_equal(status->code, HULL_RPC_UNAVAILABLE);
	/* A later turn of the loop: the connection's end has been told by now. */
	assert_int_equal(recall->fx->closes, 1);
}

static void call_again(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct recall *recall = data;
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;

	recall->first++;
	hull_rpc_call(recall->fx->client, "test.Service", "Echo", &ref.base, &hull__agent__v1__container_ref__descriptor,
		      5000, NULL, 0, on_again, recall);
	assert_int_equal(recall->again, 0);
}

/* A retry from within the failure's callback fails too, later, instead of going round in circles. */
static void test_call_within_failure(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct recall recall = { .fx = fx };
	Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;

	hull_rpc_call(fx->client, "test.Service", "Hold", &ref.base, &hull__agent__v1__container_ref__descriptor, 5000,
		      NULL, 0, call_again, &recall);
	fx_until(fx, &fx->handled, 1);
	fx_server_free(fx);
	fx_until(fx, &recall.again, 1);
	assert_int_equal(recall.first, 1);
	fx_free(fx);
}

/* ------------------------------------------------------------------ listening */

static int listening(struct sockaddr_un *address)
{
	static int serial;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un) { .sun_family = AF_UNIX };
	snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "hull-test-rpc-%d-%d", getpid(), serial++);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int connected(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	return fd;
}

static void test_listen(void **state)
{
	struct sockaddr_un address;
	struct fx *fx = fx_new(NULL, NULL);
	struct hull_rpc_client *clients[5];

	assert_int_equal(hull_rpc_server_listen(fx->server, listening(&address)), 0);
	for (int i = 0; i < 5; i++)
		clients[i] = hull_rpc_client_new(&fx->loop, connected(&address), NULL, NULL, NULL);
	fx_until(fx, &fx->connects, 6);
	for (int i = 0; i < 5; i++) {
		Ref ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
		assert_int_equal(hull_rpc_call_sync(clients[i], "test.Service", "Echo", &ref.base,
						    &hull__agent__v1__container_ref__descriptor, 5000, NULL, 0, NULL, NULL), 0);
		hull_rpc_client_free(clients[i]);
	}
	fx_until(fx, &fx->disconnects, 5);
	fx_free(fx);
}

/* Without descriptors the loop does not spin, and the connection is taken on when there are some again. */
static void test_accept_waits_for_descriptors(void **state)
{
	struct sockaddr_un address;
	struct fx *fx = fx_new(NULL, NULL);
	struct rlimit before, none = { .rlim_cur = 0 };

	assert_int_equal(hull_rpc_server_listen(fx->server, listening(&address)), 0);
	int fd = connected(&address);
	getrlimit(RLIMIT_NOFILE, &before);
	none.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
	clock_t start = clock();
	fx_run(fx, 250);
	assert_true(clock() - start < CLOCKS_PER_SEC / 10);
	assert_int_equal(fx->connects, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	fx_until(fx, &fx->connects, 2);
	close(fd);
	fx_free(fx);
}

static void test_bad_descriptors(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	int before = fx_count_fds();

	/* A regular file cannot be polled. */
	assert_null(hull_rpc_server_add(fx->server, open("/proc/self/exe", O_RDONLY | O_CLOEXEC)));
	assert_null(hull_rpc_client_new(&fx->loop, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, NULL, NULL));
	assert_int_equal(errno, EPERM);
	assert_null(hull_rpc_client_new(&fx->loop, -1, NULL, NULL, NULL));
	assert_int_equal(errno, EBADF);
	assert_true(hull_rpc_server_listen(fx->server, -1) < 0);
	assert_int_equal(fx_count_fds(), before);
	fx_free(fx);
}

/* ------------------------------------------------------------------- status */

static void test_codes(void **state)
{
	for (int code = HULL_RPC_OK; code <= HULL_RPC_UNAVAILABLE; code++) {
		int err = hull_rpc_code_to_errno((enum hull_rpc_code)code);
		assert_true(code == HULL_RPC_OK ? err == 0 : err > 0);
		if (code != HULL_RPC_UNKNOWN)
			assert_int_equal(hull_rpc_code_from_errno(err), code);
	}
	assert_int_equal(hull_rpc_code_from_errno(-ENOENT), HULL_RPC_NOT_FOUND);
	assert_int_equal(hull_rpc_code_from_errno(ESRCH), HULL_RPC_NOT_FOUND);
	assert_int_equal(hull_rpc_code_from_errno(EXDEV), HULL_RPC_UNKNOWN);
	assert_int_equal(hull_rpc_code_from_wire(16), HULL_RPC_UNKNOWN);
	assert_int_equal(hull_rpc_code_from_wire(-1), HULL_RPC_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ok),
		cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_error_status),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_client_deadline),
		cmocka_unit_test(test_no_deadline),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_client_gone),
		cmocka_unit_test(test_server_gone),
		cmocka_unit_test(test_many_out_of_order),
		cmocka_unit_test(test_streams_max),
		cmocka_unit_test(test_expired_requests_count),
		cmocka_unit_test(test_largest_request),
		cmocka_unit_test(test_largest_response),
		cmocka_unit_test(test_lower_limits),
		cmocka_unit_test(test_free_client_in_reply),
		cmocka_unit_test(test_free_client_while_failing),
		cmocka_unit_test(test_free_client_on_close),
		cmocka_unit_test(test_free_server_in_handler),
		cmocka_unit_test(test_free_server_on_cancel),
		cmocka_unit_test(test_call_within_failure),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_accept_waits_for_descriptors),
		cmocka_unit_test(test_bad_descriptors),
		cmocka_unit_test(test_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
