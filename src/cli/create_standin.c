/* SPDX-License-Identifier: Apache-2.0 */
/* A new container's stand-in and the hooks that run around it. */
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/creation.h"
#include "cli/hooks.h"
#include "net/netns.h"
#include "pod/group.h"

#define SETTLE_TIMEOUT_MS 60000

/* In the stand-in's namespaces: what such a hook mounts is seen there, and what it writes by the container as well. */
static int run_inside_hooks(void *data, struct hull_error *err)
{
	struct hull_creation *c = data;
	hull_procref_get(getpid(), &c->state->standin);
	return hull_hooks_run(&c->bundle.spec->create_container, "createContainer", c->state, HULL_STATUS_CREATING,
			      c->bundle.rootfs, err);
}

static int join_group(void *data, struct hull_error *err)
{
	const struct hull_creation *c = data;
	return c->options->foreground ? 0 : hull_group_add(c->state, getpid(), err);
}

int hull_creation_start_standin(struct hull_creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	const struct hull_launch_inside inside = { join_group, run_inside_hooks, c };
	c->standin_pid = getpid();
	if (c->options->foreground && spec->prestart.n + spec->create_runtime.n + spec->create_container.n == 0)
		return 0;
	/* It is all that `docker top` and `podman top` can show, and says so. */
	_cleanup_free_ char *title = hull_asprintf("%s (its processes are in its VM)", c->id);
	int r = hull_mirror_prepare(&c->bundle, c->netns, &c->mirror, err);
	if (r == 0)
		r = hull_launch_standin(c->sockets[1], c->terminal, title, c->mirror, &inside, &c->standin, err);
	if (r == 0 && !c->options->foreground)
		c->standin_pid = c->standin.pid;
	return r;
}

static int run_create_hooks(struct hull_creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	/* In the foreground too, hooks are told of a process in the container's namespaces. */
	hull_procref_get(c->standin.pid > 0 ? c->standin.pid : c->standin_pid, &c->state->standin);
	int r = hull_hooks_run(&spec->prestart, "prestart", c->state, HULL_STATUS_CREATING, c->bundle.path, err);
	if (r == 0)
		r = hull_hooks_run(&spec->create_runtime, "createRuntime", c->state, HULL_STATUS_CREATING, c->bundle.path, err);
	if (r == 0 && spec->create_container.n > 0)
		r = hull_launch_run_inside(&c->standin, err);
	return r;
}

/* Waits until the guest has what is in the pod's network namespace now. */
static int settle_network(struct hull_creation *c, struct hull_error *err)
{
	Hull__Pod__V1__Empty m = HULL__POD__V1__EMPTY__INIT;
	if (c->role == HULL_ROLE_MEMBER)
		return 0;
	return hull_client_call(c->client, "SettleNetwork", &m.base, &hull__pod__v1__empty__descriptor, SETTLE_TIMEOUT_MS, NULL, 0, NULL, err);
}

/*
 * A container that joins a pod without its network has one of its own in the guest, with lo and nothing else. An engine's hook may
 * have connected the stand-in's meanwhile.
 */
static int check_own_network(const struct hull_creation *c, struct hull_error *err)
{
	const struct hull_oci_namespace *ns = &c->bundle.spec->namespaces[HULL_NS_NETWORK];
	if (c->role != HULL_ROLE_MEMBER || ns->path || c->standin.pid <= 0)
		return 0;
	_cleanup_free_ char *path = hull_asprintf("/proc/%d/ns/net", (int)c->standin.pid);
	_cleanup_close_ int fd = hull_netns_open(path, err);
	int r = fd < 0 ? fd : hull_netns_check_unconnected(fd, err);
	return r < 0 ? hull_error_wrap(err, "config.json: linux.namespaces: network: a container that joins pod %s has that one's network, or none "
				       "(--network container:NAME or none)", c->pod_id) : 0;
}

int hull_creation_finish_standin(struct hull_creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	int r = c->standin.pid > 0 ? hull_launch_fill(&c->standin, err) : 0;
	if (r == 0)
		r = run_create_hooks(c, err);
	/* Docker's hook puts interfaces into the stand-in's network namespace. */
	if (r == 0 && spec->prestart.n + spec->create_runtime.n + spec->create_container.n > 0)
		r = settle_network(c, err);
	if (r == 0)
		r = check_own_network(c, err);
	if (r < 0)
		return r;
	if (c->options->foreground) {
		hull_launch_abandon(&c->standin);
		return 0;
	}
	return hull_launch_release(&c->standin, err);
}
