/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/vm.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"
#include "pod/console.h"
#include "rpc/agent.pb-c.h"
#include "vmm/probe.h"

#define MILESTONES_MAX 24
#define ONLINE_TIMEOUT_MS 20000
/* A VM that ends breaks the agent's connection first; why it ended is known a moment later. */
#define WHY_GRACE_MS 2000
/* The same for virtiofsd, which ends by itself when its VM has, and whose own death is rarer. */
#define WHY_SHARE_GRACE_MS 100
/* The console's last bytes are on their way already. */
#define WHY_PANIC_GRACE_MS 100

struct hull_vm {
	uv_loop_t *loop;
	const struct hull_vmm_ops *ops;
	const struct hull_vm_events *events;
	void *data;

	struct hull_vmm *vmm;
	struct hull_share *share;
	struct hull_rpc_client *agent;
	struct hull_rpc_call *hello;   /* GetInfo, until it is answered */
	struct hull_vm_facts facts;
	bool ready, over;
	uv_timer_t why;                /* waits for a better reason than a broken connection */
	bool panicked;                 /* there is no better reason than that */
	char broken[300];

	struct hull_console console;

	const char *milestone_names[MILESTONES_MAX];
	int64_t milestone_ns[MILESTONES_MAX];
	size_t n_milestones;
};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void hull_vm_milestone(struct hull_vm *vm, const char *name)
{
	if (vm->n_milestones == MILESTONES_MAX)
		return;
	vm->milestone_names[vm->n_milestones] = name;
	vm->milestone_ns[vm->n_milestones++] = now_ns();
}

size_t hull_vm_milestones(const struct hull_vm *vm, const char *const **ret_names, const int64_t **ret_ns)
{
	*ret_names = vm->milestone_names;
	*ret_ns = vm->milestone_ns;
	return vm->n_milestones;
}

/* ---- the end of a VM */

static void lost(struct hull_vm *vm, const char *what)
{
	if (vm->over)
		return;
	vm->over = true;
	uv_timer_stop(&vm->why);

	char words[400];
	struct hull_error err = HULL_ERROR_INIT;
	if (vm->panicked)
		hull_console_log(&vm->console);
	hull_console_last_words(&vm->console, words, sizeof(words));
	hull_error_set(&err, EIO, "%s%s%s", what, words[0] ? "; the guest's console said: " : "", words);
	if (vm->ready)
		vm->events->on_lost(vm->data, err.message);
	else
		vm->events->on_ready(vm->data, &err);
}

static void on_vmm_exit(void *data, const char *reason)
{
	const struct hull_vm *vm = data;
	lost(data, vm->panicked ? vm->broken : reason);
}

static void on_no_better_reason(uv_timer_t *timer)
{
	struct hull_vm *vm = timer->data;
	lost(vm, vm->broken);
}

/* What the kernel said of it comes by another way, and may come later. */
static void on_guest_panic(void *data)
{
	struct hull_vm *vm = data;
	if (vm->over)
		return;
	vm->panicked = true;
	snprintf(vm->broken, sizeof(vm->broken), "the guest's kernel panicked");
	uv_timer_start(&vm->why, on_no_better_reason, WHY_PANIC_GRACE_MS, 0);
}

static void on_share_exit(void *data, const char *reason)
{
	struct hull_vm *vm = data;
	if (vm->over || vm->panicked)
		return;
	snprintf(vm->broken, sizeof(vm->broken), "virtiofsd ended: %s", reason);
	uv_timer_start(&vm->why, on_no_better_reason, WHY_SHARE_GRACE_MS, 0);
}

static void connection_broke(struct hull_vm *vm, const char *reason)
{
	if (vm->over || uv_is_active((uv_handle_t *)&vm->why))
		return;
	snprintf(vm->broken, sizeof(vm->broken), "the connection to the guest's agent ended: %s", reason);
	uv_timer_start(&vm->why, on_no_better_reason, WHY_GRACE_MS, 0);
}

static void on_agent_close(void *data, const char *reason)
{
	connection_broke(data, reason);
}

static void on_console(void *data, const uint8_t *bytes, size_t n)
{
	struct hull_vm *vm = data;
	hull_console_add(&vm->console, bytes, n);
}

static const struct hull_vmm_events vmm_events = {
	.on_exit = on_vmm_exit,
	.on_guest_panic = on_guest_panic,
	.on_console = on_console,
};

/* ---- the start */

static void on_started(void *data, const struct hull_error *err)
{
	struct hull_vm *vm = data;
	if (err)
		lost(vm, err->message);
	else
		hull_vm_milestone(vm, "vmm running");
}

