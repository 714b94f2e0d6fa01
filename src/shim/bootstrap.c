/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/bootstrap.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "rpc/rpc.h"
#include "shim/any.h"

#define STDIN_MAX_BYTES (1u << 20)
#define STDIN_TIMEOUT_MS 1000

static void note_unused(bool set, const char *name, const char *why)
{
	if (set)
		hull_log_warning("runtime option %s has no effect: %s", name, why);
}

static int add_runc(struct shim_options *o, const Hull__Containerd__RuncOptions *m, struct hull_error *err)
{
	if (m->root[0] && m->root[0] != '/')
		return hull_error_set(err, EINVAL, "runtime option root: expected an absolute path, found \"%.128s\"", m->root);
	if (m->root[0] && !o->root)
		o->root = hull_strdup(m->root);
	o->no_pivot = m->no_pivot_root;
	o->no_new_keyring = m->no_new_keyring;
	o->systemd_cgroup = m->systemd_cgroup;
	note_unused(m->binary_name[0], "binary_name", "the shim is the runtime");
	note_unused(m->shim_cgroup[0], "shim_cgroup", "the shim stays in containerd's control group");
	note_unused(m->io_uid || m->io_gid, "io_uid, io_gid", "the container's pipes are in its VM");
	note_unused(m->criu_path[0] || m->criu_image_path[0] || m->criu_work_path[0], "criu_path, criu_image_path, criu_work_path",
		    "there are no checkpoints");
	note_unused(m->task_api_address[0], "task_api_address", "the shim makes its own socket");
	return 0;
}

static int add_generic(struct shim_options *o, const Hull__Containerd__RuntimeOptions *m, struct hull_error *err)
{
	if (m->config_path[0] && m->config_path[0] != '/')
		return hull_error_set(err, EINVAL, "runtime option ConfigPath: expected an absolute path, found \"%.128s\"", m->config_path);
	if (m->config_path[0] && !o->config)
		o->config = hull_strdup(m->config_path);
	note_unused(m->config_body.len > 0 && !m->config_path[0], "ConfigBody", "Hull reads a hull.conf; name it with ConfigPath");
	return 0;
}

int shim_options_add(struct shim_options *o, const Hull__Containerd__Any *any, struct hull_error *err)
{
	const struct {
		const char *name;
		const ProtobufCMessageDescriptor *type;
	} kinds[] = {
		{ "containerd.runc.v1.Options", &hull__containerd__runc_options__descriptor },
		{ "runtimeoptions.v1.Options", &hull__containerd__runtime_options__descriptor },
	};
	if (!any || !any->type_url[0])
		return 0;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(kinds); i++) {
		if (!shim_any_is(any, kinds[i].name))
			continue;
		ProtobufCMessage *m = hull_rpc_unpack(kinds[i].type, any->value.len, any->value.data);
		if (!m)
			return hull_error_set(err, EBADMSG, "runtime options: %s does not decode", kinds[i].name);
		int r = i == 0 ? add_runc(o, (const Hull__Containerd__RuncOptions *)m, err)
			       : add_generic(o, (const Hull__Containerd__RuntimeOptions *)m, err);
		protobuf_c_message_free_unpacked(m, NULL);
		return r;
	}
	return hull_error_set(err, EINVAL, "runtime options of type %.128s are not understood: expected containerd.runc.v1.Options or "
			      "runtimeoptions.v1.Options", any->type_url);
}

void shim_options_clear(struct shim_options *o)
{
	free(o->root);
	free(o->config);
	*o = (struct shim_options){ 0 };
}

/* An Any decodes as BootstrapParams, too: what it says decides. */
static bool is_modern(const Hull__Containerd__BootstrapParams *p, const char *namespace, const char *id)
{
	return p && strcmp(p->instance_id, id) == 0 && strcmp(p->namespace_, namespace) == 0;
}

int shim_bootstrap_decode(const uint8_t *data, size_t len, const char *namespace, const char *id, struct shim_options *ret,
			  bool *ret_modern, struct hull_error *err)
{
	int r = 0;
	*ret_modern = false;
	if (len == 0)
		return 0;
	Hull__Containerd__BootstrapParams *params =
		(void *)hull_rpc_unpack(&hull__containerd__bootstrap_params__descriptor, len, data);
	if (is_modern(params, namespace, id)) {
		*ret_modern = true;
		for (size_t i = 0; r == 0 && i < params->n_extensions; i++) {
			const Hull__Containerd__Any *any = params->extensions[i]->value;
			/* Others are for other shims. */
			if (any && strstr(any->type_url, "Options"))
				r = shim_options_add(ret, any, err);
		}
	} else {
		Hull__Containerd__Any *any = (void *)hull_rpc_unpack(&hull__containerd__any__descriptor, len, data);
		r = any ? shim_options_add(ret, any, err)
			: hull_error_set(err, EBADMSG, "stdin: expected the runtime's options, found something else");
		if (any)
			protobuf_c_message_free_unpacked(&any->base, NULL);
	}
	if (params)
		protobuf_c_message_free_unpacked(&params->base, NULL);
	return r;
}

int shim_bootstrap_read(int fd, const char *namespace, const char *id, struct shim_options *ret, bool *ret_modern, struct hull_error *err)
{
	_cleanup_free_ uint8_t *data = hull_new(uint8_t, STDIN_MAX_BYTES + 1);
	int64_t deadline = hull_now_ms() + STDIN_TIMEOUT_MS;
	size_t len = 0;

	*ret_modern = false;
	if (isatty(fd))
		return 0;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - hull_now_ms();
		if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			break;
		ssize_t n = read(fd, data + len, STDIN_MAX_BYTES + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (len > STDIN_MAX_BYTES)
			return hull_error_set(err, EFBIG, "stdin: more than a MiB of options");
	}
	return shim_bootstrap_decode(data, len, namespace, id, ret, ret_modern, err);
}
