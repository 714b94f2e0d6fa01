/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/pod.h"
#include "pod/standin.h"
#include "rpc/agent.pb-c.h"

#define SIGNAL_TIMEOUT_MS 5000
/*
 * How long a killed program may take to end. What does not end waits in the guest's kernel for something that never comes, such as
 * a share that hangs, and the guest is of no use any more. Other containers of the pod get more time before they lose it.
 */
#define KILL_MS 8000
#define KILL_MEMBER_MS 30000
/*
 * When the output of an ended process stands still. Output that waits for its reader holds the end back without a limit, as the
 * process itself would have waited in write(2), unless it was killed or somebody asks for the end now. What is not known to be all
 * (a terminal that something left behind keeps open) is given up after a while.
 */
#define DRAIN_STEP_MS 100
#define DRAIN_IDLE_STEPS 20
#define DRAIN_KILLED_IDLE_STEPS 3
#define DRAIN_KILLED_STEPS 20

struct hull_waiter {
	struct hull_waiter *next;
	struct hull_process *process;
	struct hull_rpc_request *request;
};

static struct hull_rpc_client *agent_of(struct hull_process *p)
{
	return p->container->pod->vm ? hull_vm_agent(p->container->pod->vm) : NULL;
}

static void stop_watching_standin(struct hull_process *p)
{
	if (p->standin_watched) {
		uv_poll_stop(&p->standin_poll);
		p->standin_watched = false;
	}
}

/* ---- the stand-in */

static void on_standin(uv_poll_t *poll, int status, int events)
{
	struct hull_process *p = poll->data;
	struct hull_standin_message m;
	(void)events;

	ssize_t n = status < 0 ? 0 : recv(p->standin_fd, &m, sizeof(m), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == sizeof(m)) {
		if (m.type == HULL_STANDIN_SIGNAL)
			hull_process_signal(p, m.a, false, NULL);
		else if (m.type == HULL_STANDIN_RESIZE && m.a > 0 && m.b > 0)
			hull_process_resize(p, (unsigned)m.a, (unsigned)m.b);
		return;
	}
	/* Its death is the order to kill what it stands for. */
	hull_log_info("%s: the stand-in is gone, killing the process", p->container->id);
	stop_watching_standin(p);
	hull_process_signal(p, SIGKILL, p->exec_id[0] == '\0', NULL);
}

