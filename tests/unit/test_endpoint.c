/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of every kind that an engine may lend: bytes, ends, broken peers, and flags that stay as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/process.h"
#include "pod/endpoint.h"

#define DEADLINE_MS 10000

struct fx {
	uv_loop_t loop;
	struct hull_endpoint *ep;
	uint8_t *got;                  /* what a reader delivered */
	size_t n_got, largest;
	size_t written;
	int ends, breaks;
	uint64_t grant_more;           /* within on_read */
	bool free_inside;
};

static void free_ep(struct fx *fx)
{
	hull_endpoint_free(fx->ep);
	fx->ep = NULL;
}

static void on_read(void *data, const uint8_t *bytes, size_t n)
{
	struct fx *fx = data;
	fx->got = hull_realloc(fx->got, fx->n_got + n);
	memcpy(fx->got + fx->n_got, bytes, n);
	fx->n_got += n;
	fx->largest = n > fx->largest ? n : fx->largest;
	if (fx->grant_more)
		hull_endpoint_grant(fx->ep, fx->grant_more);
	if (fx->free_inside)
		free_ep(fx);
}

static void on_end(void *data)
{
	struct fx *fx = data;
	fx->ends++;
	if (fx->free_inside)
		free_ep(fx);
}

static void on_written(void *data, size_t n)
{
	struct fx *fx = data;
	fx->written += n;
	if (fx->free_inside)
		free_ep(fx);
}

static void on_broken(void *data)
{
	struct fx *fx = data;
	fx->breaks++;
	if (fx->free_inside)
		free_ep(fx);
}

static const struct hull_endpoint_ops ops = {
	.on_read = on_read, .on_end = on_end, .on_written = on_written, .on_broken = on_broken,
};

static struct fx *fx_new(void)
{
	struct fx *fx = hull_new(struct fx, 1);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&fx->loop), 0);
	return fx;
}

static struct fx *fx_reader(int fd)
{
	struct fx *fx = fx_new();
	fx->ep = hull_endpoint_reader(&fx->loop, fd, &ops, fx);
	return fx;
}

static struct fx *fx_writer(int fd)
{
	struct fx *fx = fx_new();
	fx->ep = hull_endpoint_writer(&fx->loop, fd, &ops, fx);
	return fx;
}

static void fx_free(struct fx *fx)
{
	free_ep(fx);
	while (uv_run(&fx->loop, UV_RUN_NOWAIT))
		;
	assert_int_equal(uv_loop_close(&fx->loop), 0);
	free(fx->got);
	free(fx);
}

/* Runs the loop for a moment: for what must not happen. */
static void spin(struct fx *fx)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static void until(struct fx *fx, const size_t *value, size_t at_least)
{
	int64_t end = hull_now_ms() + DEADLINE_MS;
	while (*value < at_least) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		assert_true(hull_now_ms() < end);
		usleep(100);
	}
}

static void until_int(struct fx *fx, const int *value, int wanted)
{
	int64_t end = hull_now_ms() + DEADLINE_MS;
	while (*value != wanted) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		assert_true(hull_now_ms() < end);
		usleep(100);
	}
}

static int flags_of(int fd)
{
	return fcntl(fd, F_GETFL);
}

/* ---- readers */

static void test_pipe_reader(void **state)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	int kept = dup(p[0]), before = flags_of(p[0]);
	struct fx *fx = fx_reader(p[0]);
	assert_int_equal(write(p[1], "0123456789", 10), 10);
	spin(fx);
	assert_int_equal(fx->n_got, 0);        /* nothing was granted */
	hull_endpoint_grant(fx->ep, 4);
	until(fx, &fx->n_got, 4);
	spin(fx);
	assert_int_equal(fx->n_got, 4);
	hull_endpoint_grant(fx->ep, 3);
	until(fx, &fx->n_got, 7);
	hull_endpoint_grant(fx->ep, 100);
	until(fx, &fx->n_got, 10);
	assert_memory_equal(fx->got, "0123456789", 10);
	close(p[1]);
	until_int(fx, &fx->ends, 1);
	spin(fx);
	assert_int_equal(fx->ends, 1);
	assert_int_equal(flags_of(kept), before);
	close(kept);
	fx_free(fx);
}