static void on_hello(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_vm *vm = data;
	vm->hello = NULL;
	if (vm->over)
		return;
	if (status->code == HULL_RPC_UNAVAILABLE) {
		connection_broke(vm, status->message);
		return;
	}
	if (status->code != HULL_RPC_OK) {
		char what[512];
		snprintf(what, sizeof(what), "the guest did not come up in time (hull.conf: boot_timeout): %s", status->message);
		lost(vm, what);
		return;
	}
	const Hull__Agent__V1__Info *info = (const Hull__Agent__V1__Info *)response;
	char text[128];
	vm->facts.kernel_release = hull_strdup(hull_text_clean_line(text, sizeof(text), info->kernel_release));
	vm->facts.agent_version = hull_strdup(hull_text_clean_line(text, sizeof(text), info->agent_version));
	hull_vm_milestone(vm, "agent ready");
	vm->ready = true;
	vm->events->on_ready(vm->data, NULL);
}

static int start_share(struct hull_vm *vm, const struct hull_vm_request *rq, int *ret_fd, struct hull_error *err)
{
	_cleanup_free_ char *dir = hull_asprintf("%s/share", rq->pod_dir);
	int r = hull_mkdir_p(dir, 0700);
	if (r < 0)
		return hull_error_errno(err, r, "make %s", dir);
	r = hull_share_start(vm->loop, rq->config->virtiofsd, dir, on_share_exit, vm, ret_fd, &vm->share, err);
	return r < 0 ? hull_error_wrap(err, "start virtiofsd") : 0;
}

static int start_vmm(struct hull_vm *vm, const struct hull_vm_request *rq, int *share_fd, int *ret_agent_fd,
		     struct hull_error *err)
{
	struct hull_guest guest;
	int r = hull_guest_choose(rq->config, vm->facts.accel, &guest, err);
	if (r < 0)
		return r;
	vm->facts.guest_flavour = hull_strdup(guest.flavour);

	struct hull_vm_config c = {
		.vmm_path = rq->config->vmm,
		.kernel_path = guest.kernel,
		.initrd_path = guest.initrd,
		.kernel_cmdline = guest.cmdline,
		.kernel_rewrites_itself = strcmp(guest.flavour, HULL_GUEST_TUNED) != 0,
		.accel = vm->facts.accel,
		.memory_bytes = vm->facts.memory_bytes,
		.memory_max_bytes = vm->facts.memory_max_bytes,
		.vcpus = vm->facts.vcpus,
		.vcpus_max = vm->facts.vcpus_max,
		.run_as_uid = rq->config->uid_base + (uid_t)getpid(),
		.run_as_gid = rq->config->uid_base + (gid_t)getpid(),
		.run_dir = rq->pod_dir,
		.share_fd = TAKE_FD(*share_fd),
		.share_tag = HULL_VM_SHARE_TAG,
		.hotplug_ports = rq->config->hotplug_ports,
		.nics = rq->nics,
		.n_nics = rq->n_nics,
		.debug_console = hull_log_level_get() >= HULL_LOG_DEBUG,
	};
	r = vm->ops->start(vm->loop, &c, &vmm_events, vm, on_started, ret_agent_fd, &vm->vmm, err);
	hull_guest_clear(&guest);
	return r < 0 ? hull_error_wrap(err, "start VM") : 0;
}

static int acquire_cold(struct hull_vm *vm, const struct hull_vm_request *rq, struct hull_error *err)
{
	_cleanup_close_ int share_fd = -1;
	int agent_fd = -1;

	int r = hull_accel_choose(rq->config->accelerator, rq->root, &vm->facts.accel, vm->facts.accel_why, err);
	if (r < 0)
		return r;
	r = start_share(vm, rq, &share_fd, err);
	if (r < 0)
		return r;
	hull_vm_milestone(vm, "virtiofsd started");
	r = start_vmm(vm, rq, &share_fd, &agent_fd, err);
	if (r < 0)
		return r;
	hull_vm_milestone(vm, "vmm started");

	vm->agent = hull_rpc_client_new(vm->loop, agent_fd, NULL, on_agent_close, vm);
	if (!vm->agent)
		return hull_error_errno(err, errno, "watch the agent's port");
	Hull__Agent__V1__Empty request = HULL__AGENT__V1__EMPTY__INIT;
	vm->hello = hull_rpc_call(vm->agent, "hull.agent.v1.Agent", "GetInfo", &request.base,
				  &hull__agent__v1__info__descriptor, (int64_t)rq->config->boot_timeout_s * 1000, NULL, 0,
				  on_hello, vm);
	return 0;
}

int hull_vm_acquire(uv_loop_t *loop, const struct hull_vm_request *request, const struct hull_vm_events *events,
		    void *data, struct hull_vm **ret, struct hull_error *err)
{
	struct hull_vm *vm = hull_new(struct hull_vm, 1);
	vm->loop = loop;
	vm->ops = request->vmm_ops;
	vm->events = events;
	vm->data = data;
	vm->facts.memory_bytes = request->memory_bytes ? request->memory_bytes : request->config->memory_bytes;
	vm->facts.vcpus = request->vcpus ? request->vcpus : request->config->vcpus;
	vm->facts.memory_max_bytes = request->memory_max_bytes > vm->facts.memory_bytes ? request->memory_max_bytes
											  : vm->facts.memory_bytes;
	vm->facts.vcpus_max = request->vcpus_max > vm->facts.vcpus ? request->vcpus_max : vm->facts.vcpus;
	uv_timer_init(loop, &vm->why);
	vm->why.data = vm;
	hull_vm_milestone(vm, "request received");

	int r = acquire_cold(vm, request, err);
	if (r < 0) {
		hull_vm_free(vm);
		return r;
	}
	*ret = vm;
	return 0;
}

