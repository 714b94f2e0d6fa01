/* SPDX-License-Identifier: Apache-2.0 */
/* Create: `hull create` in a child does it, as under any engine; this process is the supervisor that it talks to. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/paths.h"
#include "rpc/rpc.h"
#include "shim/any.h"
#include "shim/shim.h"
#include "storage/block.h"

#define CONFIG_MAX_BYTES (8u << 20)

static void set_string(char **place, const char *value)
{
	free(*place);
	*place = hull_strdup(value);
}

/* TaskCreate, but for the pid. */
static void keep_event(struct shim_task *t, const Hull__Containerd__CreateTaskRequest *m)
{
	Hull__Containerd__TaskCreate event = HULL__CONTAINERD__TASK_CREATE__INIT;
	Hull__Containerd__TaskIO io = HULL__CONTAINERD__TASK_IO__INIT;
	io.stdin = m->stdin;
	io.stdout = m->stdout;
	io.stderr = m->stderr;
	io.terminal = m->terminal;
	event.container_id = m->id;
	event.bundle = m->bundle;
	event.n_rootfs = m->n_rootfs;
	event.rootfs = m->rootfs;
	event.io = &io;
	t->created_event = shim_pack(&event.base, &t->created_event_len);
}

static void publish_created(struct shim_task *t)
{
	Hull__Containerd__TaskCreate *event =
		(void *)hull_rpc_unpack(&hull__containerd__task_create__descriptor, t->created_event_len, t->created_event);
	if (event) {
		event->pid = t->pid;
		shim_events_publish(t->shim->events, "/tasks/create", "containerd.events.TaskCreate", &event->base);
		protobuf_c_message_free_unpacked(&event->base, NULL);
	}
	free(TAKE_PTR(t->created_event));
}

static int read_standin(struct shim_task *t, struct hull_error *err)
{
	struct hull_state *state = NULL;
	int r = hull_state_load(t->shim->host.state_root, t->hull_id, NULL, &state, err);
	if (r == 0)
		t->pid = (uint32_t)state->standin.pid;
	hull_state_free(state);
	return r;
}

/* ---- when it failed */

static void on_cleaned(void *data, const char *message)
{
	struct shim_task *t = data;
	struct shim *shim = t->shim;
	t->child = NULL;
	if (message)
		hull_log_warning("clean up after %s: %s", t->id, message);
	hull_rpc_fail(TAKE_PTR(t->request), HULL_RPC_CANCELLED, "the create was cancelled");
	shim_task_free(t);
	shim_check_idle(shim);
}

/* `hull create` was killed before it could roll back. */
static void clean_up(struct shim_task *t)
{
	const struct shim_child_spec spec = { .stdio = { -1, -1, -1 }, .keep_fds = { -1, -1, -1 } };
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv args = { 0 };
	hull_strv_add(&args, "delete");
	hull_strv_add(&args, "--force");
	hull_strv_add(&args, t->hull_id);
	t->child = shim_child_hull(&t->shim->loop, &t->shim->host, &args, &spec, on_cleaned, t, &err);
	hull_strv_clear(&args);
	if (!t->child)
		on_cleaned(t, err.message);
}

static void fail(struct shim_task *t, const char *message)
{
	struct shim *shim = t->shim;
	enum hull_rpc_code code = strstr(message, "already exists") ? HULL_RPC_ALREADY_EXISTS : HULL_RPC_UNKNOWN;
	hull_log_info("create %s: %s", t->id, message);
	hull_rpc_fail(TAKE_PTR(t->request), code, "%s", message);
	shim_task_free(t);
	shim_check_idle(shim);
}

/* ---- when it worked */

static void on_created(void *data, const char *message)
{
	struct shim_task *t = data;
	struct hull_error err = HULL_ERROR_INIT;
	t->child = NULL;
	if (t->cancelled) {
		clean_up(t);
		return;
	}
	if (!message && read_standin(t, &err) < 0)
		message = err.message;
	if (message) {
		fail(t, message);
		return;
	}
	Hull__Containerd__PidResponse reply = HULL__CONTAINERD__PID_RESPONSE__INIT;
	reply.pid = t->pid;
	t->init->status = HULL__CONTAINERD__STATUS__CREATED;
	hull_rpc_reply(TAKE_PTR(t->request), &reply.base);
	publish_created(t);
	shim_process_watch(t->init);
	shim_oom_watch(t);
}

/* containerd gave up, or is gone. */
static void on_cancelled(void *data)
{
	struct shim_task *t = data;
	if (t->cancelled || !t->child)
		return;
	t->cancelled = true;
	shim_child_kill(t->child);
}

/* A snapshotter's one mount of a disk (devmapper, blockfile) goes into the VM as that and is not mounted here. */
static char *rootfs_block(const Hull__Containerd__CreateTaskRequest *m, char **ret_options)
{
	if (m->n_rootfs != 1 || !hull_block_fstype(m->rootfs[0]->type) || m->rootfs[0]->target[0])
		return NULL;
	const Hull__Containerd__Mount *mount = m->rootfs[0];
	char *options = hull_strdup("");
	for (size_t i = 0; i < mount->n_options; i++) {
		char *longer = hull_asprintf("%s%s%s", options, *options ? "," : "", mount->options[i]);
		free(options);
		options = longer;
	}
	*ret_options = options;
	return hull_asprintf("%s:%s", mount->type, mount->source);
}

