/* SPDX-License-Identifier: Apache-2.0 */
/* A container's status, and its way out of the guest, the share and the list. container_create.c has the way in. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "pod/disks.h"
#include "pod/locals.h"
#include "pod/pod.h"
#include "rpc/agent.pb-c.h"

#define DELETE_TIMEOUT_MS 5000

void hull_container_set_status(struct hull_container *c, enum hull_status status)
{
	struct hull_error err = HULL_ERROR_INIT;
	c->state->status = status;
	if (status == HULL_STATUS_STOPPED && c->init) {
		c->state->has_exit = true;
		c->state->exit_code = c->init->exit.code;
		c->state->exit_signal = c->init->exit.signal;
		c->state->oom_killed = c->init->exit.oom_killed;
		free(c->state->lost);
		c->state->lost = c->init->exit.lost ? hull_strdup(c->init->exit.lost) : NULL;
	}
	if (c->dirfd >= 0 && hull_state_write(c->dirfd, c->state, &err) < 0)
		hull_log_error("%s: %s", c->id, err.message);
}

struct hull_process *hull_container_process(struct hull_container *c, const char *exec_id)
{
	if (exec_id[0] == '\0')
		return c->init;
	for (struct hull_process *p = c->execs; p; p = p->next)
		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	return NULL;
}

/* ---- leaving */

static void ignore_reply(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	(void)data;
	(void)response;
	if (status->code != HULL_RPC_OK && status->code != HULL_RPC_CANCELLED)
		hull_log_debug("agent: %s", status->message);
}

struct departed {
	struct departed *next;
	struct hull_pod *pod;
	char *id;
	struct hull_strv volumes;      /* that no container has any more */
	struct hull_rpc_request *delete;       /* answered when its disks are free again; NULL: nobody waits */
	bool out_of_guest;             /* what is left to wait for are its disks */
};

static void forget_volumes(struct hull_pod *pod, const struct hull_strv *volumes)
{
	Hull__Agent__V1__VolumesRef m = HULL__AGENT__V1__VOLUMES_REF__INIT;
	m.n_paths = volumes->n;
	m.paths = volumes->v;
	if (volumes->n > 0)
		hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "ForgetVolumes", &m.base,
			      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, ignore_reply, NULL);
}

bool hull_container_is_departing(const struct hull_pod *pod, const char *id)
{
	for (const struct departed *d = pod->departed; d; d = d->next)
		if (strcmp(d->id, id) == 0)
			return true;
	return false;
}

static void answer_delete(struct hull_rpc_request *request)
{
	Hull__Pod__V1__Empty done = HULL__POD__V1__EMPTY__INIT;
	if (request)
		hull_rpc_reply(request, &done.base);
}

/* Nothing of it is left in the VM. One that was created again under its name meanwhile comes next. */
static void depart(struct departed *d)
{
	struct hull_pod *pod = d->pod;
	struct departed **at = &pod->departed;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	answer_delete(d->delete);
	struct hull_container *c = hull_pod_find(pod, d->id);
	hull_strv_clear(&d->volumes);
	free(d->id);
	free(d);
	if (c && c->awaits_departed && pod->vm && !pod->lost && !hull_container_is_departing(pod, c->id)) {
		c->awaits_departed = false;
		hull_container_fit(c);
	}
}

void hull_container_disks_free(struct hull_pod *pod, const char *id)
{
	for (struct departed *d = pod->departed; d; d = d->next) {
		if (d->out_of_guest && strcmp(d->id, id) == 0) {
			depart(d);
			return;
		}
	}
}

void hull_container_forget_departed(struct hull_pod *pod)
{
	while (pod->departed)
		depart(pod->departed);
}

/* The guest has unmounted what was the container's, or will not. */
static void on_deleted(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct departed *d = data;
	ignore_reply(NULL, status, response);
	if (status->code != HULL_RPC_CANCELLED) {
		hull_disks_release(d->pod, d->id);
		forget_volumes(d->pod, &d->volumes);
		d->out_of_guest = true;
		if (hull_disks_leaving(d->pod, d->id))
			return;
	}
	depart(d);
}

static void unlink_container(struct hull_container *c)
{
	for (struct hull_container **at = &c->pod->containers; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			return;
		}
	}
}

