/* SPDX-License-Identifier: Apache-2.0 */
/* The relay against an agent that this test plays: credits, ends, and a guest that does not keep to the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "pod/relay.h"
#include "rpc/agent.pb-c.h"

#define DEADLINE_MS 10000

enum { IN, OUT, ERR };
typedef Hull__Agent__V1__StdioFrame Frame;

struct fx {
	uv_loop_t loop;
	struct hull_rpc_server *server;
	struct hull_rpc_client *client;
	struct hull_rpc_stream *agent;         /* the guest's end of the stream */
	char opened[64];
	uint64_t granted[3];                   /* by the relay */
	size_t n_in;
	uint8_t *in;
	int eofs[3];
	int agent_ended, client_lost;

	struct hull_stdio *stdio;
	struct hull_stdio_fds theirs;          /* our ends of what the relay was given */
	int flushed, drained;
	bool free_on_drained;
};

/* ---- the agent */

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct fx *fx = data;
	const Frame *f = (const Frame *)message;
	assert_null(f->open);
	fx->granted[f->channel] += f->credit;
	fx->eofs[f->channel] += f->eof;
	if (f->data.len > 0) {
		assert_int_equal(f->channel, IN);
		fx->in = hull_realloc(fx->in, fx->n_in + f->data.len);
		memcpy(fx->in + fx->n_in, f->data.data, f->data.len);
		fx->n_in += f->data.len;
	}
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct fx *fx = data;
	fx->agent_ended = 1;
	hull_rpc_stream_free(fx->agent);
	fx->agent = NULL;
}

static void on_remote_closed(void *data)
{
	struct fx *fx = data;
	fx->agent_ended = 1;
}

static const struct hull_rpc_stream_ops agent_ops = {
	.on_message = on_message, .on_remote_closed = on_remote_closed, .on_end = on_end,
};

static void handle_stdio(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data)
{
	struct fx *fx = data;
	const Frame *f = (const Frame *)message;
	snprintf(fx->opened, sizeof(fx->opened), "%s/%s", f->open->container_id, f->open->exec_id);
	fx->agent = stream;
	hull_rpc_stream_accept(stream, &hull__agent__v1__stdio_frame__descriptor, &agent_ops, fx);
}

static const struct hull_rpc_method methods[] = {
	{ "Stdio", &hull__agent__v1__stdio_frame__descriptor, NULL, handle_stdio }, { NULL, NULL, NULL, NULL },
};
static const struct hull_rpc_service service = { "hull.agent.v1.Agent", methods };

static void say(struct fx *fx, int channel, const void *bytes, size_t n, bool eof, bool flushed, uint64_t credit)
{
	Frame f = HULL__AGENT__V1__STDIO_FRAME__INIT;
	f.channel = (Hull__Agent__V1__StdioFrame__Channel)channel;
	f.data = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)bytes };
	f.eof = eof;
	f.flushed = flushed;
	f.credit = credit;
	assert_int_equal(hull_rpc_stream_send(fx->agent, &f.base), 0);
}

/* ---- the relay's user */

static void on_flushed(void *data)
{
	((struct fx *)data)->flushed++;
}

static void on_drained(void *data)
{
	struct fx *fx = data;
	fx->drained++;
	if (fx->free_on_drained) {
		hull_stdio_free(fx->stdio);
		fx->stdio = NULL;
	}
}

static const struct hull_stdio_ops relay_ops = { .on_flushed = on_flushed, .on_drained = on_drained };

static void on_lost(void *data, const char *reason)
{
	((struct fx *)data)->client_lost++;
}

static void until_true(struct fx *fx, const void *value, size_t size)
{
	static const uint8_t zeros[8];
	int64_t end = hull_now_ms() + DEADLINE_MS;
	while (memcmp(value, zeros, size) == 0) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		assert_true(hull_now_ms() < end);
		usleep(100);
	}
}
#define UNTIL(fx, value) until_true(fx, &(value), sizeof(value))

static void spin(struct fx *fx)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

static struct fx *fx_bare(struct hull_stdio_fds *fds)
{
	struct fx *fx = hull_new(struct fx, 1);
	int sp[2];
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&fx->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp), 0);
	fx->server = hull_rpc_server_new(&fx->loop, &service, 1, NULL, NULL, fx);
	assert_non_null(hull_rpc_server_add(fx->server, sp[0]));
	fx->client = hull_rpc_client_new(&fx->loop, sp[1], NULL, on_lost, fx);
	fx->theirs = (struct hull_stdio_fds)HULL_STDIO_FDS_NONE;
	fx->stdio = hull_stdio_start(&fx->loop, fx->client, "box", "e1", fds, &relay_ops, fx);
	assert_int_equal(fx->drained + fx->flushed, 0);        /* never inside */
	UNTIL(fx, fx->agent);
	assert_string_equal(fx->opened, "box/e1");
	return fx;
}