static int start_create(struct shim_task *t, const Hull__Containerd__CreateTaskRequest *m, const struct shim_options *o, struct hull_error *err)
{
	_cleanup_free_ char *rootfs = hull_asprintf("%s/rootfs", m->bundle);
	struct shim_child_spec spec = {
		.closed_stdio = true, .keep_fds = { -1, -1, -1 }, .mounts = m->rootfs, .n_mounts = m->n_rootfs, .rootfs = rootfs,
	};
	struct hull_strv args = { 0 };

	shim_io_fds(t->init->io, spec.stdio);
	if (o->systemd_cgroup)
		hull_strv_add(&args, "--systemd-cgroup");
	hull_strv_add(&args, "create");
	hull_strv_add(&args, "--supervised");
	hull_strv_add(&args, "--bundle");
	hull_strv_add(&args, m->bundle);
	if (o->no_pivot)
		hull_strv_add(&args, "--no-pivot");
	if (o->no_new_keyring)
		hull_strv_add(&args, "--no-new-keyring");
	_cleanup_free_ char *options = NULL;
	_cleanup_free_ char *block = rootfs_block(m, &options);
	if (block) {
		spec.n_mounts = 0;
		hull_strv_add(&args, "--rootfs-block");
		hull_strv_add(&args, block);
		hull_strv_add(&args, "--rootfs-block-options");
		hull_strv_add(&args, options);
	}
	hull_strv_add(&args, t->hull_id);
	t->child = shim_child_hull(&t->shim->loop, &t->shim->host, &args, &spec, on_created, t, err);
	hull_strv_clear(&args);
	shim_io_lent(t->init->io);
	return t->child ? 0 : -err->code;
}

/* A substring is enough: `hull start` looks closer. */
static bool mentions_poststart(const char *bundle)
{
	_cleanup_free_ char *path = hull_asprintf("%s/config.json", bundle);
	_cleanup_free_ char *text = NULL;
	return hull_file_read(AT_FDCWD, path, CONFIG_MAX_BYTES, &text, NULL) == 0 && strstr(text, "\"poststart\"");
}

static int check(struct shim *shim, const Hull__Containerd__CreateTaskRequest *m, struct hull_error *err)
{
	_cleanup_free_ char *hull_id = shim_hull_id(shim->args, m->id);
	if (!hull_container_id_valid(m->id) || strchr(m->id, HULL_NAMESPACE_SEPARATOR) || !hull_container_id_valid(hull_id))
		return hull_error_set(err, EINVAL, "invalid container ID \"%.64s\"", m->id);
	if (m->bundle[0] != '/')
		return hull_error_set(err, EINVAL, "bundle: expected an absolute path, found \"%.128s\"", m->bundle);
	if (m->checkpoint[0] || m->parent_checkpoint[0])
		return hull_error_set(err, ENOSYS, "checkpoint: a VM cannot be restored yet");
	if (shim_task_find(shim, m->id))
		return hull_error_set(err, EEXIST, "container %s already exists", m->id);
	if (!shim->pod)
		return hull_error_set(err, EBUSY, "the pod of container %s is over", m->id);
	return 0;
}

static int begin(struct shim *shim, const Hull__Containerd__CreateTaskRequest *m, struct shim_task **ret, struct hull_error *err)
{
	struct shim_options options = { 0 };
	int r = check(shim, m, err);
	if (r < 0)
		return r;
	r = shim_options_add(&options, m->options, err);
	if (r == 0) {
		struct shim_task *t = *ret = shim_task_new(shim, m->id, m->bundle);
		set_string(&t->init->stdio.in, m->stdin);
		set_string(&t->init->stdio.out, m->stdout);
		set_string(&t->init->stdio.err, m->stderr);
		t->init->stdio.terminal = m->terminal;
		t->has_poststart = mentions_poststart(m->bundle);
		keep_event(t, m);
		t->init->io = shim_io_open(&shim->loop, &shim->host, &t->init->stdio, t->id, shim->args->namespace, err);
		r = t->init->io ? start_create(t, m, &options, err) : -err->code;
	}
	shim_options_clear(&options);
	return r;
}

void shim_handle_create(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	struct shim *shim = data;
	struct shim_task *t = NULL;
	struct hull_error err = HULL_ERROR_INIT;

	if (begin(shim, (const Hull__Containerd__CreateTaskRequest *)message, &t, &err) < 0) {
		hull_rpc_fail_error(request, &err);
		if (t)
			shim_task_free(t);
		shim_check_idle(shim);
		return;
	}
	t->request = request;
	hull_rpc_request_on_cancel(request, on_cancelled, t);
	shim_check_idle(shim);
}
