/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of names from an agent that this test plays to a server in a network namespace: answers, no answers, and a guest that asks too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "net/netns.h"
#include "net/resolver.h"
#include "pod/names.h"
#include "rpc/agent.pb-c.h"

#define DEADLINE_MS 10000
#define QUERIES_MAX 64

typedef Hull__Agent__V1__NameMessage Message;

struct fx {
	uv_loop_t loop;
	struct hull_rpc_server *server;
	struct hull_rpc_client *client;
	struct hull_rpc_stream *agent;         /* the guest's end of the stream */
	int ended, answers;
	uint32_t last_id;
	char last[32];
	int netns;
	struct hull_names *names;
};

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct fx *fx = data;
	const Message *m = (const Message *)message;
	assert_true(m->message.len < sizeof(fx->last));
	fx->answers++;
	fx->last_id = m->id;
	if (m->message.len > 0)
		memcpy(fx->last, m->message.data, m->message.len);
	fx->last[m->message.len] = '\0';
}

static void on_remote_closed(void *data)
{
	((struct fx *)data)->ended = 1;
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct fx *fx = data;
	(void)status;
	fx->ended = 1;
	hull_rpc_stream_free(TAKE_PTR(fx->agent));
}

static const struct hull_rpc_stream_ops agent_ops = { .on_message = on_message, .on_remote_closed = on_remote_closed, .on_end = on_end };

static void handle_resolve_names(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct fx *fx = data;
	(void)message;
	fx->agent = stream;
	hull_rpc_stream_accept(stream, &hull__agent__v1__name_message__descriptor, &agent_ops, fx);
}

static const struct hull_rpc_method methods[] = {
	{ "ResolveNames", &hull__agent__v1__name_message__descriptor, NULL, handle_resolve_names }, { NULL, NULL, NULL, NULL },
};
static const struct hull_rpc_service service = { "hull.agent.v1.Agent", methods };

static void ask(struct fx *fx, uint32_t id, bool tcp, const char *text)
{
	Message m = HULL__AGENT__V1__NAME_MESSAGE__INIT;
	m.id = id;
	m.tcp = tcp;
	m.message = (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)(uintptr_t)text };
	assert_int_equal(hull_rpc_stream_send(fx->agent, &m.base), 0);
}

static void run(struct fx *fx, const int *flag)
{
	for (int64_t end = hull_now_ms() + DEADLINE_MS; *flag == 0; usleep(100)) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		assert_true(hull_now_ms() < end);
	}
}

static void run_for(struct fx *fx, int64_t ms)
{
	for (int64_t end = hull_now_ms() + ms; hull_now_ms() < end; usleep(100))
		uv_run(&fx->loop, UV_RUN_NOWAIT);
}

/* ---- the engine's server */

static int raise_lo(void *data, struct hull_error *err)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)data;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? hull_error_errno(err, errno, "lo") : 0;
}

static int serve(void *data, struct hull_error *err)
{
	const int *type = data;
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(HULL_RESOLVER_PORT),
					     .sin_addr.s_addr = htonl(HULL_RESOLVER_ADDRESS) };
	_cleanup_close_ int fd = socket(AF_INET, *type | SOCK_CLOEXEC, 0);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || (*type == SOCK_STREAM && listen(fd, 4) < 0))
		return hull_error_errno(err, errno, "serve");
	return TAKE_FD(fd);
}

static int server_in(const struct fx *fx, int type)
{
	struct hull_error err = HULL_ERROR_INIT;
	int fd = hull_netns_inside(fx->netns, serve, &type, &err);
	assert_true(fd >= 0);
	return fd;
}

/* ---- */

static void on_lost(void *data, const char *reason)
{
	(void)data;
	(void)reason;
}

