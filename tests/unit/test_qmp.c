/* SPDX-License-Identifier: Apache-2.0 */
/* A QMP server that says what the test wants, on the other end of a socket pair. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "vmm/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define WELCOME GREETING "{\"return\": {}, \"id\": 0}\r\n"

struct peer {
	uv_loop_t loop;
	uv_timer_t tick;
	struct hull_qmp *qmp;
	int fd;                        /* the server's end */
	unsigned ready, closed, events;
	int close_code;
	char close_message[256], event[64], event_device[64];
	bool free_in_event, free_in_closed;
};

struct reply {
	struct peer *peer;
	unsigned calls;
	int code;
	char text[256];
	bool free_in_reply, send_in_reply;
};

static void on_ready(void *data)
{
	struct peer *p = data;
	p->ready++;
}

static void on_event(void *data, const char *name, struct json_object *args)
{
	struct peer *p = data;
	struct json_object *device = NULL;
	p->events++;
	snprintf(p->event, sizeof(p->event), "%s", name);
	if (args && json_object_object_get_ex(args, "device", &device))
		snprintf(p->event_device, sizeof(p->event_device), "%s", json_object_get_string(device));
	if (p->free_in_event) {
		hull_qmp_free(p->qmp);
		p->qmp = NULL;
	}
}

static void on_closed(void *data, const struct hull_error *err)
{
	struct peer *p = data;
	p->closed++;
	p->close_code = err->code;
	snprintf(p->close_message, sizeof(p->close_message), "%s", err->message);
	if (p->free_in_closed) {
		hull_qmp_free(p->qmp);
		p->qmp = NULL;
	}
}

static void on_reply(void *data, struct json_object *ret, const struct hull_error *err)
{
	struct reply *r = data;
	r->calls++;
	r->code = err ? err->code : 0;
	snprintf(r->text, sizeof(r->text), "%s", err ? err->message : json_object_to_json_string_ext(ret, JSON_C_TO_STRING_PLAIN));
	if (r->send_in_reply) {
		r->send_in_reply = false;
		hull_qmp_send(r->peer->qmp, "again", NULL, -1, 1000, on_reply, r);
	}
	if (r->free_in_reply) {
		hull_qmp_free(r->peer->qmp);
		r->peer->qmp = NULL;
	}
}

static void tick(uv_timer_t *timer)
{
}

static void turn(struct peer *p, int ms)
{
	int64_t end = hull_now_ms() + ms;
	do
		uv_run(&p->loop, UV_RUN_ONCE);
	while (hull_now_ms() < end);
}

