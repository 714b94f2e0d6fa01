/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/endpoint.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define READ_BYTES (32u << 10)

enum how {
	HOW_OWN,                       /* an open file description of our own: non-blocking */
	HOW_SOCKET,                    /* MSG_DONTWAIT on each call */
	HOW_DIRECT,                    /* never waits, so it cannot be polled: files, /dev/null */
	HOW_PIPE,                      /* shared and blocking: at most PIPE_BUF bytes, after poll said so */
	HOW_CAREFUL,                   /* as that, but poll promises no more than a byte: a terminal's write waits for all of its bytes */
	HOW_LOST,                      /* cannot be watched for lack of descriptors or memory: as if the other side were gone */
};

struct hull_endpoint {
	int fd;
	int epoll_fd;                  /* watches a borrowed `fd`; -1: not needed */
	enum how how;
	bool reading, ended, freed;
	const struct hull_endpoint_ops *ops;
	void *data;
	uint64_t granted;

	uint8_t *queue;                /* bytes that wait for the descriptor */
	size_t queue_start, queue_len, queue_room;

	union {
		uv_poll_t poll;
		uv_idle_t idle;        /* HOW_DIRECT */
		uv_handle_t handle;
	};
	bool watching;
};

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	return poll(&p, 1, 0) > 0;
}

/* There is no writer any more; there may still be bytes. */
static bool is_at_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

static enum how adopt(int *fd, bool reading)
{
	struct stat st;
	if (fstat(*fd, &st) < 0 || S_ISREG(st.st_mode))
		return HOW_DIRECT;
	if (S_ISSOCK(st.st_mode))
		return HOW_SOCKET;
	/* Lent as it is wanted. */
	if (S_ISFIFO(st.st_mode) && (fcntl(*fd, F_GETFL) & O_NONBLOCK))
		return HOW_OWN;
	/* Opening the pty multiplexer anew would make another pty. Source: Documentation/admin-guide/devices.txt, 5:2. */
	bool ptmx = S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2);
	bool tty = S_ISCHR(st.st_mode) && !ptmx && isatty(*fd);
	if (S_ISFIFO(st.st_mode) || tty) {
		char path[32];
		int own = open(hull_fd_path(*fd, path),
			       (reading ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		/*
		 * Whoever opens a named pipe for reading is told of no end that came before; the description that was lent is.
		 * Source: Linux, fs/pipe.c, fifo_open() and pipe_poll().
		 */
		if (own >= 0 && reading && S_ISFIFO(st.st_mode) && is_at_end(*fd)) {
			close(own);
			return HOW_PIPE;
		}
		if (own >= 0) {
			close(*fd);
			*fd = own;
			return HOW_OWN;
		}
	}
	return S_ISFIFO(st.st_mode) ? HOW_PIPE : HOW_CAREFUL;
}

static ssize_t do_read(struct hull_endpoint *ep, void *buf, size_t n)
{
	if (ep->how == HOW_LOST) {
		errno = EMFILE;
		return -1;
	}
	if (ep->how == HOW_SOCKET)
		return recv(ep->fd, buf, n, MSG_DONTWAIT);
	if ((ep->how == HOW_PIPE || ep->how == HOW_CAREFUL) && !is_ready(ep->fd, POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	return read(ep->fd, buf, n);
}

static ssize_t do_write(struct hull_endpoint *ep, const void *buf, size_t n)
{
	if (ep->how == HOW_LOST) {
		errno = EMFILE;
		return -1;
	}
	if (ep->how == HOW_SOCKET)
		return send(ep->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ep->how == HOW_PIPE || ep->how == HOW_CAREFUL) {
		size_t most = ep->how == HOW_PIPE ? PIPE_BUF : 1;
		if (!is_ready(ep->fd, POLLOUT)) {
			errno = EAGAIN;
			return -1;
		}
		n = n < most ? n : most;
	}
	return write(ep->fd, buf, n);
}

static void watch(struct hull_endpoint *ep, bool on);

static void end_reading(struct hull_endpoint *ep)
{
	if (ep->ended)
		return;
	ep->ended = true;
	watch(ep, false);
	ep->ops->on_end(ep->data);
}

static void read_some(struct hull_endpoint *ep)
{
	uint8_t buf[READ_BYTES];
	if (ep->ended || ep->granted == 0) {
		watch(ep, false);
		return;
	}
	size_t want = ep->granted < sizeof(buf) ? (size_t)ep->granted : sizeof(buf);
	ssize_t n = do_read(ep, buf, want);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_reading(ep);
		return;
	}
	ep->granted -= (uint64_t)n;
	ep->ops->on_read(ep->data, buf, (size_t)n);
	/* Afterwards: most callbacks grant more, and then nothing changes. */
	if (ep->granted == 0)
		watch(ep, false);
}

static void forget_queue(struct hull_endpoint *ep)
{
	free(ep->queue);
	ep->queue = NULL;
	ep->queue_start = ep->queue_len = ep->queue_room = 0;
}

static void break_writer(struct hull_endpoint *ep)
{
	if (ep->ended)
		return;
	ep->ended = true;
	forget_queue(ep);
	watch(ep, false);
	ep->ops->on_broken(ep->data);
}

/* Writes until all is gone or the descriptor is full. Bytes written, or -1 when the other side is gone. */
static ssize_t write_all(struct hull_endpoint *ep, const uint8_t *bytes, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t wrote = do_write(ep, bytes + done, n - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0 && errno == EAGAIN)
			break;
		if (wrote < 0)
			return -1;
		done += (size_t)wrote;
	}
	return (ssize_t)done;
}

static void write_some(struct hull_endpoint *ep)
{
	if (ep->ended || ep->queue_len == 0)
		return;
	ssize_t total = write_all(ep, ep->queue + ep->queue_start, ep->queue_len);
	if (total < 0) {
		break_writer(ep);
		return;
	}
	ep->queue_start += (size_t)total;
	ep->queue_len -= (size_t)total;
	if (ep->queue_len == 0)
		forget_queue(ep);
	watch(ep, ep->queue_len > 0);
	if (total > 0)
		ep->ops->on_written(ep->data, (size_t)total);
}

static void work(struct hull_endpoint *ep)
{
	if (ep->reading)
		read_some(ep);
	else
		write_some(ep);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct hull_endpoint *ep = poll->data;
	(void)events;
	/* The error shows in the read or write itself; libuv has stopped the watch because of it. */
	if (status < 0)
		ep->watching = false;
	work(ep);
}

/* Watched by an idle handle rather than a poll handle. */
static bool is_idle(const struct hull_endpoint *ep)
{
	return ep->how == HOW_DIRECT || ep->how == HOW_LOST;
}

static void on_idle(uv_idle_t *idle)
{
	work(idle->data);
}

static void watch(struct hull_endpoint *ep, bool on)
{
	if (on == ep->watching)
		return;
	ep->watching = on;
	if (is_idle(ep)) {
		if (on)
			uv_idle_start(&ep->idle, on_idle);
		else
			uv_idle_stop(&ep->idle);
	} else if (on) {
		int events = ep->reading || ep->epoll_fd >= 0 ? UV_READABLE : UV_WRITABLE;
		uv_poll_start(&ep->poll, events, on_poll);
	} else {
		uv_poll_stop(&ep->poll);
	}
}

/*
 * libuv makes the descriptor that it polls non-blocking, which must not happen to a borrowed description: there libuv is
 * given an epoll descriptor that holds the borrowed one. -EPERM: it cannot be polled, and never waits. Other errors: there is no
 * telling.
 */
static int watchable(struct hull_endpoint *ep)
{
	if (ep->how == HOW_OWN)
		return ep->fd;
	struct epoll_event event = { .events = ep->reading ? EPOLLIN : EPOLLOUT };
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0)
		return -errno;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, ep->fd, &event) < 0) {
		int saved = errno;
		close(epfd);
		return -saved;
	}
	ep->epoll_fd = epfd;
	return epfd;
}

