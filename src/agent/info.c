/* SPDX-License-Identifier: Apache-2.0 */
/* GetInfo and ListProcesses: what there is to see. */
#include "agent/agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

/* A reply is one frame. */
#define LIST_MAX 8192
#define COMMAND_MAX_BYTES 256

/* The number of kB behind "Key:" in a file such as /proc/meminfo, in bytes. */
static uint64_t read_kb(const char *path, const char *key)
{
	_cleanup_free_ char *text = NULL;
	if (hull_file_read(AT_FDCWD, path, 16384, &text, NULL) < 0)
		return 0;
	char *p = strstr(text, key);
	return p ? strtoull(p + strlen(key), NULL, 10) * 1024 : 0;
}

void hull_handle_get_info(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	static char *features[] = { (char *)"seccomp", (char *)"user-namespaces", (char *)"time-namespaces", (char *)"hooks" };
	const struct hull_agent *agent = data;
	struct utsname uts;
	uname(&uts);

	Hull__Agent__V1__Info info = HULL__AGENT__V1__INFO__INIT;
	info.agent_version = (char *)HULL_VERSION;
	info.kernel_release = uts.release;
	info.kernel_version = uts.version;
	info.memory_total_bytes = read_kb("/proc/meminfo", "MemTotal:");
	info.memory_available_bytes = read_kb("/proc/meminfo", "MemAvailable:");
	info.agent_rss_bytes = read_kb("/proc/self/smaps_rollup", "\nRss:");
	info.cpus_online = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	info.started_ns = agent->started_ns;
	info.ready_ns = agent->ready_ns;
	info.n_features = HULL_ARRAY_SIZE(features);
	info.features = features;
	hull_rpc_reply(request, &info.base);
}

struct listing {
	struct hull_container *container;
	Hull__Agent__V1__Process **v;
	size_t n, room;
	uint64_t ticks_per_s;
};

/* Arguments joined by spaces; "[name]" for a process without any. */
static char *read_command(int procfd, const char *name, size_t name_length)
{
	char text[COMMAND_MAX_BYTES], clean[COMMAND_MAX_BYTES];
	_cleanup_close_ int fd = openat(procfd, "cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	while (n > 0 && text[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	if (n > 0)
		text[n] = '\0';
	else
		snprintf(text, sizeof(text), "[%.*s]", (int)name_length, name);
	/* Strings of a protobuf message are UTF-8, and these are anything. */
	return hull_strdup(hull_text_clean_line(clean, sizeof(clean), text));
}

/* Source: proc(5), /proc/pid/stat: tty_nr is major and minor as in old device numbers. */
static char *tty_name(unsigned number)
{
	unsigned major = (number >> 8) & 0xfff, minor = (number & 0xff) | ((number >> 12) & 0xfff00);
	if (number == 0)
		return hull_strdup("?");
	if (major >= 136 && major <= 143)
		return hull_asprintf("pts/%u", (major - 136) * 256 + minor);
	return hull_asprintf("%u:%u", major, minor);
}

static const char *exec_id_of(struct hull_container *container, pid_t pid)
{
	struct hull_process *process;
	LIST_FOREACH(process, &container->processes, link) {
		if (process->pid == pid)
			return process->exec_id;
	}
	return "";
}

/* Fields 4 (ppid), 7 (tty), 14, 15 (user and system time), 22 (start). */
static int parse_stat(const char *after_name, Hull__Agent__V1__Process *p, uint64_t ticks_per_s)
{
	int ppid, tty;
	unsigned long long user, system, start;
	if (sscanf(after_name, ") %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
		   &ppid, &tty, &user, &system, &start) != 5)
		return -EIO;
	p->ppid = ppid;
	p->tty = tty_name((unsigned)tty);
	p->cpu_ms = (user + system) * 1000 / ticks_per_s;
	p->start_ms = start * 1000 / ticks_per_s;
	return 0;
}

static int list_one(void *data, pid_t pid)
{
	struct listing *listing = data;
	char path[32];
	struct stat st;
	_cleanup_free_ char *text = NULL;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	_cleanup_close_ int procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0 || fstat(procfd, &st) < 0 || hull_file_read(procfd, "stat", 4096, &text, NULL) < 0)
		return 0;
	char *open_paren = strchr(text, '('), *close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren || close_paren < open_paren || listing->n >= LIST_MAX)
		return 0;

	Hull__Agent__V1__Process *p = hull_new(Hull__Agent__V1__Process, 1);
	hull__agent__v1__process__init(p);
	if (parse_stat(close_paren, p, listing->ticks_per_s) < 0) {
		free(p);
		return 0;
	}
	p->pid = pid;
	p->uid = st.st_uid;
	p->user = st.st_uid == 0 ? hull_strdup("root") : hull_asprintf("%u", (unsigned)st.st_uid);
	p->command = read_command(procfd, open_paren + 1, (size_t)(close_paren - open_paren - 1));
	p->exec_id = hull_strdup(exec_id_of(listing->container, pid));
	if (listing->n == listing->room) {
		listing->room = listing->room ? listing->room * 2 : 16;
		listing->v = hull_reallocarray(listing->v, listing->room, sizeof(*listing->v));
	}
	listing->v[listing->n++] = p;
	return 0;
}

void hull_handle_list_processes(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__ContainerRef *m = (const Hull__Agent__V1__ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	if (!container)
		return;
	struct listing listing = { .container = container, .ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK) };
	int r = hull_cgroup_each(container->cgroup_fd, list_one, &listing);

	Hull__Agent__V1__ProcessList list = HULL__AGENT__V1__PROCESS_LIST__INIT;
	list.n_processes = listing.n;
	list.processes = listing.v;
	if (r < 0)
		hull_rpc_fail(request, hull_rpc_code_from_errno(r), "list processes: %s", strerror(-r));
	else
		hull_rpc_reply(request, &list.base);
	for (size_t i = 0; i < listing.n; i++) {
		free(listing.v[i]->tty);
		free(listing.v[i]->user);
		free(listing.v[i]->command);
		free(listing.v[i]->exec_id);
		free(listing.v[i]);
	}
	free(listing.v);
}