static int setup(void **state)
{
	static const struct hull_qmp_handlers handlers = { on_ready, on_event, on_closed };
	struct hull_error err = HULL_ERROR_INIT;
	struct peer *p = calloc(1, sizeof(*p));
	int fds[2];

	uv_loop_init(&p->loop);
	uv_timer_init(&p->loop, &p->tick);
	uv_timer_start(&p->tick, tick, 1, 1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	p->fd = fds[0];
	*state = p;
	return hull_qmp_new(&p->loop, fds[1], 300, &handlers, p, &p->qmp, &err);
}

static int teardown(void **state)
{
	struct peer *p = *state;
	hull_qmp_free(p->qmp);
	uv_close((uv_handle_t *)&p->tick, NULL);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	int r = uv_loop_close(&p->loop);
	hull_closep(&p->fd);
	free(p);
	return r;
}

static void say(struct peer *p, const char *text)
{
	assert_int_equal(hull_fd_write_all(p->fd, text, strlen(text)), 0);
	turn(p, 5);
}

/* What has arrived at the server. */
static const char *heard(struct peer *p)
{
	static char buf[4096];
	ssize_t n = recv(p->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void welcome(struct peer *p)
{
	say(p, WELCOME);
	assert_int_equal(p->ready, 1);
	assert_string_equal(heard(p), "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
}

static void test_handshake(void **state)
{
	struct peer *p = *state;
	struct reply r = { 0 };
	/* Queued until the handshake is over. */
	hull_qmp_send(p->qmp, "query-status", NULL, -1, 1000, on_reply, &r);
	turn(p, 5);
	assert_string_equal(heard(p), "");
	say(p, GREETING);
	assert_string_equal(heard(p), "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
	assert_int_equal(p->ready, 0);
	say(p, "{\"return\": {}, \"id\": 0}\r\n");
	assert_int_equal(p->ready, 1);
	assert_string_equal(heard(p), "{\"execute\":\"query-status\",\"id\":1}\n");
	say(p, "{\"return\": {\"status\": \"running\"}, \"id\": 1}\r\n");
	assert_int_equal(r.calls, 1);
	assert_string_equal(r.text, "{\"status\":\"running\"}");
}

static void test_commands_one_by_one(void **state)
{
	struct peer *p = *state;
	struct reply a = { 0 }, b = { 0 };
	welcome(p);
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "id", json_object_new_string("x\"y\n"));
	hull_qmp_send(p->qmp, "device_del", args, -1, 1000, on_reply, &a);
	hull_qmp_send(p->qmp, "stop", NULL, -1, 1000, on_reply, &b);
	turn(p, 5);
	assert_string_equal(heard(p), "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"x\\\"y\\n\"},\"id\":1}\n");
	say(p, "{\"id\": 1, \"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\r\n");
	assert_int_equal(a.code, EREMOTEIO);
	assert_string_equal(a.text, "QEMU: no such device");
	assert_string_equal(heard(p), "{\"execute\":\"stop\",\"id\":2}\n");
	assert_int_equal(b.calls, 0);
	say(p, "{\"return\": {}, \"id\": 2}\r\n");
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.code, 0);
	assert_int_equal(p->closed, 0);
}

/* Events come at any time, lines in any pieces. */
static void test_events_in_pieces(void **state)
{
	struct peer *p = *state;
	const char *stream = WELCOME "{\"event\": \"RESUME\"}\r\n\r\n"
		"{\"timestamp\": {}, \"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d1\"}}\r\n";
	for (; *stream; stream++) {
		char byte[2] = { *stream, '\0' };
		assert_int_equal(write(p->fd, byte, 1), 1);
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	turn(p, 5);
	assert_int_equal(p->ready, 1);
	assert_int_equal(p->events, 2);
	assert_string_equal(p->event, "DEVICE_DELETED");
	assert_string_equal(p->event_device, "d1");
}

static void test_descriptor(void **state)
{
	struct peer *p = *state;
	struct reply r = { 0 };
	union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(int))]; } control;
	char line[256];
	struct iovec iov = { line, sizeof(line) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct stat sent, got;

	welcome(p);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &sent), 0);
	hull_qmp_send(p->qmp, "getfd", NULL, fd, 1000, on_reply, &r);
	/* It was duplicated. */
	close(fd);
	turn(p, 5);
	assert_true(recvmsg(p->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0);
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	assert_non_null(header);
	assert_int_equal(header->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(sent.st_rdev, got.st_rdev);
	close(fd);

	/* One that is not open fails, and nothing is sent. */
	struct reply bad = { 0 };
	say(p, "{\"return\": {}, \"id\": 1}\n");
	hull_qmp_send(p->qmp, "getfd", NULL, 900, 1000, on_reply, &bad);
	assert_int_equal(bad.calls, 0);
	turn(p, 20);
	assert_int_equal(bad.calls, 1);
	assert_true(bad.code != 0);
	assert_string_equal(heard(p), "");
}

static void test_deadline(void **state)
{
	struct peer *p = *state;
	struct reply slow = { 0 }, waits = { 0 }, next = { 0 };
	welcome(p);
	hull_qmp_send(p->qmp, "slow", NULL, -1, 30, on_reply, &slow);
	hull_qmp_send(p->qmp, "never-sent", NULL, -1, 20, on_reply, &waits);
	turn(p, 60);
	assert_int_equal(slow.calls, 1);
	assert_int_equal(slow.code, ETIMEDOUT);
	assert_int_equal(waits.code, ETIMEDOUT);
	assert_string_equal(heard(p), "{\"execute\":\"slow\",\"id\":1}\n");
	/* The late answer is dropped, and the connection is still good. */
	hull_qmp_send(p->qmp, "next", NULL, -1, 1000, on_reply, &next);
	say(p, "{\"return\": {}, \"id\": 1}\n");
	assert_int_equal(slow.calls, 1);
	assert_string_equal(heard(p), "{\"execute\":\"next\",\"id\":3}\n");
	say(p, "{\"return\": {}, \"id\": 3}\n");
	assert_int_equal(next.calls, 1);
	assert_int_equal(waits.calls, 1);
	assert_int_equal(p->closed, 0);
}

static void test_handshake_deadline(void **state)
{
	struct peer *p = *state;
	struct reply r = { 0 };
	hull_qmp_send(p->qmp, "stop", NULL, -1, 10000, on_reply, &r);
	turn(p, 350);
	assert_int_equal(p->closed, 1);
	assert_int_equal(p->close_code, ETIMEDOUT);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.code, ETIMEDOUT);
}

/* What no QEMU says closes the connection, with a reason, and fails what is pending. */
static void closes(void **state, bool after_welcome, const char *text, int code, const char *words)
{
	struct peer *p;
	struct reply r = { 0 }, late = { 0 };
	if (*state)
		teardown(state);
	assert_int_equal(setup(state), 0);
	p = *state;
	if (after_welcome)
		welcome(p);
	hull_qmp_send(p->qmp, "stop", NULL, -1, 1000, on_reply, &r);
	turn(p, 2);
	say(p, text);
	assert_int_equal(p->closed, 1);
	assert_int_equal(p->close_code, code);
	if (!strstr(p->close_message, words))
		fail_msg("'%s' is not in '%s'", words, p->close_message);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.code, code);
	/* A command after the end fails from the loop. */
	hull_qmp_send(p->qmp, "cont", NULL, -1, 1000, on_reply, &late);
	assert_int_equal(late.calls, 0);
	turn(p, 5);
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.code, code);
	assert_int_equal(p->closed, 1);
}

