/* SPDX-License-Identifier: Apache-2.0 */
/* hull-agent: PID 1 of a pod's VM. */
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/boot.h"
#include "agent/hotplug.h"
#include "agent/modules.h"
#include "agent/serve.h"
#include "base/log.h"

#define PORT_NAME "hull.agent"
#define PORT_TIMEOUT_MS 10000

static int run(struct hull_agent *agent, struct hull_error *err)
{
	int r = uv_loop_init(agent->loop);
	if (r < 0)
		return hull_error_errno(err, r, "event loop");
	r = hull_reap_start(agent);
	if (r < 0)
		return hull_error_errno(err, r, "watch for ended children");
	hull_log_debug("boot: looking for the port at %" PRIu64 " us", hull_boottime_ns() / 1000);
	int port = hull_boot_open_port(PORT_NAME, PORT_TIMEOUT_MS, err);
	if (port < 0)
		return port;
	if (hull_serve(agent, port, err) < 0)
		return -err->code;
	agent->ready_ns = hull_boottime_ns();
	hull_log_debug("boot: ready at %" PRIu64 " us, %" PRIu64 " us after main", agent->ready_ns / 1000,
		       (agent->ready_ns - agent->started_ns) / 1000);
	if (hull_hotplug_start(agent, err) < 0)
		return -err->code;
	uv_run(agent->loop, UV_RUN_DEFAULT);
	return hull_error_set(err, EIO, "the event loop has ended");
}

int main(int argc, char **argv)
{
	/* The kernel calls /proc/sys/kernel/modprobe, which is this program too. */
	if (getpid() != 1)
		return hull_modprobe_main(argc, argv);

	uv_loop_t loop;
	struct hull_agent agent = { .loop = &loop, .started_ns = hull_boottime_ns() };
	struct hull_error err = HULL_ERROR_INIT;
	LIST_INIT(&agent.containers);
	signal(SIGPIPE, SIG_IGN);

	if (hull_boot(&err) == 0)
		run(&agent, &err);
	hull_log_error("%s", err.message);
	hull_poweroff();
}