/* Three pipes. */
static struct fx *fx_new(void)
{
	int in[2], out[2], err[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	struct hull_stdio_fds fds = { in[0], out[1], err[1], -1 };
	struct fx *fx = fx_bare(&fds);
	fx->theirs = (struct hull_stdio_fds){ in[1], out[0], err[0], -1 };
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	UNTIL(fx, fx->granted[ERR]);
	return fx;
}

static void fx_free(struct fx *fx)
{
	hull_stdio_free(fx->stdio);
	hull_rpc_client_free(fx->client);
	hull_rpc_server_free(fx->server);
	spin(fx);
	assert_int_equal(uv_loop_close(&fx->loop), 0);
	hull_stdio_fds_close(&fx->theirs);
	free(fx->in);
	free(fx);
}

static ssize_t take(struct fx *fx, int fd, void *buf, size_t n)
{
	ssize_t r;
	int64_t end = hull_now_ms() + DEADLINE_MS;
	while ((r = read(fd, buf, n)) < 0) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		assert_true(hull_now_ms() < end);
	}
	return r;
}

/* Sends what is granted in frames until no more is. */
static uint64_t send_all_granted(struct fx *fx, int channel, uint64_t sent)
{
	static uint8_t piece[32768];
	while (sent < fx->granted[channel]) {
		uint64_t left = fx->granted[channel] - sent;
		size_t n = left < sizeof(piece) ? (size_t)left : sizeof(piece);
		say(fx, channel, piece, n, false, false, 0);
		sent += n;
	}
	return sent;
}

/* ---- out of the guest */