static void tell_standin(struct hull_process *p)
{
	if (p->standin_fd < 0)
		return;
	if (p->exit.oom_killed && p->exec_id[0] == '\0')
		/* Before its parent hears of the end. */
		hull_container_tell_oom(p->container);
	struct hull_standin_message m = { .type = HULL_STANDIN_EXITED, .a = p->exit.code, .b = p->exit.signal };
	(void)!send(p->standin_fd, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
	stop_watching_standin(p);
}

/* ---- the end of a process */

static void answer_waiter(struct hull_waiter *w)
{
	const struct hull_exit *e = &w->process->exit;
	Hull__Pod__V1__ExitStatus reply = HULL__POD__V1__EXIT_STATUS__INIT;
	reply.exit_code = e->code;
	reply.signal = e->signal;
	reply.oom_killed = e->oom_killed;
	reply.oom_kills = e->oom_kills;
	reply.exited_at_ns = e->at_ns;
	if (e->lost)
		reply.lost = e->lost;
	hull_rpc_reply(w->request, &reply.base);
	free(w);
}

static void report(struct hull_process *p)
{
	if (p->reported)
		return;
	p->reported = true;
	uv_timer_stop(&p->drain_timer);
	/* The persisted state first: whoever hears of the end finds it there. */
	if (p->exec_id[0] == '\0')
		hull_container_set_status(p->container, HULL_STATUS_STOPPED);
	tell_standin(p);
	while (p->waiters) {
		struct hull_waiter *w = p->waiters;
		p->waiters = w->next;
		answer_waiter(w);
	}
	hull_container_process_over(p->container, p);
}

/* ---- all of a process' streams together */

static bool is_flushed(const struct hull_process *p)
{
	bool flushed = !p->stdio || hull_stdio_flushed(p->stdio);
	for (size_t i = 0; i < p->n_preserved; i++)
		flushed = flushed && (!p->preserved[i].stdio || hull_stdio_flushed(p->preserved[i].stdio));
	return flushed;
}

static bool is_drained(const struct hull_process *p)
{
	bool drained = !p->stdio || hull_stdio_drained(p->stdio);
	for (size_t i = 0; i < p->n_preserved; i++)
		drained = drained && (!p->preserved[i].stdio || hull_stdio_drained(p->preserved[i].stdio));
	return drained;
}

static bool is_stuck(const struct hull_process *p)
{
	bool stuck = p->stdio && hull_stdio_stuck(p->stdio);
	for (size_t i = 0; i < p->n_preserved; i++)
		stuck = stuck || (p->preserved[i].stdio && hull_stdio_stuck(p->preserved[i].stdio));
	return stuck;
}

static uint64_t progress(const struct hull_process *p)
{
	uint64_t n = p->stdio ? hull_stdio_progress(p->stdio) : 0;
	for (size_t i = 0; i < p->n_preserved; i++)
		n += p->preserved[i].stdio ? hull_stdio_progress(p->preserved[i].stdio) : 0;
	return n;
}

static void on_drain_timer(uv_timer_t *timer)
{
	struct hull_process *p = timer->data;
	uint64_t now = progress(p);
	p->drain_idle = now == p->drain_progress ? p->drain_idle + 1 : 0;
	p->drain_progress = now;
	p->drain_steps++;
	if (p->killed ? p->drain_idle >= DRAIN_KILLED_IDLE_STEPS || p->drain_steps >= DRAIN_KILLED_STEPS
		      : p->drain_idle >= DRAIN_IDLE_STEPS && !is_stuck(p))
		report(p);
}

static void finish(struct hull_process *p)
{
	if (is_flushed(p)) {
		report(p);
		return;
	}
	p->drain_progress = progress(p);
	uv_timer_start(&p->drain_timer, on_drain_timer, DRAIN_STEP_MS, DRAIN_STEP_MS);
}

static void on_flushed(void *data)
{
	struct hull_process *p = data;
	if (p->exited && is_flushed(p))
		report(p);
}

static void on_drained(void *data)
{
	struct hull_process *p = data;
	struct hull_pod *pod = p->container->pod;
	if (p->reported && p->exec_id[0] != '\0') {
		if (hull_process_settled(p))
			hull_container_forget_exec(p->container, p);
	} else if (p->exited && is_flushed(p)) {
		report(p);
	}
	hull_pod_settle(pod);
}

static const struct hull_stdio_ops stdio_ops = { .on_flushed = on_flushed, .on_drained = on_drained };

static void on_kill_overdue(uv_timer_t *timer)
{
	struct hull_process *p = timer->data;
	if (!p->exited)
		hull_pod_lost(p->container->pod, "the guest does not end a killed process");
}

/* A container's program was killed. */
static void expect_end(struct hull_process *p)
{
	uint64_t patience = p->container->role == HULL_ROLE_MEMBER ? KILL_MEMBER_MS : KILL_MS;
	if (!p->exited && p->exec_id[0] == '\0' && !uv_is_active((uv_handle_t *)&p->drain_timer))
		uv_timer_start(&p->drain_timer, on_kill_overdue, patience, 0);
}

static void on_exit_status(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_process *p = data;
	p->wait = NULL;
	if (p->exited)
		return;
	if (status->code != HULL_RPC_OK) {
		/* A broken connection reaches every process through hull_pod_lost(). */
		if (status->code != HULL_RPC_UNAVAILABLE && status->code != HULL_RPC_CANCELLED)
			hull_process_lost(p, status->message);
		return;
	}
	const Hull__Agent__V1__ExitStatus *e = (const Hull__Agent__V1__ExitStatus *)response;
	p->exited = true;
	p->exit.signal = e->signal > 0 && e->signal < NSIG ? e->signal : 0;
	p->exit.code = p->exit.signal ? 128 + p->exit.signal : e->exit_code & 0xff;
	p->killed = p->killed || p->exit.signal != 0;
	p->exit.oom_killed = e->oom_killed;
	p->exit.oom_kills = e->oom_kills;
	p->exit.at_ns = e->exited_at_ns;
	finish(p);
}

void hull_process_lost(struct hull_process *p, const char *reason)
{
	struct timespec now;
	if (p->exited)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	p->exited = true;
	p->killed = true;
	p->exit.signal = SIGKILL;
	p->exit.code = 128 + SIGKILL;
	p->exit.at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	free(p->exit.lost);
	p->exit.lost = hull_strdup(reason);
	finish(p);
}

/* ---- requests */

struct signal_call {
	struct hull_rpc_request *request;      /* who wants to know, or NULL */
	struct hull_pod *pod;
	bool is_kill;
};

static void on_signalled(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	_cleanup_free_ struct signal_call *call = data;
	(void)response;
	if (status->code == HULL_RPC_DEADLINE_EXCEEDED && call->is_kill) {
		/* An agent that cannot kill any more is as good as dead, and a kill must work. */
		hull_pod_lost(call->pod, "the guest's agent does not answer");
		if (call->request) {
			Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
			hull_rpc_reply(call->request, &done.base);
		}
		return;
	}
	if (!call->request)
		return;
	if (status->code == HULL_RPC_OK) {
		Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
		hull_rpc_reply(call->request, &done.base);
	} else {
		hull_rpc_fail(call->request, status->code, "%s", status->message);
	}
}

void hull_process_signal(struct hull_process *p, int sig, bool all, struct hull_rpc_request *request)
{
	struct hull_rpc_client *agent = agent_of(p);
	p->killed = p->killed || p->exited || sig == SIGKILL;
	if (p->exited && !p->reported && request) {
		/* To the caller it runs: it is held up by a reader, which ends with this. */
		Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
		hull_rpc_reply(request, &done.base);
		return;
	}
	if (p->exited || !agent || !p->attached) {
		if (request)
			hull_rpc_fail(request, HULL_RPC_FAILED_PRECONDITION, "container not running");
		return;
	}
	struct signal_call *call = hull_new(struct signal_call, 1);
	call->request = request;
	call->pod = p->container->pod;
	call->is_kill = sig == SIGKILL;
	if (call->is_kill)
		expect_end(p);

	Hull__Agent__V1__SignalRequest m = HULL__AGENT__V1__SIGNAL_REQUEST__INIT;
	m.container_id = p->container->id;
	m.exec_id = p->exec_id;
	m.signal = sig;
	m.all = all;
	hull_rpc_call(agent, "hull.agent.v1.Agent", "Signal", &m.base, &hull__agent__v1__empty__descriptor,
		      SIGNAL_TIMEOUT_MS, NULL, 0, on_signalled, call);
}

static void ignore_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	(void)data;
	(void)response;
	if (status->code != HULL_RPC_OK)
		hull_log_debug("agent: %s", status->message);
}

