/* SPDX-License-Identifier: Apache-2.0 */
/* What the host changes in volumes, on its way to the guest. */
#include "base/log.h"
#include "base/mem.h"
#include "pod/pod.h"
#include "rpc/agent.pb-c.h"

#define TELL_TIMEOUT_MS 60000

static void on_told(void *data, const struct hull_rpc_status *status, const ProtobufCMessage *response)
{
	struct hull_pod *pod = data;
	(void)response;
	if (status->code == HULL_RPC_CANCELLED || !pod->vm)
		return;
	if (status->code == HULL_RPC_OK) {
		hull_share_watch_continue(hull_vm_share(pod->vm));
		return;
	}
	hull_log_info("inotify: changes on the host wake nobody in the guest: %s", status->message);
	hull_share_unwatch(hull_vm_share(pod->vm));
}

/* One call at a time: meanwhile the kernel gathers, and puts together what is the same. */
static void on_changes(void *data, const struct hull_volume_change *changes, size_t n)
{
	struct hull_pod *pod = data;
	Hull__Agent__V1__VolumeChanges m = HULL__AGENT__V1__VOLUME_CHANGES__INIT;
	Hull__Agent__V1__VolumeChange messages[HULL_VOLUME_CHANGES_MAX], *pointers[HULL_VOLUME_CHANGES_MAX];

	for (size_t i = 0; i < n; i++) {
		hull__agent__v1__volume_change__init(&messages[i]);
		messages[i].volume = (char *)(uintptr_t)changes[i].volume;
		messages[i].path = changes[i].path;
		messages[i].mask = changes[i].mask;
		messages[i].cookie = changes[i].cookie;
		pointers[i] = &messages[i];
	}
	m.n_changes = n;
	m.changes = pointers;
	hull_rpc_call(hull_vm_agent(pod->vm), "hull.agent.v1.Agent", "VolumesChanged", &m.base,
		      &hull__agent__v1__empty__descriptor, TELL_TIMEOUT_MS, NULL, 0, on_told, pod);
}

void hull_pod_watch_volumes(struct hull_pod *pod)
{
	struct hull_error err = HULL_ERROR_INIT;
	if (pod->config->watch_directories > 0 &&
	    hull_share_watch(hull_vm_share(pod->vm), pod->loop, pod->config->watch_directories, on_changes, pod, &err) < 0)
		hull_log_warning("inotify: changes on the host wake nobody in the guest: %s", err.message);
}