/* The writer of a named pipe may be gone before the reader is made: its bytes and its end arrive all the same. */
static void test_fifo_whose_writer_is_gone(void **state)
{
	char dir[] = "/tmp/hull-endpoint-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	int writer = open(path, O_RDWR | O_CLOEXEC);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(write(writer, "last", 4), 4);
	close(writer);
	struct fx *fx = fx_reader(reader);
	hull_endpoint_grant(fx->ep, 100);
	until_int(fx, &fx->ends, 1);
	assert_int_equal(fx->n_got, 4);
	fx_free(fx);
	unlink(path);
	rmdir(dir);
}

static void test_reader_grants_inside(void **state)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	struct fx *fx = fx_reader(p[0]);
	char data[50000];
	memset(data, 'x', sizeof(data));
	fx->grant_more = 1000;
	assert_int_equal(write(p[1], data, sizeof(data)), sizeof(data));
	close(p[1]);
	hull_endpoint_grant(fx->ep, 1000);
	until_int(fx, &fx->ends, 1);
	assert_int_equal(fx->n_got, sizeof(data));
	assert_int_equal(fx->largest, 1000);
	fx_free(fx);
}

static void test_socket_reader(void **state)
{
	int p[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	int kept = dup(p[0]), before = flags_of(p[0]);
	struct fx *fx = fx_reader(p[0]);
	hull_endpoint_grant(fx->ep, 1 << 20);
	assert_int_equal(write(p[1], "abc", 3), 3);
	until(fx, &fx->n_got, 3);
	assert_int_equal(flags_of(kept), before);
	/* Half-closed: the other direction goes on. */
	shutdown(p[1], SHUT_WR);
	until_int(fx, &fx->ends, 1);
	assert_int_equal(flags_of(kept), before);
	close(kept);
	close(p[1]);
	fx_free(fx);
}

static void test_file_reader(void **state)
{
	char path[] = "/tmp/test_endpoint.XXXXXX";
	int fd = mkstemp(path);
	unlink(path);
	assert_int_equal(ftruncate(fd, 1000000), 0);
	struct fx *fx = fx_reader(fd);
	hull_endpoint_grant(fx->ep, 300000);
	until(fx, &fx->n_got, 300000);
	spin(fx);
	assert_int_equal(fx->n_got, 300000);
	hull_endpoint_grant(fx->ep, UINT64_MAX);
	hull_endpoint_grant(fx->ep, UINT64_MAX);       /* does not wrap */
	until_int(fx, &fx->ends, 1);
	assert_int_equal(fx->n_got, 1000000);
	fx_free(fx);
}

static void test_null_reader(void **state)
{
	struct fx *fx = fx_reader(open("/dev/null", O_RDONLY));
	spin(fx);
	assert_int_equal(fx->ends, 0);
	hull_endpoint_grant(fx->ep, 10);
	until_int(fx, &fx->ends, 1);
	fx_free(fx);
}

/* A directory, a write-only descriptor: reading fails, which is an end. */
static void test_unreadable(void **state)
{
	const int fds[] = { open("/", O_RDONLY), open("/dev/null", O_WRONLY), open("/", O_PATH) };
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct fx *fx = fx_reader(fds[i]);
		hull_endpoint_grant(fx->ep, 10);
		until_int(fx, &fx->ends, 1);
		assert_int_equal(fx->n_got, 0);
		fx_free(fx);
	}
}

/* Something that blocks and is no pipe, socket or terminal must not stop the loop. */
static void test_other_kind(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), kept = dup(fd);
	struct fx *fx = fx_reader(fd);
	hull_endpoint_grant(fx->ep, 8);
	spin(fx);
	uint64_t one = 1;
	assert_int_equal(write(kept, &one, sizeof(one)), sizeof(one));
	until(fx, &fx->n_got, 8);
	assert_int_equal(flags_of(kept) & O_NONBLOCK, 0);
	close(kept);
	fx_free(fx);
}

