/* SPDX-License-Identifier: Apache-2.0 */
/* PID 1's duty: every child is reaped, and the ends of containers' processes are told to those who wait. */
#include "agent/agent.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/cgroup.h"
#include "agent/serve.h"
#include "agent/streams.h"
#include "base/mem.h"

struct hull_waiter {
	LIST_ENTRY(hull_waiter) link;
	struct hull_rpc_request *request;
};

static void reply_status(const struct hull_process *process, struct hull_rpc_request *request)
{
	Hull__Agent__V1__ExitStatus status = HULL__AGENT__V1__EXIT_STATUS__INIT;
	status.exit_code = process->exit_code;
	status.signal = process->exit_signal;
	status.oom_killed = process->oom_killed;
	status.oom_kills = process->oom_kills;
	status.exited_at_ns = process->exited_at_ns;
	hull_rpc_reply(request, &status.base);
}

/* Takes the waiter off its list and gives its request back. */
static struct hull_rpc_request *release(struct hull_waiter *waiter)
{
	struct hull_rpc_request *request = waiter->request;
	hull_rpc_request_on_cancel(request, NULL, NULL);
	LIST_REMOVE(waiter, link);
	free(waiter);
	return request;
}

static void on_cancel(void *data)
{
	hull_rpc_fail(release(data), HULL_RPC_CANCELLED, "nobody waits");
}

void hull_reap_wait(struct hull_process *process, struct hull_rpc_request *request)
{
	if (process->exited_at_ns) {
		reply_status(process, request);
		return;
	}
	struct hull_waiter *waiter = hull_new(struct hull_waiter, 1);
	waiter->request = request;
	LIST_INSERT_HEAD(&process->waiters, waiter, link);
	hull_rpc_request_on_cancel(request, on_cancel, waiter);
}

void hull_reap_forget(struct hull_process *process)
{
	while (!LIST_EMPTY(&process->waiters))
		hull_rpc_fail(release(LIST_FIRST(&process->waiters)), HULL_RPC_ABORTED, "the process was deleted");
}

static void on_exit_status(struct hull_process *process, int status)
{
	struct hull_container *container = process->container;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	process->exited_at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	process->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	process->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	process->oom_kills = hull_cgroup_oom_kills(container->cgroup_fd);
	process->oom_killed = process->exit_signal == SIGKILL && process->oom_kills > process->oom_kills_before;
	if (container->init == process)
		hull_oom_forget(container);

	/* With a pid namespace of its own the kernel has ended everything else in the container by now. */
	if (container->init == process && container->shares_pid)
		hull_cgroup_kill(container->cgroup_fd);
	/* While the channel is open, what was said on it is heard first (launch.c). */
	if (process->state == HULL_PROCESS_RUNNING || process->state == HULL_PROCESS_CREATED) {
		process->state = HULL_PROCESS_EXITED;
		hull_process_end_streams(process);
	}
	while (!LIST_EMPTY(&process->waiters))
		reply_status(process, release(LIST_FIRST(&process->waiters)));
}

static struct hull_process *find_pid(struct hull_agent *agent, pid_t pid)
{
	struct hull_container *container;
	struct hull_process *process;
	LIST_FOREACH(container, &agent->containers, link) {
		LIST_FOREACH(process, &container->processes, link) {
			if (process->pid == pid && !process->exited_at_ns)
				return process;
		}
	}
	return NULL;
}

/* Launchers, and orphans if there ever are any, are reaped without a word. */
static void on_sigchld(uv_signal_t *handle, int signum)
{
	struct hull_agent *agent = handle->data;
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct hull_process *process = find_pid(agent, pid);
		if (process)
			on_exit_status(process, status);
	}
}

int hull_reap_start(struct hull_agent *agent)
{
	int r = uv_signal_init(agent->loop, &agent->sigchld);
	if (r < 0)
		return r;
	agent->sigchld.data = agent;
	return uv_signal_start(&agent->sigchld, on_sigchld, SIGCHLD);
}