void hull_process_resize(struct hull_process *p, unsigned rows, unsigned columns)
{
	struct hull_rpc_client *agent = agent_of(p);
	if (p->exited || !agent || !p->attached || !p->terminal)
		return;
	Hull__Agent__V1__ResizeRequest m = HULL__AGENT__V1__RESIZE_REQUEST__INIT;
	m.container_id = p->container->id;
	m.exec_id = p->exec_id;
	m.rows = rows;
	m.columns = columns;
	hull_rpc_call(agent, "hull.agent.v1.Agent", "ResizeTerminal", &m.base, &hull__agent__v1__empty__descriptor,
		      SIGNAL_TIMEOUT_MS, NULL, 0, ignore_reply, NULL);
}

static void on_waiter_gone(void *data)
{
	struct hull_waiter *w = data;
	for (struct hull_waiter **at = &w->process->waiters; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			hull_rpc_fail(w->request, HULL_RPC_CANCELLED, "cancelled");
			free(w);
			return;
		}
	}
}

void hull_process_add_waiter(struct hull_process *p, struct hull_rpc_request *request)
{
	struct hull_waiter *w = hull_new(struct hull_waiter, 1);
	w->process = p;
	w->request = request;
	if (p->reported) {
		answer_waiter(w);
		return;
	}
	w->next = p->waiters;
	p->waiters = w;
	hull_rpc_request_on_cancel(request, on_waiter_gone, w);
}