static int setup(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	int fds[2];
	if (geteuid() != 0)
		return 0;
	struct fx *fx = hull_new(struct fx, 1);
	uv_loop_init(&fx->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fx->server = hull_rpc_server_new(&fx->loop, &service, 1, NULL, NULL, fx);
	hull_rpc_server_add(fx->server, fds[0]);
	fx->client = hull_rpc_client_new(&fx->loop, fds[1], NULL, on_lost, fx);
	fx->netns = hull_netns_new(&err);
	assert_true(fx->netns >= 0);
	assert_int_equal(hull_netns_inside(fx->netns, raise_lo, NULL, &err), 0);
	fx->names = hull_names_new(&fx->loop, fcntl(fx->netns, F_DUPFD_CLOEXEC, 3));
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fx *fx = *state;
	if (!fx)
		return 0;
	hull_names_free(fx->names);
	hull_rpc_client_free(fx->client);
	hull_rpc_server_free(fx->server);
	uv_run(&fx->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fx->loop), 0);
	close(fx->netns);
	free(fx);
	return 0;
}

static void a_query_comes_back_with_the_servers_answer(void **state)
{
	struct fx *fx = *state;
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	char text[16] = "";
	if (!fx)
		skip();
	/* Not before there is a server; it is looked for a few times. */
	hull_names_ready(fx->names, fx->client);
	run_for(fx, 100);
	assert_null(fx->agent);
	_cleanup_close_ int udp = server_in(fx, SOCK_DGRAM), tcp = server_in(fx, SOCK_STREAM);
	while (!fx->agent)
		run_for(fx, 10);

	ask(fx, 7, false, "who");
	run_for(fx, 20);
	assert_int_equal(recvfrom(udp, text, sizeof(text), 0, (struct sockaddr *)&from, &length), 3);
	sendto(udp, "me", 2, 0, (const struct sockaddr *)&from, length);
	run(fx, &fx->answers);
	assert_int_equal(fx->last_id, 7);
	assert_string_equal(fx->last, "me");

	ask(fx, 8, true, "and");
	run_for(fx, 50);
	_cleanup_close_ int connection = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);
	run_for(fx, 20);
	assert_int_equal(recv(connection, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "\0\3and", 5);
	/* In pieces, as connections go. */
	fx->answers = 0;
	assert_int_equal(send(connection, "\0", 1, 0), 1);
	run_for(fx, 20);
	assert_int_equal(send(connection, "\3yo", 3, 0), 3);
	run_for(fx, 20);
	assert_int_equal(fx->answers, 0);
	assert_int_equal(send(connection, "u", 1, 0), 1);
	run(fx, &fx->answers);
	assert_int_equal(fx->last_id, 8);
	assert_string_equal(fx->last, "you");

	/* Connections that end without one, and one that is reset: answered at once. */
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	for (uint32_t id = 9; id < 12; id++) {
		int64_t begin = hull_now_ms();
		fx->answers = 0;
		ask(fx, id, true, "and");
		run_for(fx, 50);
		int end = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);
		if (id > 9)
			assert_int_equal(setsockopt(end, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		if (id > 10)
			assert_int_equal(recv(end, text, sizeof(text), 0), 5);
		close(end);
		run(fx, &fx->answers);
		assert_int_equal(fx->last_id, id);
		assert_string_equal(fx->last, "");
		assert_true(hull_now_ms() - begin < DEADLINE_MS / 2);
	}
}

static void a_guest_that_asks_too_much_is_cut_off(void **state)
{
	struct fx *fx = *state;
	if (!fx)
		skip();
	_cleanup_close_ int udp = server_in(fx, SOCK_DGRAM);
	hull_names_ready(fx->names, fx->client);
	while (!fx->agent)
		run_for(fx, 10);
	for (uint32_t i = 0; i < QUERIES_MAX; i++)
		ask(fx, i, false, "who");
	run_for(fx, 100);
	assert_int_equal(fx->ended, 0);
	ask(fx, QUERIES_MAX, false, "who");
	run(fx, &fx->ended);
	hull_names_look(fx->names);
	run_for(fx, 50);
	assert_int_equal(fx->answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_query_comes_back_with_the_servers_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_asks_too_much_is_cut_off, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