static void test_garbage(void **state)
{
	closes(state, false, "hello\n", EPROTO, "not JSON");
	closes(state, false, "[]\n", EPROTO, "not an object");
	closes(state, false, "null\n", EPROTO, "not JSON");
	closes(state, false, "{\"return\": {}}\n", EPROTO, "no greeting");
	closes(state, false, "{\"event\": \"RESUME\"}\n", EPROTO, "no greeting");
	closes(state, false, GREETING "{\"error\": {\"desc\": \"go away\"}, \"id\": 0}\n", EPROTO, "go away");
	closes(state, true, "{} {}\n", EPROTO, "not JSON");
	closes(state, true, "{}\n", EPROTO, "neither");
	closes(state, true, GREETING, EPROTO, "neither");
	closes(state, true, "{\"return\": {}, \"id\": 7}\n", EPROTO, "nobody asked");
	closes(state, true, "{\"return\": {}, \"id\": \"1\"}\n", EPROTO, "nobody asked");
	closes(state, true, "{\"return\": {}}\n", EPROTO, "nobody asked");
	closes(state, true, "{\"event\": \"\xff\xfe\"}\n", EPROTO, "not JSON");
}

static void test_depth(void **state)
{
	char line[256] = "{\"event\": \"X\", \"data\": ";
	size_t head = strlen(line);
	memset(line + head, '[', 100);
	line[head + 100] = '\n';
	closes(state, true, line, EPROTO, "nesting");
}

