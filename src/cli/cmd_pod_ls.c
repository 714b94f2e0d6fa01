/* SPDX-License-Identifier: Apache-2.0 */
/* hull pod ls and inspect. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/pods.h"
#include "cli/statejson.h"

/* Seconds since an RFC 3339 time in UTC, or -1. */
static int64_t age_seconds(const char *created)
{
	struct tm tm = { 0 };
	if (!created || !strptime(created, "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	int64_t age = (int64_t)(time(NULL) - timegm(&tm));
	return age < 0 ? 0 : age;
}

static const char *created_of(const struct hull_pod_entry *pod)
{
	return pod->n_containers > 0 ? pod->containers[0]->created : NULL;
}

/* "7s", "12m", "3h", "5d" */
static const char *age_text(int64_t s, char buf[static 24])
{
	if (s < 0)
		snprintf(buf, 24, "-");
	else if (s < 120)
		snprintf(buf, 24, "%llds", (long long)s);
	else if (s < 7200)
		snprintf(buf, 24, "%lldm", (long long)s / 60);
	else if (s < 172800)
		snprintf(buf, 24, "%lldh", (long long)s / 3600);
	else
		snprintf(buf, 24, "%lldd", (long long)s / 86400);
	return buf;
}

static size_t running_containers(const struct hull_pod_entry *pod)
{
	size_t n = 0;
	for (size_t i = 0; i < pod->n_containers; i++)
		n += hull_state_effective(pod->containers[i]) != HULL_STATUS_STOPPED;
	return n;
}

static void print_table(const struct hull_pod_list *list)
{
	size_t width = 12;
	for (size_t i = 0; i < list->n; i++)
		if (strlen(list->v[i].id) > width)
			width = strlen(list->v[i].id);
	printf("%-*s   %-9s%-11s%-7s%-12s%-6s%-6s%-12s%s\n", (int)width, "POD", "STATE", "CONTAINERS", "ACCEL", "MEMORY", "CPUS", "AGE", "ENGINE",
	       "ROOT");
	for (size_t i = 0; i < list->n; i++) {
		const struct hull_pod_entry *pod = &list->v[i];
		char containers[48], memory[32] = "-", cpus[16] = "-", age[24];
		snprintf(containers, sizeof(containers), "%zu/%zu", running_containers(pod), pod->n_containers);
		if (pod->info) {
			hull_format_size(pod->info->memory_bytes, memory);
			snprintf(cpus, sizeof(cpus), "%u", pod->info->vcpus);
		}
		printf("%-*s   %-9s%-11s%-7s%-12s%-6s%-6s%-12s%s\n", (int)width, pod->id, hull_pod_state_name(pod->state), containers,
		       pod->info ? pod->info->accelerator : "-", memory, cpus, age_text(age_seconds(created_of(pod)), age), pod->engine, pod->root);
	}
}

static json_object *milestones_json(const Hull__Pod__V1__PodInfo *info)
{
	json_object *marks = json_object_new_array();
	for (size_t i = 0; i < info->n_milestones; i++) {
		json_object *m = json_object_new_object();
		json_object_object_add(m, "name", json_object_new_string(info->milestones[i]->name));
		json_object_object_add(m, "atNs", json_object_new_int64(info->milestones[i]->at_ns));
		json_object_array_add(marks, m);
	}
	return marks;
}

static void add_info(json_object *obj, const Hull__Pod__V1__PodInfo *info)
{
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
}

/* The containers of state.json, which a dead pod has, too. */
static json_object *containers_json(const struct hull_pod_entry *pod)
{
	json_object *array = json_object_new_array();
	for (size_t i = 0; i < pod->n_containers; i++) {
		const struct hull_state *s = pod->containers[i];
		enum hull_status status = hull_state_effective(s);
		json_object *o = json_object_new_object();
		json_object_object_add(o, "id", json_object_new_string(s->id));
		json_object_object_add(o, "status", json_object_new_string(hull_status_name(status)));
		json_object_object_add(o, "pid", json_object_new_int(status == HULL_STATUS_STOPPED ? 0 : s->standin.pid));
		json_object_object_add(o, "created", json_object_new_string(s->created));
		json_object_object_add(o, "bundle", json_object_new_string(s->bundle));
		json_object_array_add(array, o);
	}
	return array;
}

static json_object *pod_json(const struct hull_pod_entry *pod)
{
	json_object *obj = json_object_new_object(), *ids = json_object_new_array();
	const char *created = created_of(pod);
	json_object_object_add(obj, "id", json_object_new_string(pod->id));
	json_object_object_add(obj, "state", json_object_new_string(hull_pod_state_name(pod->state)));
	json_object_object_add(obj, "engine", json_object_new_string(pod->engine));
	json_object_object_add(obj, "root", json_object_new_string(pod->root));
	if (created) {
		json_object_object_add(obj, "created", json_object_new_string(created));
		json_object_object_add(obj, "ageSeconds", json_object_new_int64(age_seconds(created)));
	}
	json_object_object_add(obj, "supervisorPid", json_object_new_int(pod->supervisor.pid));
	if (pod->info)
		add_info(obj, pod->info);
	for (size_t i = 0; i < pod->n_containers; i++)
		json_object_array_add(ids, json_object_new_string(pod->containers[i]->id));
	json_object_object_add(obj, "containers", ids);
	json_object_object_add(obj, "containerStates", containers_json(pod));
	return obj;
}

int hull_cmd_pod_ls(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *format = "table";
	bool quiet = false, json;
	const struct hull_option options[] = {
		{ "format", 'f', HULL_OPTION_STRING, &format, "FORMAT", "table (default) or json" },
		{ "quiet", 'q', HULL_OPTION_FLAG, &quiet, NULL, "print ids only" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "pod ls", "", "Lists the pods of this host, whoever started them; with --root those of that state directory.",
					  0, 0 };
	struct hull_pod_list list;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_pod_format("pod ls", format, &json, err) < 0 || hull_pods_find(cli, NULL, &list, err) < 0)
		return HULL_EXIT_FAILURE;
	if (quiet) {
		for (size_t i = 0; i < list.n; i++)
			printf("%s\n", list.v[i].id);
	} else if (json) {
		json_object *array = json_object_new_array();
		for (size_t i = 0; i < list.n; i++)
			json_object_array_add(array, pod_json(&list.v[i]));
		printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(array);
	} else {
		print_table(&list);
	}
	hull_pods_clear(&list);
	return HULL_EXIT_OK;
}

int hull_cmd_pod_inspect(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const struct hull_option options[] = { { NULL, 0, 0, NULL, NULL, NULL } };
	const struct hull_usage usage = { "pod inspect", "POD", "Prints what is known of a pod and its VM as JSON.", 1, 1 };
	struct hull_pod_list list;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_pods_find_one(cli, argv[first], &list, err) < 0)
		return HULL_EXIT_FAILURE;
	json_object *obj = pod_json(&list.v[0]);
	if (list.v[0].info)
		json_object_object_add(obj, "milestones", milestones_json(list.v[0].info));
	_cleanup_free_ char *text = hull_json_text(obj);
	printf("%s\n", text);
	json_object_put(obj);
	hull_pods_clear(&list);
	return HULL_EXIT_OK;
}