static void raw_pty(int *master, int *slave)
{
	struct termios raw;
	assert_int_equal(openpty(master, slave, NULL, NULL, NULL), 0);
	tcgetattr(*slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(*slave, TCSANOW, &raw);
}

static void test_tty(void **state)
{
	int master, slave;
	char text[16];
	raw_pty(&master, &slave);
	int kept = dup(slave), before = flags_of(slave);
	struct fx *in = fx_reader(dup(slave)), *out = fx_writer(slave);
	hull_endpoint_grant(in->ep, 100);
	assert_int_equal(write(master, "key", 3), 3);
	until(in, &in->n_got, 3);
	hull_endpoint_write(out->ep, (const uint8_t *)"shown", 5);
	until(out, &out->written, 5);
	assert_int_equal(read(master, text, sizeof(text)), 5);
	assert_int_equal(flags_of(kept), before);
	/* The terminal is gone: both sides learn it. */
	close(kept);
	close(master);
	until_int(in, &in->ends, 1);
	hull_endpoint_write(out->ep, (const uint8_t *)"x", 1);
	until_int(out, &out->breaks, 1);
	fx_free(in);
	fx_free(out);
}

/* The master of a pty cannot be opened anew: it stays shared and blocking. */
static void test_ptmx(void **state)
{
	int master, slave;
	uint8_t data[100000] = { 0 };
	raw_pty(&master, &slave);
	int kept = dup(master), before = flags_of(master);
	struct fx *fx = fx_writer(master);
	hull_endpoint_write(fx->ep, data, sizeof(data));
	assert_true(hull_endpoint_queued(fx->ep) > 0);         /* and yet we are here */
	fcntl(slave, F_SETFL, O_NONBLOCK);
	int64_t end = hull_now_ms() + DEADLINE_MS;
	for (size_t n = 0; n < sizeof(data);) {
		char buf[4096];
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		ssize_t r = read(slave, buf, sizeof(buf));
		n += r > 0 ? (size_t)r : 0;
		assert_true(hull_now_ms() < end);
	}
	until(fx, &fx->written, sizeof(data));
	assert_int_equal(flags_of(kept), before);
	close(kept);
	close(slave);
	fx_free(fx);
}

static void test_free_inside(void **state)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	struct fx *fx = fx_reader(p[0]);
	fx->free_inside = true;
	hull_endpoint_grant(fx->ep, 5);
	assert_int_equal(write(p[1], "12345", 5), 5);
	until(fx, &fx->n_got, 5);
	close(p[1]);
	spin(fx);
	assert_int_equal(fx->ends, 0);
	fx_free(fx);

	assert_int_equal(pipe(p), 0);
	fx = fx_writer(p[1]);
	fx->free_inside = true;
	hull_endpoint_write(fx->ep, (const uint8_t *)"1", 1);
	assert_null(fx->ep);
	close(p[0]);
	fx_free(fx);

	assert_int_equal(pipe(p), 0);
	close(p[0]);
	fx = fx_writer(p[1]);
	fx->free_inside = true;
	hull_endpoint_write(fx->ep, (const uint8_t *)"1", 1);
	assert_null(fx->ep);
	assert_int_equal(fx->breaks, 1);
	fx_free(fx);
}

/* ---- writers */

/* Three megabytes of numbers into a writer whose reader is slow; what comes out must be them. */
static void carry(int write_fd, int read_fd)
{
	enum { COUNT = 750000 };
	uint32_t *numbers = malloc(COUNT * sizeof(*numbers)), *back = malloc(COUNT * sizeof(*back));
	const size_t size = COUNT * sizeof(*numbers);
	int kept = dup(write_fd), before = flags_of(write_fd);
	struct fx *fx = fx_writer(write_fd);
	for (uint32_t i = 0; i < COUNT; i++)
		numbers[i] = i;
	for (size_t at = 0; at < size;) {
		size_t n = size - at < 99991 ? size - at : 99991;
		hull_endpoint_write(fx->ep, (const uint8_t *)numbers + at, n);
		at += n;
	}
	assert_int_equal(hull_endpoint_queued(fx->ep) + fx->written, size);
	fcntl(read_fd, F_SETFL, flags_of(read_fd) | O_NONBLOCK);
	for (size_t at = 0; at < size;) {
		ssize_t n = read(read_fd, (uint8_t *)back + at, size - at < 70001 ? size - at : 70001);
		at += n > 0 ? (size_t)n : 0;
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	until(fx, &fx->written, size);
	assert_memory_equal(back, numbers, size);
	assert_int_equal(hull_endpoint_queued(fx->ep), 0);
	assert_int_equal(flags_of(kept), before);
	assert_int_equal(fx->breaks, 0);
	close(kept);
	close(read_fd);
	free(numbers);
	free(back);
	fx_free(fx);
}

static void test_pipe_writer(void **state)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	carry(p[1], p[0]);
}

