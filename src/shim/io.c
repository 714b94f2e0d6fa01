/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/io.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "shim/logger.h"

/* How often a FIFO whose reader is missing is looked at after its process ended. */
#define READER_POLL_MS 100

struct output {
	int lend;                      /* to hand on */
	int reader, writer;            /* of a FIFO: kept */
};

struct shim_io {
	int stdin_lend, stdin_writer;
	struct output out, err;
	bool finished;
	uv_timer_t timer;
};

static int open_on_host(const struct shim_host *host, const char *path, int flags, struct hull_error *err)
{
	int fd = hull_open_in_root(host->root, path, flags | O_NOCTTY, flags & O_CREAT ? 0644 : 0);
	return fd < 0 ? hull_error_errno(err, fd, "open %s", path) : fd;
}

static bool is_fifo(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* "fifo:///path" and a bare path are the same. */
static const char *plain_path(const char *uri)
{
	return strncmp(uri, "fifo://", 7) == 0 ? uri + 7 : uri;
}

static int open_stdin(struct shim_io *io, const struct shim_host *host, const char *uri, struct hull_error *err)
{
	if (!uri[0])
		return 0;
	const char *path = plain_path(uri);
	if (path[0] != '/')
		return hull_error_set(err, EOPNOTSUPP, "stdin: \"%.128s\": expected the path of a FIFO", uri);
	io->stdin_lend = open_on_host(host, path, O_RDONLY | O_NONBLOCK, err);
	if (io->stdin_lend < 0)
		return hull_error_wrap(err, "stdin");
	if (!is_fifo(io->stdin_lend))
		return 0;
	io->stdin_writer = open_on_host(host, path, O_WRONLY | O_NONBLOCK, err);
	return io->stdin_writer < 0 ? hull_error_wrap(err, "stdin") : 0;
}

static int open_output(struct output *o, const struct shim_host *host, const char *uri, struct hull_error *err)
{
	const char *path = plain_path(uri);
	if (!uri[0])
		return 0;
	if (strncmp(uri, "file://", 7) == 0) {
		o->lend = open_on_host(host, uri + 7, O_WRONLY | O_CREAT | O_APPEND, err);
		return o->lend < 0 ? o->lend : 0;
	}
	if (path[0] != '/')
		return hull_error_set(err, EOPNOTSUPP, "\"%.128s\": expected the path of a FIFO, file:// or binary://", uri);
	/* Its reader first: a FIFO without one cannot be opened for writing. */
	o->reader = open_on_host(host, path, O_RDONLY | O_NONBLOCK, err);
	if (o->reader < 0)
		return o->reader;
	o->lend = open_on_host(host, path, O_WRONLY | O_NONBLOCK, err);
	if (o->lend < 0)
		return o->lend;
	if (!is_fifo(o->reader)) {
		hull_closep(&o->reader);
		return 0;
	}
	o->writer = fcntl(o->lend, F_DUPFD_CLOEXEC, 3);
	return o->writer < 0 ? hull_error_errno(err, errno, "%s", path) : 0;
}

static void on_timer(uv_timer_t *timer);

struct shim_io *shim_io_open(uv_loop_t *loop, const struct shim_host *host, const struct shim_stdio *stdio, const char *id,
			     const char *namespace, struct hull_error *err)
{
	struct shim_io *io = hull_new(struct shim_io, 1);
	*io = (struct shim_io){ .stdin_lend = -1, .stdin_writer = -1, .out = { -1, -1, -1 }, .err = { -1, -1, -1 } };
	uv_timer_init(loop, &io->timer);
	io->timer.data = io;

	int r = open_stdin(io, host, stdio->in, err);
	/* One program for both streams. */
	if (r == 0 && strncmp(stdio->out, "binary://", 9) == 0) {
		r = shim_logger_start(loop, host, stdio->out, id, namespace, &io->out.lend, &io->err.lend, err);
	} else if (r == 0) {
		r = open_output(&io->out, host, stdio->out, err);
		if (r < 0)
			hull_error_wrap(err, "stdout");
		/* A terminal has one stream of output. */
		if (r == 0 && !stdio->terminal && open_output(&io->err, host, stdio->err, err) < 0)
			r = hull_error_wrap(err, "stderr");
	}
	if (r < 0) {
		shim_io_free(io);
		return NULL;
	}
	if (stdio->terminal)
		hull_closep(&io->err.lend);
	return io;
}

void shim_io_fds(const struct shim_io *io, int fds[static 3])
{
	fds[0] = io->stdin_lend;
	fds[1] = io->out.lend;
	fds[2] = io->err.lend;
}

void shim_io_lent(struct shim_io *io)
{
	hull_closep(&io->stdin_lend);
	hull_closep(&io->out.lend);
	hull_closep(&io->err.lend);
}

void shim_io_close_stdin(struct shim_io *io)
{
	hull_closep(&io->stdin_writer);
}

/* A pipe keeps its bytes as long as one end is open. Whether somebody else has it open for reading shows when our own reader is closed. */
static bool has_reader(int writer)
{
	struct pollfd p = { .fd = writer };
	return poll(&p, 1, 0) == 0 || !(p.revents & POLLERR);
}

/* Returns true when nothing is left to wait for. */
static bool let_go(struct output *o)
{
	int waiting = 0;
	if (o->writer < 0)
		return true;
	if (o->reader >= 0 && ioctl(o->reader, FIONREAD, &waiting) == 0 && waiting == 0)
		hull_closep(&o->writer);
	hull_closep(&o->reader);
	if (o->writer >= 0 && has_reader(o->writer))
		hull_closep(&o->writer);
	return o->writer < 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct shim_io *io = timer->data;
	bool out = let_go(&io->out), err = let_go(&io->err);
	if (out && err)
		uv_timer_stop(timer);
}

void shim_io_finish(struct shim_io *io)
{
	if (!io || io->finished)
		return;
	io->finished = true;
	shim_io_lent(io);
	shim_io_close_stdin(io);
	bool out = let_go(&io->out), err = let_go(&io->err);
	if (!out || !err)
		uv_timer_start(&io->timer, on_timer, READER_POLL_MS, READER_POLL_MS);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void shim_io_free(struct shim_io *io)
{
	if (!io)
		return;
	shim_io_lent(io);
	shim_io_close_stdin(io);
	hull_closep(&io->out.reader);
	hull_closep(&io->out.writer);
	hull_closep(&io->err.reader);
	hull_closep(&io->err.writer);
	uv_close((uv_handle_t *)&io->timer, on_closed);
}
