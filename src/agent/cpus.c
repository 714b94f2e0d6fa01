/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OnlineCpus: the host has plugged CPUs in. They appear one by one, offline, a while after the host was told that they are there;
 * a program that counts them when it starts must find them all.
 */
#include "agent/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/hotplug.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#define CPUS_DIR "/sys/devices/system/cpu"
#define POLL_MS 2
#define DEADLINE_MS 15000

struct waiting {
	struct hull_rpc_request *request;
	struct hull_alarm *alarm;
	unsigned count;
	int64_t deadline_ms;
};

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Those that the kernel's events have brought online already are not written again. */
static void online_all(void)
{
	_cleanup_(closedirp) DIR *dir = opendir(CPUS_DIR);
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		char path[64];
		unsigned number;
		_cleanup_free_ char *text = NULL;
		if (sscanf(entry->d_name, "cpu%u", &number) != 1)
			continue;
		snprintf(path, sizeof(path), "cpu%u/online", number);
		if (hull_file_read(dirfd(dir), path, 16, &text, NULL) == 0 && text[0] == '0')
			hull_file_write(dirfd(dir), path, "1");
	}
}

static void on_tick(void *data)
{
	struct waiting *w = data;
	online_all();
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online < (long)w->count && hull_now_ms() < w->deadline_ms) {
		hull_alarm_set(w->alarm, POLL_MS);
		return;
	}
	if (online < (long)w->count)
		hull_rpc_fail(w->request, HULL_RPC_DEADLINE_EXCEEDED, "%ld CPUs are online in the guest, not %u", online, w->count);
	else
		hull_reply_empty(w->request);
	hull_alarm_free(w->alarm);
	free(w);
}

void hull_handle_online_cpus(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__OnlineCpusRequest *m = (const Hull__Agent__V1__OnlineCpusRequest *)message;
	struct hull_agent *agent = data;
	struct waiting *w = hull_new(struct waiting, 1);
	w->request = request;
	w->count = m->count;
	w->deadline_ms = hull_now_ms() + DEADLINE_MS;
	w->alarm = hull_alarm_new(agent->loop, on_tick, w);
	on_tick(w);
}
