/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a process' streams: pipes, a socket pair or a terminal. */
#include "agent/streams_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/mem.h"

static uv_loop_t *loop_of(const struct hull_streams *streams)
{
	return streams->process->container->agent->loop;
}

static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_pipe(unsigned uid, bool child_reads, int *ret_child, int *ret_ours)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	int child = fds[child_reads ? 0 : 1], ours = fds[child_reads ? 1 : 0];
	int r = uid && fchown(child, uid, (gid_t)-1) < 0 ? -errno : set_nonblock(ours);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_child = child;
	*ret_ours = ours;
	return 0;
}

static int make_pipes(struct hull_streams *streams, const bool connected[3], unsigned uid, int ret_child[3])
{
	for (int i = 0; i < 3; i++) {
		int ours = -1;
		if (!connected[i])
			continue;
		int r = make_pipe(uid, i == 0, &ret_child[i], &ours);
		if (r < 0)
			return r;
		if (i == 0)
			streams->in.watch = hull_watch_new(loop_of(streams), ours, hull_input_on_writable, streams);
		else
			streams->out[i - 1].watch = hull_watch_new(loop_of(streams), ours, hull_output_on_readable, &streams->out[i - 1]);
	}
	return 0;
}

static struct hull_streams *streams_new(struct hull_process *process)
{
	struct hull_streams *streams = hull_new(struct hull_streams, 1);
	streams->process = process;
	streams->master = -1;
	streams->retry = hull_alarm_new(loop_of(streams), hull_outputs_on_retry, streams);
	streams->out[0] = (struct hull_output){ .streams = streams, .channel = CHANNEL(STDOUT) };
	streams->out[1] = (struct hull_output){ .streams = streams, .channel = CHANNEL(STDERR) };
	return streams;
}

int hull_streams_new(struct hull_process *process, const bool connected[3], unsigned uid, int ret_child[3],
		   struct hull_streams **ret)
{
	struct hull_streams *streams = streams_new(process);
	streams->terminal = process->terminal;
	ret_child[0] = ret_child[1] = ret_child[2] = -1;
	int r = process->terminal ? 0 : make_pipes(streams, connected, uid, ret_child);
	if (r < 0) {
		for (int i = 0; i < 3; i++)
			hull_closep(&ret_child[i]);
		hull_streams_free(streams);
		return r;
	}
	*ret = streams;
	return 0;
}

/* Both ways: two descriptors of our end, because reading and writing are watched apart. */
static int make_socket_pair(struct hull_streams *streams, int *ret_child)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	int copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || set_nonblock(fds[0]) < 0) {
		int saved = errno;
		close(fds[0]);
		close(fds[1]);
		hull_closep(&copy);
		return -saved;
	}
	streams->socket = true;
	streams->out[0].watch = hull_watch_new(loop_of(streams), fds[0], hull_output_on_readable, &streams->out[0]);
	streams->in.watch = hull_watch_new(loop_of(streams), copy, hull_input_on_writable, streams);
	*ret_child = fds[1];
	return 0;
}

int hull_streams_new_preserved(struct hull_process *process, bool readable, bool writable, unsigned uid, int *ret_child,
			       struct hull_streams **ret)
{
	struct hull_streams *streams = streams_new(process);
	const bool connected[3] = { readable, writable, false };
	int child[3] = { -1, -1, -1 };
	int r = readable && writable ? make_socket_pair(streams, &child[0]) : make_pipes(streams, connected, uid, child);
	if (r < 0) {
		hull_streams_free(streams);
		return r;
	}
	*ret_child = child[0] >= 0 ? child[0] : child[1];
	*ret = streams;
	return 0;
}

void hull_streams_set_terminal(struct hull_streams *streams, int master)
{
	int copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || set_nonblock(master) < 0 || streams->out[0].watch) {
		close(master);
		hull_closep(&copy);
		return;
	}
	/* Two descriptors because reading and writing are watched apart. */
	streams->out[0].watch = hull_watch_new(loop_of(streams), master, hull_output_on_readable, &streams->out[0]);
	streams->in.watch = hull_watch_new(loop_of(streams), copy, hull_input_on_writable, streams);
	streams->master = master;
}