/* ---- growing */

struct growth {
	struct hull_vm *vm;
	uint64_t memory_bytes;
	unsigned vcpus;
	bool more_cpus;
	hull_vmm_done_fn done;
	void *data;
};

static void growth_over(struct growth *g, const struct hull_error *err)
{
	if (!err) {
		g->vm->facts.memory_bytes = g->memory_bytes;
		g->vm->facts.vcpus = g->vcpus;
	}
	g->done(g->data, err);
	free(g);
}

static void on_cpus_online(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct growth *g = data;
	struct hull_error err = HULL_ERROR_INIT;
	(void)response;
	if (status->code == HULL_RPC_OK) {
		growth_over(g, NULL);
		return;
	}
	hull_error_set(&err, hull_rpc_code_to_errno(status->code), "%s", status->message);
	growth_over(g, &err);
}

static void on_resized(void *data, const struct hull_error *err)
{
	struct growth *g = data;
	if (err || !g->more_cpus) {
		growth_over(g, err);
		return;
	}
	Hull__Agent__V1__OnlineCpusRequest request = HULL__AGENT__V1__ONLINE_CPUS_REQUEST__INIT;
	request.count = g->vcpus;
	hull_rpc_call(g->vm->agent, "hull.agent.v1.Agent", "OnlineCpus", &request.base, &hull__agent__v1__empty__descriptor,
		      ONLINE_TIMEOUT_MS, NULL, 0, on_cpus_online, g);
}

void hull_vm_grow(struct hull_vm *vm, uint64_t memory_bytes, unsigned vcpus, hull_vmm_done_fn done, void *data)
{
	const struct hull_vm_facts *now = &vm->facts;
	if (memory_bytes <= now->memory_bytes && vcpus <= now->vcpus) {
		done(data, NULL);
		return;
	}
	struct growth *g = hull_new(struct growth, 1);
	*g = (struct growth){
		.vm = vm,
		.memory_bytes = memory_bytes > now->memory_bytes ? memory_bytes : now->memory_bytes,
		.vcpus = vcpus > now->vcpus ? vcpus : now->vcpus,
		.more_cpus = vcpus > now->vcpus,
		.done = done, .data = data,
	};
	hull_log_info("the VM grows from %llu MiB and %u CPUs to %llu MiB and %u", (unsigned long long)now->memory_bytes >> 20, now->vcpus,
		      (unsigned long long)g->memory_bytes >> 20, g->vcpus);
	vm->ops->resize(vm->vmm, g->memory_bytes, g->vcpus, on_resized, g);
}

struct hull_rpc_client *hull_vm_agent(struct hull_vm *vm)
{
	return vm->agent;
}

struct hull_share *hull_vm_share(struct hull_vm *vm)
{
	return vm->share;
}

const struct hull_vm_facts *hull_vm_facts(const struct hull_vm *vm)
{
	return &vm->facts;
}

pid_t hull_vm_vmm_pid(const struct hull_vm *vm)
{
	return vm->vmm ? vm->ops->pid(vm->vmm) : 0;
}

void hull_vm_add_disk(struct hull_vm *vm, const struct hull_disk *disk, hull_vmm_done_fn done, void *data)
{
	vm->ops->add_disk(vm->vmm, disk, done, data);
}

void hull_vm_remove_disk(struct hull_vm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	vm->ops->remove_disk(vm->vmm, id, done, data);
}

void hull_vm_add_nic(struct hull_vm *vm, const struct hull_nic *nic, hull_vmm_done_fn done, void *data)
{
	vm->ops->add_nic(vm->vmm, nic, done, data);
}

void hull_vm_remove_nic(struct hull_vm *vm, const char *id, hull_vmm_done_fn done, void *data)
{
	vm->ops->remove_nic(vm->vmm, id, done, data);
}

void hull_vm_kill(struct hull_vm *vm)
{
	/* A child that is not reaped keeps its pid. */
	pid_t pid = vm ? hull_vm_vmm_pid(vm) : 0;
	_cleanup_close_ int pidfd = pid > 0 ? hull_pidfd_open(pid) : -1;
	if (pidfd >= 0)
		hull_pidfd_kill(pidfd, SIGKILL);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void hull_vm_free(struct hull_vm *vm)
{
	if (!vm)
		return;
	vm->over = true;
	uv_timer_stop(&vm->why);
	hull_rpc_client_free(vm->agent);
	if (vm->vmm)
		vm->ops->free(vm->vmm);
	hull_share_free(vm->share);
	free(vm->facts.kernel_release);
	free(vm->facts.agent_version);
	free(vm->facts.guest_flavour);
	uv_close((uv_handle_t *)&vm->why, on_closed);
}
