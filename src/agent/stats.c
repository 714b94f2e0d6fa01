/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/cgroup.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define FILE_MAX_BYTES (64u << 10)
/* A VM has a handful of disks; memory.stat has some fifty lines. */
#define DEVICES_MAX 64
#define KEYS_MAX 128
#define INTERFACES_MAX 256

typedef Hull__Agent__V1__Stats Stats;

/* A single number; 0 for "max" and for a file that is not there. */
static uint64_t read_number(int cgroup_fd, const char *file)
{
	_cleanup_free_ char *text = NULL;
	return hull_file_read(cgroup_fd, file, 64, &text, NULL) < 0 ? 0 : strtoull(text, NULL, 10);
}

/* Calls fn for each "key number" line. */
static void each_key(int cgroup_fd, const char *file, void (*fn)(Stats *stats, const char *key, uint64_t value), Stats *stats)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	if (hull_file_read(cgroup_fd, file, FILE_MAX_BYTES, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *space = strchr(line, ' ');
		if (!space)
			continue;
		*space = '\0';
		fn(stats, line, strtoull(space + 1, NULL, 10));
	}
}

static void take_cpu(Stats *stats, const char *key, uint64_t value)
{
	const struct {
		const char *key;
		uint64_t *place;
	} places[] = {
		{ "usage_usec", &stats->cpu_usage_us },          { "user_usec", &stats->cpu_user_us },
		{ "system_usec", &stats->cpu_system_us },        { "nr_periods", &stats->cpu_periods },
		{ "nr_throttled", &stats->cpu_throttled_periods }, { "throttled_usec", &stats->cpu_throttled_us },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(places); i++)
		if (strcmp(key, places[i].key) == 0)
			*places[i].place = value;
}

static void take_memory(Stats *stats, const char *key, uint64_t value)
{
	if (stats->n_memory_stat == KEYS_MAX)
		return;
	Hull__Agent__V1__KeyedNumber *entry = hull_new(Hull__Agent__V1__KeyedNumber, 1);
	hull__agent__v1__keyed_number__init(entry);
	entry->key = hull_strdup(key);
	entry->value = value;
	stats->memory_stat = hull_reallocarray(stats->memory_stat, stats->n_memory_stat + 1, sizeof(*stats->memory_stat));
	stats->memory_stat[stats->n_memory_stat++] = entry;
}

/* "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static void read_io(int cgroup_fd, Stats *stats)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	if (hull_file_read(cgroup_fd, "io.stat", FILE_MAX_BYTES, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line && stats->n_io < DEVICES_MAX; line = strtok_r(NULL, "\n", &rest)) {
		unsigned major, minor;
		unsigned long long rb, wb, rios, wios;
		if (sscanf(line, "%u:%u rbytes=%llu wbytes=%llu rios=%llu wios=%llu", &major, &minor, &rb, &wb, &rios, &wios) != 6)
			continue;
		Hull__Agent__V1__DeviceIo *io = hull_new(Hull__Agent__V1__DeviceIo, 1);
		hull__agent__v1__device_io__init(io);
		io->major = major;
		io->minor = minor;
		io->read_bytes = rb;
		io->write_bytes = wb;
		io->read_ios = rios;
		io->write_ios = wios;
		stats->io = hull_reallocarray(stats->io, stats->n_io + 1, sizeof(*stats->io));
		stats->io[stats->n_io++] = io;
	}
}

/*
 * "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop …", received first. Source: proc(5), /proc/net/dev.
 */
static void read_interfaces(Stats *stats)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL, name[32];
	if (hull_file_read(AT_FDCWD, "/proc/net/dev", FILE_MAX_BYTES, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line && stats->n_interfaces < INTERFACES_MAX; line = strtok_r(NULL, "\n", &rest)) {
		unsigned long long rx[4], tx[4];
		if (sscanf(line, " %31[^:]: %llu %llu %llu %llu %*u %*u %*u %*u %llu %llu %llu %llu", name, &rx[0], &rx[1], &rx[2], &rx[3], &tx[0],
			   &tx[1], &tx[2], &tx[3]) != 9 || strcmp(name, "lo") == 0)
			continue;
		Hull__Agent__V1__InterfaceCounters *i = hull_new(Hull__Agent__V1__InterfaceCounters, 1);
		hull__agent__v1__interface_counters__init(i);
		i->name = hull_strdup(name);
		i->rx_bytes = rx[0];
		i->rx_packets = rx[1];
		i->rx_errors = rx[2];
		i->rx_dropped = rx[3];
		i->tx_bytes = tx[0];
		i->tx_packets = tx[1];
		i->tx_errors = tx[2];
		i->tx_dropped = tx[3];
		stats->interfaces = hull_reallocarray(stats->interfaces, stats->n_interfaces + 1, sizeof(*stats->interfaces));
		stats->interfaces[stats->n_interfaces++] = i;
	}
}

static void clear(Stats *stats)
{
	for (size_t i = 0; i < stats->n_interfaces; i++) {
		free(stats->interfaces[i]->name);
		free(stats->interfaces[i]);
	}
	free(stats->interfaces);
	for (size_t i = 0; i < stats->n_memory_stat; i++) {
		free(stats->memory_stat[i]->key);
		free(stats->memory_stat[i]);
	}
	for (size_t i = 0; i < stats->n_io; i++)
		free(stats->io[i]);
	free(stats->memory_stat);
	free(stats->io);
}

void hull_handle_get_stats(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__ContainerRef *m = (const Hull__Agent__V1__ContainerRef *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	Stats stats = HULL__AGENT__V1__STATS__INIT;
	if (!container)
		return;
	int fd = container->cgroup_fd;
	each_key(fd, "cpu.stat", take_cpu, &stats);
	each_key(fd, "memory.stat", take_memory, &stats);
	read_io(fd, &stats);
	read_interfaces(&stats);
	stats.memory_usage_bytes = read_number(fd, "memory.current");
	stats.memory_peak_bytes = read_number(fd, "memory.peak");
	stats.memory_limit_bytes = read_number(fd, "memory.max");
	stats.swap_usage_bytes = read_number(fd, "memory.swap.current");
	stats.swap_limit_bytes = read_number(fd, "memory.swap.max");
	stats.oom_kills = hull_cgroup_oom_kills(fd);
	stats.pids_current = read_number(fd, "pids.current");
	stats.pids_limit = read_number(fd, "pids.max");
	hull_rpc_reply(request, &stats.base);
	clear(&stats);
}

void hull_handle_update_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__UpdateRequest *m = (const Hull__Agent__V1__UpdateRequest *)message;
	struct hull_container *container = hull_serve_container(data, request, m->container_id);
	struct hull_oci_resources *resources = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	if (!container)
		return;
	int r = hull_oci_resources_parse((const char *)m->resources_json.data, m->resources_json.len, &resources, &err);
	if (r == 0)
		r = hull_cgroup_update(container->cgroup_fd, resources, &err);
	if (r < 0)
		hull_rpc_fail_error(request, &err);
	else
		hull_reply_empty(request);
	hull_oci_resources_free(resources);
}