static void test_output(void **state)
{
	struct fx *fx = fx_new();
	char buf[16];
	assert_int_equal(fx->granted[OUT], HULL_STDIO_WINDOW);
	assert_int_equal(fx->granted[ERR], HULL_STDIO_WINDOW);
	assert_int_equal(fx->granted[IN], 0);
	say(fx, OUT, "to stdout", 9, false, false, 0);
	say(fx, ERR, "to stderr", 9, false, false, 0);
	assert_int_equal(take(fx, fx->theirs.out, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "to stdout", 9);
	assert_int_equal(take(fx, fx->theirs.err, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "to stderr", 9);
	spin(fx);
	assert_int_equal(hull_stdio_progress(fx->stdio), 18);
	assert_int_equal(fx->drained + fx->flushed, 0);
	fx_free(fx);
}

/* Nobody reads: no credit beyond the window, stderr goes on, and all is there afterwards. */
static void test_credit_waits_for_reader(void **state)
{
	struct fx *fx = fx_new();
	static char buf[1 << 16];
	uint64_t sent = 0, got = 0;
	for (int i = 0; i < 5; i++) {
		sent = send_all_granted(fx, OUT, sent);
		spin(fx);
	}
	uint64_t stuck = sent;
	/* What is in the pipe counts as read, so that much more was granted. */
	assert_true(stuck <= HULL_STDIO_WINDOW + (128 << 10));
	assert_true(hull_stdio_stuck(fx->stdio));
	say(fx, ERR, "free", 4, false, false, 0);
	assert_int_equal(take(fx, fx->theirs.err, buf, sizeof(buf)), 4);

	while (got < (4 << 20)) {
		got += (uint64_t)take(fx, fx->theirs.out, buf, sizeof(buf));
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		sent = send_all_granted(fx, OUT, sent);
		assert_true(sent - got <= HULL_STDIO_WINDOW + (128 << 10));
	}
	fx_free(fx);
}

static void test_too_much(void **state)
{
	struct fx *fx = fx_new();
	uint64_t sent = send_all_granted(fx, OUT, 0);
	assert_int_equal(sent, HULL_STDIO_WINDOW);
	for (int i = 0; i < 20; i++)           /* far beyond what the pipe took */
		if (fx->agent && !fx->agent_ended)
			sent += 1, say(fx, ERR, (uint8_t[32768]){ 0 }, 32768, false, false, 0);
	UNTIL(fx, fx->agent_ended);
	/* What was within the rules still arrives, and then it is over. */
	char buf[4096];
	uint64_t got = 0;
	ssize_t n;
	while ((n = take(fx, fx->theirs.out, buf, sizeof(buf))) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, HULL_STDIO_WINDOW);
	while (take(fx, fx->theirs.err, buf, sizeof(buf)) > 0)
		;
	UNTIL(fx, fx->drained);
	assert_int_equal(fx->client_lost, 0);  /* other streams of the guest live */
	fx_free(fx);
}

static void test_ends(void **state)
{
	struct fx *fx = fx_new();
	char buf[16];
	say(fx, OUT, "last", 4, true, false, 0);
	assert_int_equal(take(fx, fx->theirs.out, buf, sizeof(buf)), 4);
	assert_int_equal(take(fx, fx->theirs.out, buf, sizeof(buf)), 0);       /* the pipe is closed at once */
	spin(fx);
	assert_int_equal(fx->drained, 0);
	say(fx, ERR, NULL, 0, true, false, 0);
	UNTIL(fx, fx->drained);
	assert_int_equal(take(fx, fx->theirs.err, buf, sizeof(buf)), 0);
	assert_true(hull_stdio_drained(fx->stdio) && hull_stdio_flushed(fx->stdio));
	/* stdin is another matter: the process may still read. */
	say(fx, IN, NULL, 0, false, false, 100);
	assert_int_equal(write(fx->theirs.in, "abc", 3), 3);
	UNTIL(fx, fx->n_in);
	hull_rpc_stream_finish(fx->agent, HULL_RPC_OK, "");
	fx->agent = NULL;
	spin(fx);
	assert_int_equal(fx->drained, 1);
	/* Now nobody reads stdin any more. */
	assert_int_equal(write(fx->theirs.in, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	fx_free(fx);
}

static void test_flushed_before_drained(void **state)
{
	struct fx *fx = fx_new();
	char buf[16];
	say(fx, OUT, "own", 3, false, true, 0);
	spin(fx);
	assert_int_equal(fx->flushed, 0);      /* stderr is not */
	say(fx, ERR, NULL, 0, false, true, 0);
	UNTIL(fx, fx->flushed);
	assert_true(hull_stdio_flushed(fx->stdio) && !hull_stdio_drained(fx->stdio));
	/* A process that it left behind writes on. */
	say(fx, OUT, "late", 4, true, false, 0);
	say(fx, ERR, NULL, 0, true, false, 0);
	UNTIL(fx, fx->drained);
	assert_int_equal(take(fx, fx->theirs.out, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "ownlate", 7);
	spin(fx);
	assert_int_equal(fx->flushed, 1);
	assert_int_equal(fx->drained, 1);
	fx_free(fx);
}

/* The last bytes wait for a reader: neither flushed nor drained before he takes them. */
static void test_drained_waits(void **state)
{
	struct fx *fx = fx_new();
	static char buf[1 << 16];
	send_all_granted(fx, OUT, 0);
	say(fx, OUT, NULL, 0, true, true, 0);
	say(fx, ERR, NULL, 0, true, true, 0);
	hull_rpc_stream_finish(fx->agent, HULL_RPC_OK, "");
	fx->agent = NULL;
	spin(fx);
	assert_true(hull_stdio_stuck(fx->stdio));
	assert_int_equal(fx->drained + fx->flushed, 0);
	uint64_t got = 0;
	ssize_t n;
	while ((n = take(fx, fx->theirs.out, buf, sizeof(buf))) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, HULL_STDIO_WINDOW);
	UNTIL(fx, fx->drained);
	fx_free(fx);
}

static void test_broken_stdout(void **state)
{
	struct fx *fx = fx_new();
	hull_closep(&fx->theirs.out);
	say(fx, OUT, "x", 1, false, false, 0);
	UNTIL(fx, fx->eofs[OUT]);
	say(fx, OUT, "on its way", 10, false, false, 0);
	spin(fx);
	assert_int_equal(fx->eofs[OUT], 1);
	assert_int_equal(fx->eofs[ERR], 0);
	assert_int_equal(fx->drained, 0);
	say(fx, ERR, NULL, 0, true, false, 0);
	UNTIL(fx, fx->drained);
	fx_free(fx);
}

static void test_lost_connection(void **state)
{
	struct fx *fx = fx_new();
	fx->free_on_drained = true;
	hull_rpc_server_free(fx->server);
	fx->server = NULL;
	UNTIL(fx, fx->drained);
	assert_int_equal(fx->drained, 1);
	assert_null(fx->stdio);
	fx_free(fx);
}

static void test_refused_stream(void **state)
{
	struct fx *fx = fx_new();
	hull_rpc_stream_finish(fx->agent, HULL_RPC_NOT_FOUND, "no such process");
	fx->agent = NULL;
	UNTIL(fx, fx->drained);
	fx_free(fx);
}

static void test_unknown_channel(void **state)
{
	struct fx *fx = fx_new();
	say(fx, 77, "x", 1, true, true, 1);
	say(fx, -1, "x", 1, true, true, 1);
	say(fx, IN, "x", 1, true, true, 0);
	spin(fx);
	assert_int_equal(fx->drained + fx->flushed, 0);
	fx_free(fx);
}

/* ---- into the guest */

static void test_input_credit(void **state)
{
	struct fx *fx = fx_new();
	assert_int_equal(write(fx->theirs.in, "0123456789", 10), 10);
	spin(fx);
	assert_int_equal(fx->n_in, 0);
	say(fx, IN, NULL, 0, false, false, 4);
	UNTIL(fx, fx->n_in);
	spin(fx);
	assert_int_equal(fx->n_in, 4);
	say(fx, IN, NULL, 0, false, false, 2);
	say(fx, IN, NULL, 0, false, false, 1);
	spin(fx);
	assert_int_equal(fx->n_in, 7);
	say(fx, IN, NULL, 0, false, false, 1000);
	spin(fx);
	assert_memory_equal(fx->in, "0123456789", 10);
	assert_int_equal(fx->n_in, 10);
	hull_closep(&fx->theirs.in);
	UNTIL(fx, fx->eofs[IN]);
	spin(fx);
	assert_int_equal(fx->eofs[IN], 1);
	assert_int_equal(fx->drained, 0);
	fx_free(fx);
}

static void test_input_bulk(void **state)
{
	struct fx *fx = fx_new();
	static uint8_t data[1 << 20];
	size_t at = 0;
	int64_t end = hull_now_ms() + DEADLINE_MS;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	fcntl(fx->theirs.in, F_SETFL, O_NONBLOCK);
	/* A guest that grants without bound gets no more than it is sent. */
	say(fx, IN, NULL, 0, false, false, UINT64_MAX);
	for (uint64_t granted = 0; fx->n_in < sizeof(data); uv_run(&fx->loop, UV_RUN_NOWAIT)) {
		ssize_t n = write(fx->theirs.in, data + at, sizeof(data) - at < 12345 ? sizeof(data) - at : 12345);
		at += n > 0 ? (size_t)n : 0;
		if (granted < sizeof(data)) {
			say(fx, IN, NULL, 0, false, false, 10000);
			granted += 10000;
		}
		assert_true(hull_now_ms() < end);
	}
	assert_memory_equal(fx->in, data, sizeof(data));
	fx_free(fx);
}

/* ---- what is lent */

static void test_nothing_lent(void **state)
{
	struct hull_stdio_fds none = HULL_STDIO_FDS_NONE;
	struct fx *fx = fx_bare(&none);
	UNTIL(fx, fx->drained);
	assert_int_equal(fx->granted[OUT] + fx->granted[ERR], 0);
	say(fx, IN, NULL, 0, false, false, 100);
	/* Nothing was granted. */
	say(fx, OUT, "x", 1, false, false, 0);
	spin(fx);
	assert_int_equal(fx->drained, 1);
	fx_free(fx);
}

static void test_console(void **state)
{
	int master, slave;
	char buf[16];
	struct termios raw;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	struct hull_stdio_fds fds = { -1, -1, -1, slave };
	struct fx *fx = fx_bare(&fds);
	UNTIL(fx, fx->granted[OUT]);
	assert_int_equal(fx->granted[ERR], 0);
	say(fx, IN, NULL, 0, false, false, 100);
	assert_int_equal(write(master, "key", 3), 3);
	UNTIL(fx, fx->n_in);
	say(fx, OUT, "shown", 5, false, false, 0);
	spin(fx);
	assert_int_equal(read(master, buf, sizeof(buf)), 5);
	/* The master is closed: the process hears of it on both channels, though nothing is written. */
	close(master);
	UNTIL(fx, fx->eofs[IN]);
	UNTIL(fx, fx->eofs[OUT]);
	UNTIL(fx, fx->drained);
	assert_int_equal(fx->eofs[OUT], 1);
	fx_free(fx);
}

static void test_free_early(void **state)
{
	struct fx *fx = fx_new();
	send_all_granted(fx, OUT, 0);
	spin(fx);
	hull_stdio_free(fx->stdio);
	hull_stdio_free(NULL);
	fx->stdio = NULL;
	UNTIL(fx, fx->agent_ended);
	assert_int_equal(fx->drained + fx->flushed, 0);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_credit_waits_for_reader),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_flushed_before_drained),
		cmocka_unit_test(test_drained_waits),
		cmocka_unit_test(test_broken_stdout),
		cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_refused_stream),
		cmocka_unit_test(test_unknown_channel),
		cmocka_unit_test(test_input_credit),
		cmocka_unit_test(test_input_bulk),
		cmocka_unit_test(test_nothing_lent),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_free_early),
	};
	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