static void test_socket_writer(void **state)
{
	int p[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	carry(p[1], p[0]);
}

static void test_file_writer(void **state)
{
	char path[] = "/tmp/test_endpoint.XXXXXX", text[8] = "";
	int fd = mkstemp(path), kept = dup(fd);
	unlink(path);
	struct fx *fx = fx_writer(fd);
	hull_endpoint_write(fx->ep, (const uint8_t *)"abc", 3);
	hull_endpoint_write(fx->ep, (const uint8_t *)"", 0);
	hull_endpoint_write(fx->ep, (const uint8_t *)"def", 3);
	assert_int_equal(fx->written, 6);
	assert_int_equal(pread(kept, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "abcdef", 6);
	close(kept);
	fx_free(fx);
}

static void test_full_device(void **state)
{
	struct fx *fx = fx_writer(open("/dev/full", O_WRONLY));
	hull_endpoint_write(fx->ep, (const uint8_t *)"abc", 3);
	assert_int_equal(fx->breaks, 1);
	hull_endpoint_write(fx->ep, (const uint8_t *)"abc", 3);
	assert_int_equal(fx->breaks, 1);
	assert_int_equal(hull_endpoint_queued(fx->ep), 0);
	fx_free(fx);
}

/* The reader goes while bytes wait, before any came, and before the descriptor was even lent. */
static void test_broken_peers(void **state)
{
	static uint8_t data[300000];
	for (int kind = 0; kind < 6; kind++) {
		int p[2];
		if (kind % 2)
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		else
			assert_int_equal(pipe(p), 0);
		if (kind >= 4)
			close(p[0]);
		struct fx *fx = fx_writer(p[1]);
		if (kind < 2) {
			hull_endpoint_write(fx->ep, data, sizeof(data));
			assert_true(hull_endpoint_queued(fx->ep) > 0);
		}
		if (kind < 4)
			close(p[0]);
		if (kind >= 2)
			hull_endpoint_write(fx->ep, data, sizeof(data));
		until_int(fx, &fx->breaks, 1);
		assert_int_equal(hull_endpoint_queued(fx->ep), 0);
		hull_endpoint_write(fx->ep, data, sizeof(data));
		spin(fx);
		assert_int_equal(fx->breaks, 1);
		assert_int_equal(hull_endpoint_queued(fx->ep), 0);
		fx_free(fx);
	}
}

/* A pipe that cannot be watched must not be read either: with nothing in it that would hold the whole loop. */
static void test_no_descriptors_left(void **state)
{
	int in[2], out[2];
	struct rlimit before, none;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	struct fx *reader = fx_new(), *writer = fx_new();
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	reader->ep = hull_endpoint_reader(&reader->loop, in[0], &ops, reader);
	writer->ep = hull_endpoint_writer(&writer->loop, out[1], &ops, writer);
	setrlimit(RLIMIT_NOFILE, &before);

	alarm(DEADLINE_MS / 1000);
	hull_endpoint_grant(reader->ep, 100);
	until_int(reader, &reader->ends, 1);
	hull_endpoint_write(writer->ep, (const uint8_t *)"lost", 4);
	until_int(writer, &writer->breaks, 1);
	alarm(0);
	fx_free(reader);
	fx_free(writer);
	close(in[1]);
	close(out[0]);
}

static void test_free_null(void **state)
{
	hull_endpoint_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe_reader),
		cmocka_unit_test(test_fifo_whose_writer_is_gone),
		cmocka_unit_test(test_reader_grants_inside),
		cmocka_unit_test(test_socket_reader),
		cmocka_unit_test(test_file_reader),
		cmocka_unit_test(test_null_reader),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_other_kind),
		cmocka_unit_test(test_tty),
		cmocka_unit_test(test_ptmx),
		cmocka_unit_test(test_free_inside),
		cmocka_unit_test(test_pipe_writer),
		cmocka_unit_test(test_socket_writer),
		cmocka_unit_test(test_file_writer),
		cmocka_unit_test(test_full_device),
		cmocka_unit_test(test_broken_peers),
		cmocka_unit_test(test_no_descriptors_left),
		cmocka_unit_test(test_free_null),
	};
	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