/* ---- life */

struct hull_process *hull_process_new(struct hull_container *c, const char *exec_id, bool terminal,
				      struct hull_stdio_fds *fds, int standin_fd)
{
	struct hull_process *p = hull_new(struct hull_process, 1);
	p->container = c;
	p->exec_id = hull_strdup(exec_id);
	p->terminal = terminal;
	p->fds = *fds;
	*fds = (struct hull_stdio_fds)HULL_STDIO_FDS_NONE;
	p->standin_fd = standin_fd;
	uv_timer_init(c->pod->loop, &p->drain_timer);
	p->drain_timer.data = p;
	return p;
}

void hull_process_attach(struct hull_process *p)
{
	struct hull_rpc_client *agent = agent_of(p);
	p->attached = true;
	p->stdio = hull_stdio_start(p->container->pod->loop, agent, p->container->id, p->exec_id, &p->fds, &stdio_ops, p);
	for (size_t i = 0; i < p->n_preserved; i++)
		p->preserved[i].stdio = hull_stdio_start_preserved(p->container->pod->loop, agent, p->container->id, p->exec_id,
								   (unsigned)i, &p->preserved[i].fd, &stdio_ops, p);
	if (p->rows > 0 && p->columns > 0)
		hull_process_resize(p, p->rows, p->columns);

	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	ref.container_id = p->container->id;
	ref.exec_id = p->exec_id;
	p->wait = hull_rpc_call(agent, "hull.agent.v1.Agent", "Wait", &ref.base, &hull__agent__v1__exit_status__descriptor,
				HULL_RPC_NO_DEADLINE, NULL, 0, on_exit_status, p);

	if (p->standin_fd >= 0 && uv_poll_init(p->container->pod->loop, &p->standin_poll, p->standin_fd) == 0) {
		p->standin_poll.data = p;
		p->standin_watched = true;
		uv_poll_start(&p->standin_poll, UV_READABLE | UV_DISCONNECT, on_standin);
	}
}

bool hull_process_settled(const struct hull_process *p)
{
	return p->reported && is_drained(p);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct hull_process *p = handle->data;
	hull_closep(&p->standin_fd);
	free(p->exec_id);
	free(p->preserved);
	free(p->exit.lost);
	free(p);
}

static void close_timer(struct hull_process *p)
{
	uv_close((uv_handle_t *)&p->drain_timer, on_timer_closed);
}

static void on_poll_closed(uv_handle_t *handle)
{
	close_timer(handle->data);
}

void hull_process_free(struct hull_process *p)
{
	if (!p || p->freed)
		return;
	p->freed = true;
	p->exited = true;
	while (p->waiters) {
		struct hull_waiter *w = p->waiters;
		p->waiters = w->next;
		hull_rpc_fail(w->request, HULL_RPC_CANCELLED, "the process was removed");
		free(w);
	}
	if (p->wait)
		hull_rpc_call_cancel(TAKE_PTR(p->wait));
	hull_stdio_free(TAKE_PTR(p->stdio));
	hull_stdio_fds_close(&p->fds);
	for (size_t i = 0; i < p->n_preserved; i++) {
		hull_stdio_free(TAKE_PTR(p->preserved[i].stdio));
		hull_stdio_fds_close(&p->preserved[i].fd.fds);
	}
	uv_timer_stop(&p->drain_timer);
	stop_watching_standin(p);
	if (p->standin_poll.data)
		uv_close((uv_handle_t *)&p->standin_poll, on_poll_closed);
	else
		close_timer(p);
}