static void test_long_line(void **state)
{
	struct peer *p = *state;
	static char piece[65536];
	size_t sent = 0;
	memset(piece, ' ', sizeof(piece));
	welcome(p);
	while (!p->closed && sent < 4 * HULL_QMP_LINE_MAX) {
		ssize_t n = send(p->fd, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	assert_int_equal(p->closed, 1);
	assert_int_equal(p->close_code, EMSGSIZE);
	assert_in_range(sent, HULL_QMP_LINE_MAX, HULL_QMP_LINE_MAX + 1024 * 1024);
}

static void test_eof(void **state)
{
	struct peer *p = *state;
	struct reply r = { 0 };
	welcome(p);
	hull_qmp_send(p->qmp, "stop", NULL, -1, 1000, on_reply, &r);
	/* The event that came before the end is still delivered, though our command was never read. */
	assert_int_equal(hull_fd_write_all(p->fd, "{\"event\": \"SHUTDOWN\"}\n", 22), 0);
	close(p->fd);
	p->fd = -1;
	turn(p, 5);
	assert_string_equal(p->event, "SHUTDOWN");
	assert_int_equal(p->closed, 1);
	assert_int_equal(p->close_code, EPIPE);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.code, EPIPE);
}

static void test_free_cancels(void **state)
{
	struct peer *p = *state;
	struct reply a = { 0 }, b = { 0 };
	welcome(p);
	hull_qmp_send(p->qmp, "one", NULL, -1, 1000, on_reply, &a);
	hull_qmp_send(p->qmp, "two", NULL, 0, 1000, on_reply, &b);
	hull_qmp_free(p->qmp);
	p->qmp = NULL;
	assert_int_equal(a.code, ECANCELED);
	assert_int_equal(b.code, ECANCELED);
	assert_int_equal(p->closed, 0);
	hull_qmp_free(NULL);
}

static void test_free_inside_callbacks(void **state)
{
	struct peer *p = *state;
	struct reply a = { .peer = p, .free_in_reply = true }, b = { .peer = p };
	welcome(p);
	hull_qmp_send(p->qmp, "one", NULL, -1, 1000, on_reply, &a);
	hull_qmp_send(p->qmp, "two", NULL, -1, 1000, on_reply, &b);
	say(p, "{\"return\": {}, \"id\": 1}\n{\"event\": \"RESUME\"}\n{\"return\": {}, \"id\": 2}\n");
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.code, 0);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.code, ECANCELED);
	assert_int_equal(p->events, 0);

	teardown(state);
	assert_int_equal(setup(state), 0);
	p = *state;
	p->free_in_event = true;
	welcome(p);
	say(p, "{\"event\": \"RESUME\"}\n{\"event\": \"RESUME\"}\n");
	assert_int_equal(p->events, 1);

	/* free() from the failure of a command, and from on_closed. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	p = *state;
	a = (struct reply){ .peer = p, .free_in_reply = true };
	b = (struct reply){ .peer = p };
	welcome(p);
	hull_qmp_send(p->qmp, "one", NULL, -1, 1000, on_reply, &a);
	hull_qmp_send(p->qmp, "two", NULL, -1, 1000, on_reply, &b);
	say(p, "garbage\n");
	assert_int_equal(a.code, EPROTO);
	assert_int_equal(b.code, ECANCELED);
	assert_int_equal(p->closed, 0);

	teardown(state);
	assert_int_equal(setup(state), 0);
	p = *state;
	p->free_in_closed = true;
	welcome(p);
	say(p, "garbage\n");
	assert_int_equal(p->closed, 1);
}

static void test_send_inside_reply(void **state)
{
	struct peer *p = *state;
	struct reply a = { .peer = p, .send_in_reply = true };
	welcome(p);
	hull_qmp_send(p->qmp, "one", NULL, -1, 1000, on_reply, &a);
	say(p, "{\"return\": {}, \"id\": 1}\n");
	assert_string_equal(heard(p), "{\"execute\":\"one\",\"id\":1}\n{\"execute\":\"again\",\"id\":2}\n");
	say(p, "{\"return\": {}, \"id\": 2}\n");
	assert_int_equal(a.calls, 2);
	assert_int_equal(a.code, 0);

	/* Also when the reply is a timeout, or the end of the connection. */
	a.send_in_reply = true;
	hull_qmp_send(p->qmp, "two", NULL, -1, 10, on_reply, &a);
	turn(p, 30);
	assert_int_equal(a.calls, 3);
	assert_int_equal(a.code, ETIMEDOUT);
	say(p, "garbage\n");
	assert_int_equal(a.calls, 4);
	assert_int_equal(a.code, EPROTO);
}

/* A command larger than the socket's buffer goes out in pieces while the server reads. */
static void test_large_command(void **state)
{
	struct peer *p = *state;
	struct reply r = { 0 };
	size_t size = 3 << 20, got = 0;
	static char buf[65536];
	_cleanup_free_ char *big = malloc(size + 1);

	welcome(p);
	memset(big, 'a', size);
	big[size] = '\0';
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "data", json_object_new_string(big));
	hull_qmp_send(p->qmp, "big", args, -1, 10000, on_reply, &r);
	for (int i = 0; i < 10000 && got < size; i++) {
		ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
		uv_run(&p->loop, UV_RUN_NOWAIT);
	}
	assert_true(got > size);
	say(p, "{\"return\": {}, \"id\": 1}\n");
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.code, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handshake), TEST(test_commands_one_by_one), TEST(test_events_in_pieces), TEST(test_descriptor),
		TEST(test_deadline), TEST(test_handshake_deadline), TEST(test_garbage), TEST(test_depth), TEST(test_long_line),
		TEST(test_eof), TEST(test_free_cancels), TEST(test_free_inside_callbacks), TEST(test_send_inside_reply),
		TEST(test_large_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
