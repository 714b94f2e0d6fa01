/* SPDX-License-Identifier: Apache-2.0 */
/* hull pod ps and stats: what goes on in the containers of a pod, as its VM says. */
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/pods.h"

#define ASK_TIMEOUT_MS 10000

typedef Hull__Agent__V1__Stats Stats;
typedef Hull__Agent__V1__ProcessList ProcessList;

/* One answer about a container, or NULL: one that ends meanwhile is left out. */
static ProtobufCMessage *ask(struct hull_client *client, const char *method, const struct hull_state *s,
			     const ProtobufCMessageDescriptor *type)
{
	struct hull_error ignored = HULL_ERROR_INIT;
	ProtobufCMessage *message = NULL;
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	if (hull_state_effective(s) == HULL_STATUS_STOPPED)
		return NULL;
	ref.container_id = s->id;
	hull_client_call(client, method, &ref.base, type, ASK_TIMEOUT_MS, NULL, 0, &message, &ignored);
	return message;
}

/* ---- ps */

/* The guest chose these bytes, and a terminal obeys some. */
static char *printable(const char *text)
{
	char *out = hull_strndup(text, 1024);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	return out;
}

static void print_processes(const char *container, size_t width, const ProcessList *list)
{
	for (size_t i = 0; i < list->n_processes; i++) {
		const Hull__Agent__V1__Process *p = list->processes[i];
		unsigned long long s = p->cpu_ms / 1000;
		_cleanup_free_ char *user = printable(p->user), *command = printable(p->command);
		printf("%-*s   %-10s %7d %7d %02llu:%02llu:%02llu %s\n", (int)width, container, user, p->pid, p->ppid, s / 3600, s / 60 % 60, s % 60,
		       command);
	}
}

static void add_processes(json_object *array, const char *container, const ProcessList *list)
{
	for (size_t i = 0; i < list->n_processes; i++) {
		const Hull__Agent__V1__Process *p = list->processes[i];
		json_object *o = json_object_new_object();
		json_object_object_add(o, "container", json_object_new_string(container));
		json_object_object_add(o, "user", json_object_new_string(p->user));
		json_object_object_add(o, "pid", json_object_new_int(p->pid));
		json_object_object_add(o, "ppid", json_object_new_int(p->ppid));
		json_object_object_add(o, "cpuMs", json_object_new_uint64(p->cpu_ms));
		json_object_object_add(o, "command", json_object_new_string(p->command));
		json_object_array_add(array, o);
	}
}

static size_t widest(const struct hull_pod_list *list)
{
	size_t width = 12;
	for (size_t i = 0; i < list->n; i++)
		for (size_t j = 0; j < list->v[i].n_containers; j++)
			if (strlen(list->v[i].containers[j]->id) > width)
				width = strlen(list->v[i].containers[j]->id);
	return width;
}

static void list_processes(const struct hull_pod_entry *pod, size_t width, struct hull_client *client, json_object *array)
{
	for (size_t i = 0; i < pod->n_containers; i++) {
		const struct hull_state *s = pod->containers[i];
		ProtobufCMessage *m = ask(client, "Ps", s, &hull__agent__v1__process_list__descriptor);
		if (m && array)
			add_processes(array, s->id, (const ProcessList *)m);
		else if (m)
			print_processes(s->id, width, (const ProcessList *)m);
		if (m)
			protobuf_c_message_free_unpacked(m, NULL);
	}
}

int hull_cmd_pod_ps(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *format = "table";
	bool json;
	const struct hull_option options[] = {
		{ "format", 'f', HULL_OPTION_STRING, &format, "FORMAT", "table (default) or json" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "pod ps", "POD", "Lists the processes of a pod's containers with their pids in the VM.", 1, 1 };
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_pod_list list;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_pod_format("pod ps", format, &json, err) < 0 || hull_pods_find_one(cli, argv[first], &list, err) < 0)
		return HULL_EXIT_FAILURE;
	if (list.v[0].state == HULL_POD_DEAD)
		r = hull_error_set(err, ESRCH, "pod %s is not running", argv[first]);
	if (r == 0)
		r = hull_pod_connect(&list.v[0], &client, err);
	if (r == 0) {
		json_object *array = json ? json_object_new_array() : NULL;
		size_t width = widest(&list);
		if (!json)
			printf("%-*s   %-10s %7s %7s %8s %s\n", (int)width, "CONTAINER", "USER", "PID", "PPID", "TIME", "CMD");
		list_processes(&list.v[0], width, client, array);
		if (json)
			printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(array);
	}
	hull_pods_clear(&list);
	return r < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}

/* ---- stats */

/* The proportional set size of a process of the host in bytes; 0 when it is gone. Source: proc(5), smaps_rollup. */
static uint64_t pss_bytes(int pid)
{
	char path[48];
	_cleanup_free_ char *text = NULL;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (pid <= 0 || hull_file_read(AT_FDCWD, path, 8192, &text, NULL) < 0)
		return 0;
	const char *line = strstr(text, "\nPss:");
	return line ? strtoull(line + 5, NULL, 10) * 1024 : 0;
}

