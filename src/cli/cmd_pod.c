/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/statejson.h"

#define INSPECT_TIMEOUT_MS 30000

static json_object *info_json(const Hull__Pod__V1__PodInfo *info)
{
	json_object *obj = json_object_new_object(), *ids = json_object_new_array(), *marks = json_object_new_array();
	json_object_object_add(obj, "id", json_object_new_string(info->pod_id));
	json_object_object_add(obj, "supervisorPid", json_object_new_int(info->supervisor_pid));
	json_object_object_add(obj, "vmmPid", json_object_new_int(info->vmm_pid));
	json_object_object_add(obj, "virtiofsdPid", json_object_new_int(info->share_pid));
	json_object_object_add(obj, "accelerator", json_object_new_string(info->accelerator));
	json_object_object_add(obj, "guestKernel", json_object_new_string(info->kernel_release));
	json_object_object_add(obj, "agentVersion", json_object_new_string(info->agent_version));
	json_object_object_add(obj, "vcpus", json_object_new_int64(info->vcpus));
	json_object_object_add(obj, "memoryBytes", json_object_new_uint64(info->memory_bytes));
	json_object_object_add(obj, "guestMemoryTotalBytes", json_object_new_uint64(info->guest_memory_total_bytes));
	json_object_object_add(obj, "guestMemoryAvailableBytes", json_object_new_uint64(info->guest_memory_available_bytes));
	json_object_object_add(obj, "agentRssBytes", json_object_new_uint64(info->agent_rss_bytes));
	for (size_t i = 0; i < info->n_containers; i++)
		json_object_array_add(ids, json_object_new_string(info->containers[i]));
	for (size_t i = 0; i < info->n_milestones; i++) {
		json_object *m = json_object_new_object();
		json_object_object_add(m, "name", json_object_new_string(info->milestones[i]->name));
		json_object_object_add(m, "atNs", json_object_new_int64(info->milestones[i]->at_ns));
		json_object_array_add(marks, m);
	}
	json_object_object_add(obj, "containers", ids);
	json_object_object_add(obj, "milestones", marks);
	return obj;
}

int hull_cmd_pod(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "pod", "inspect POD", "Prints what is known of a running pod and its VM as JSON.", 2, 2 };
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	ProtobufCMessage *message = NULL;
	Hull__Pod__V1__Empty empty = HULL__POD__V1__EMPTY__INIT;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (strcmp(argv[first], "inspect") != 0) {
		hull_error_set(err, EINVAL, "pod: unknown verb \"%.32s\"; usage: hull pod inspect POD", argv[first]);
		return HULL_EXIT_USAGE;
	}
	if (hull_client_connect(cli->root, argv[first + 1], &client, err) < 0 ||
	    hull_client_call(client, "Inspect", &empty.base, &hull__pod__v1__pod_info__descriptor, INSPECT_TIMEOUT_MS, NULL, 0,
			     &message, err) < 0)
		return HULL_EXIT_FAILURE;
	json_object *obj = info_json((const Hull__Pod__V1__PodInfo *)message);
	_cleanup_free_ char *text = hull_json_text(obj);
	printf("%s\n", text);
	json_object_put(obj);
	protobuf_c_message_free_unpacked(message, NULL);
	return HULL_EXIT_OK;
}