static struct hull_endpoint *endpoint_new(uv_loop_t *loop, int fd, bool reading, const struct hull_endpoint_ops *ops,
					  void *data)
{
	struct hull_endpoint *ep = hull_new(struct hull_endpoint, 1);
	ep->reading = reading;
	ep->ops = ops;
	ep->data = data;
	ep->epoll_fd = -1;
	ep->how = adopt(&fd, reading);
	ep->fd = fd;
	if (ep->how != HOW_DIRECT) {
		int r = watchable(ep);
		if (r >= 0)
			r = uv_poll_init(loop, &ep->poll, r);
		if (r < 0)
			ep->how = r == -EPERM ? HOW_DIRECT : HOW_LOST;
	}
	if (is_idle(ep))
		uv_idle_init(loop, &ep->idle);
	ep->handle.data = ep;
	return ep;
}

struct hull_endpoint *hull_endpoint_reader(uv_loop_t *loop, int fd, const struct hull_endpoint_ops *ops, void *data)
{
	return endpoint_new(loop, fd, true, ops, data);
}

struct hull_endpoint *hull_endpoint_writer(uv_loop_t *loop, int fd, const struct hull_endpoint_ops *ops, void *data)
{
	return endpoint_new(loop, fd, false, ops, data);
}

void hull_endpoint_grant(struct hull_endpoint *ep, uint64_t n)
{
	ep->granted = n > UINT64_MAX - ep->granted ? UINT64_MAX : ep->granted + n;
	if (!ep->ended && ep->granted > 0)
		watch(ep, true);
}

static void enqueue(struct hull_endpoint *ep, const uint8_t *bytes, size_t n)
{
	if (ep->queue_start + ep->queue_len + n > ep->queue_room) {
		if (ep->queue_start > 0)
			memmove(ep->queue, ep->queue + ep->queue_start, ep->queue_len);
		ep->queue_start = 0;
		if (ep->queue_len + n > ep->queue_room) {
			ep->queue_room = ep->queue_len + n;
			ep->queue = hull_realloc(ep->queue, ep->queue_room);
		}
	}
	memcpy(ep->queue + ep->queue_start + ep->queue_len, bytes, n);
	ep->queue_len += n;
}

void hull_endpoint_write(struct hull_endpoint *ep, const uint8_t *bytes, size_t n)
{
	if (ep->ended || n == 0)
		return;
	ssize_t done = ep->queue_len > 0 ? 0 : write_all(ep, bytes, n);
	if (done < 0) {
		break_writer(ep);
		return;
	}
	if ((size_t)done < n) {
		enqueue(ep, bytes + done, n - (size_t)done);
		watch(ep, true);
	}
	if (done > 0)
		ep->ops->on_written(ep->data, (size_t)done);
}

void hull_endpoint_shutdown(struct hull_endpoint *ep)
{
	if (ep->how == HOW_SOCKET)
		shutdown(ep->fd, SHUT_WR);
}

size_t hull_endpoint_queued(const struct hull_endpoint *ep)
{
	return ep->queue_len;
}

static void on_closed(uv_handle_t *handle)
{
	struct hull_endpoint *ep = handle->data;
	forget_queue(ep);
	hull_closep(&ep->epoll_fd);
	close(ep->fd);
	free(ep);
}

void hull_endpoint_free(struct hull_endpoint *ep)
{
	if (!ep || ep->freed)
		return;
	ep->freed = true;
	ep->ended = true;
	watch(ep, false);
	uv_close(&ep->handle, on_closed);
}