static uint64_t host_bytes(const struct hull_pod_entry *pod)
{
	uint64_t sum = pss_bytes(pod->supervisor.pid) + pss_bytes(pod->info->vmm_pid) + pss_bytes(pod->info->share_pid);
	for (size_t i = 0; i < pod->n_containers; i++)
		if (hull_state_effective(pod->containers[i]) != HULL_STATUS_STOPPED)
			sum += pss_bytes(pod->containers[i]->standin.pid);
	return sum;
}

static json_object *stats_json(const struct hull_state *s, const Stats *stats)
{
	json_object *o = json_object_new_object();
	json_object_object_add(o, "id", json_object_new_string(s->id));
	json_object_object_add(o, "cpuUsageUs", json_object_new_uint64(stats->cpu_usage_us));
	json_object_object_add(o, "memoryUsageBytes", json_object_new_uint64(stats->memory_usage_bytes));
	json_object_object_add(o, "memoryLimitBytes", json_object_new_uint64(stats->memory_limit_bytes));
	json_object_object_add(o, "pids", json_object_new_uint64(stats->pids_current));
	json_object_object_add(o, "oomKills", json_object_new_uint64(stats->oom_kills));
	return o;
}

static void print_stats(const char *pod, const char *container, size_t width, const Stats *s)
{
	char used[32], limit[32] = "-";
	if (s->memory_limit_bytes)
		hull_format_size(s->memory_limit_bytes, limit);
	printf("%-*s   %-*s   %8" PRIu64 ".%03" PRIu64 " s   %-12s%-12s%" PRIu64 "\n", (int)width, pod, (int)width, container,
	       s->cpu_usage_us / 1000000, s->cpu_usage_us / 1000 % 1000, hull_format_size(s->memory_usage_bytes, used), limit, s->pids_current);
}

/* The line of the pod: the guest's memory in use, of what the VM has, and what the host gives for it. */
static void print_pod(const struct hull_pod_entry *pod, size_t width)
{
	const Hull__Pod__V1__PodInfo *info = pod->info;
	char used[32], all[32], host[32];
	hull_format_size(info->guest_memory_total_bytes - info->guest_memory_available_bytes, used);
	printf("%-*s   %-*s   %10s     %-12s%-12son the host: %s\n", (int)width, pod->id, (int)width, "(the VM)", "", used,
	       hull_format_size(info->memory_bytes, all), hull_format_size(host_bytes(pod), host));
}

static void show_pod(const struct hull_pod_entry *pod, size_t width, json_object *array)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_error ignored = HULL_ERROR_INIT;
	json_object *containers = array ? json_object_new_array() : NULL;

	if (!array)
		print_pod(pod, width);
	for (size_t i = 0; hull_pod_connect(pod, &client, &ignored) == 0 && i < pod->n_containers; i++) {
		ProtobufCMessage *m = ask(client, "Stats", pod->containers[i], &hull__agent__v1__stats__descriptor);
		if (m && array)
			json_object_array_add(containers, stats_json(pod->containers[i], (const Stats *)m));
		else if (m)
			print_stats(pod->id, pod->containers[i]->id, width, (const Stats *)m);
		if (m)
			protobuf_c_message_free_unpacked(m, NULL);
		hull_client_free(TAKE_PTR(client));
	}
	if (!array)
		return;
	json_object *o = json_object_new_object();
	json_object_object_add(o, "pod", json_object_new_string(pod->id));
	json_object_object_add(o, "vcpus", json_object_new_int64(pod->info->vcpus));
	json_object_object_add(o, "memoryBytes", json_object_new_uint64(pod->info->memory_bytes));
	json_object_object_add(o, "guestMemoryTotalBytes", json_object_new_uint64(pod->info->guest_memory_total_bytes));
	json_object_object_add(o, "guestMemoryAvailableBytes", json_object_new_uint64(pod->info->guest_memory_available_bytes));
	json_object_object_add(o, "hostPssBytes", json_object_new_uint64(host_bytes(pod)));
	json_object_object_add(o, "containers", containers);
	json_object_array_add(array, o);
}

int hull_cmd_pod_stats(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *format = "table";
	bool json;
	const struct hull_option options[] = {
		{ "format", 'f', HULL_OPTION_STRING, &format, "FORMAT", "table (default) or json" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "pod stats", "[POD]", "Shows what running pods and their containers use.", 0, 1 };
	struct hull_pod_list list;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_pod_format("pod stats", format, &json, err) < 0)
		return HULL_EXIT_FAILURE;
	r = first < argc ? hull_pods_find_one(cli, argv[first], &list, err) : hull_pods_find(cli, NULL, &list, err);
	if (r < 0)
		return HULL_EXIT_FAILURE;
	if (first < argc && !list.v[0].info)
		r = hull_error_set(err, ESRCH, "pod %s is %s", argv[first], hull_pod_state_name(list.v[0].state));
	if (r == 0) {
		json_object *array = json ? json_object_new_array() : NULL;
		size_t width = widest(&list);
		if (!json)
			printf("%-*s   %-*s   %14s %-12s%-12s%s\n", (int)width, "POD", (int)width, "CONTAINER", "CPU", "MEMORY", "LIMIT", "PIDS");
		for (size_t i = 0; i < list.n; i++)
			if (list.v[i].info)
				show_pod(&list.v[i], width, array);
		if (json)
			printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(array);
	}
	hull_pods_clear(&list);
	return r < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