static void free_container(struct hull_container *c)
{
	hull_oom_free(c);
	hull_process_free(c->init);
	while (c->execs) {
		struct hull_process *p = c->execs;
		c->execs = p->next;
		hull_process_free(p);
	}
	hull_closep(&c->dirfd);
	hull_state_free(c->state);
	hull_locals_free(c);
	hull_oci_spec_free(c->spec);
	hull_seccomp_program_clear(&c->seccomp);
	free(c->spec_json);
	free(c->id);
	free(c);
}

void hull_container_remove(struct hull_container *c)
{
	struct hull_pod *pod = c->pod;
	struct hull_error err = HULL_ERROR_INIT;
	bool known = c->in_guest || c->creating;

	hull_pod_fit_cancel(c);
	hull_disks_disown(c);
	if (c->creating)
		hull_rpc_call_cancel(TAKE_PTR(c->creating));
	if (c->network_pending)
		hull_network_forget(pod->network, c);
	struct hull_strv gone = { 0 };
	if (pod->vm && hull_share_remove(hull_vm_share(pod->vm), c->id, &gone, &err) < 0)
		hull_log_warning("%s: %s", c->id, err.message);
	if (known && pod->vm && !pod->lost) {
		Hull__Agent__V1__ContainerRef ref = HULL__AGENT__V1__CONTAINER_REF__INIT;
		ref.container_id = c->id;
		struct departed *departed = hull_new(struct departed, 1);
		departed->pod = pod;
		departed->id = hull_strdup(c->id);
		departed->volumes = gone;
		if (hull_disks_leaving(pod, c->id))
			departed->delete = TAKE_PTR(c->delete);
		departed->next = pod->departed;
		pod->departed = departed;
		hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "DeleteContainer", &ref.base,
			      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, on_deleted, departed);
	} else {
		hull_disks_release(pod, c->id);
		hull_strv_clear(&gone);
	}
	answer_delete(TAKE_PTR(c->delete));
	unlink_container(c);
	free_container(c);
	hull_pod_settle(pod);
}

void hull_container_fail(struct hull_container *c, const struct hull_error *err)
{
	if (c->create)
		hull_rpc_fail_error(TAKE_PTR(c->create), err);
	hull_container_remove(c);
}

/* Its stand-in was killed, or the guest's end came first: whoever creates it is told so. */
static void over_too_early(struct hull_container *c)
{
	const struct hull_exit *e = &c->init->exit;
	struct hull_error err = HULL_ERROR_INIT;
	if (e->lost)
		hull_error_set(&err, EIO, "%s", e->lost);
	else if (e->signal)
		hull_error_set(&err, ECANCELED, "the container was ended by signal %d before it was created", e->signal);
	else
		hull_error_set(&err, ECANCELED, "the container ended with status %d before it was created", e->code);
	hull_rpc_fail_error(TAKE_PTR(c->create), &err);
}

void hull_container_process_over(struct hull_container *c, struct hull_process *p)
{
	struct hull_pod *pod = c->pod;
	if (p == c->init) {
		hull_log_info("container %s has ended: status %d, signal %d%s%s", c->id, p->exit.code, p->exit.signal, p->exit.lost ? ": " : "",
			      p->exit.lost ? p->exit.lost : "");
		if (c->create)
			over_too_early(c);
		hull_oom_over(c, p->exit.oom_kills);
		if (c->role != HULL_ROLE_MEMBER)
			/* The pause container's end, or the only container's, is the pod's. */
			hull_pod_wind_down(pod);
		if (c->delete) {
			hull_container_remove(c);
			return;
		}
	}
	if (p != c->init && hull_process_settled(p))
		hull_container_forget_exec(c, p);
	hull_pod_settle(pod);
}

static void forget_in_guest(struct hull_pod *pod, struct hull_process *p)
{
	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	if (!p->attached || !pod->vm || pod->lost)
		return;
	ref.container_id = p->container->id;
	ref.exec_id = p->exec_id;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "DeleteProcess", &ref.base,
		      &hull__agent__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, ignore_reply, NULL);
}

void hull_container_forget_exec(struct hull_container *c, struct hull_process *p)
{
	forget_in_guest(c->pod, p);
	for (struct hull_process **at = &c->execs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			hull_process_free(p);
			return;
		}
	}
}
