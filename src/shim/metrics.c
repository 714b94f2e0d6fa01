/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/metrics.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "shim/any.h"

#define DEVICES_MAX 256
#define INTERFACES_MAX 256

/* Names of memory.stat and their places. Source: kernel documentation, cgroup-v2. */
static const struct { const char *key; size_t offset; } memory_keys[] = {
#define KEY(name) { #name, offsetof(Hull__Containerd__MemoryStat, name) }
	KEY(anon), KEY(file), KEY(kernel_stack), KEY(slab), KEY(sock), KEY(shmem), KEY(file_mapped), KEY(file_dirty), KEY(file_writeback),
	KEY(anon_thp), KEY(inactive_anon), KEY(active_anon), KEY(inactive_file), KEY(active_file), KEY(unevictable),
	KEY(slab_reclaimable), KEY(slab_unreclaimable), KEY(pgfault), KEY(pgmajfault), KEY(workingset_refault),
	KEY(workingset_activate), KEY(workingset_nodereclaim), KEY(pgrefill), KEY(pgscan), KEY(pgsteal), KEY(pgactivate),
	KEY(pgdeactivate), KEY(pglazyfree), KEY(pglazyfreed), KEY(thp_fault_alloc), KEY(thp_collapse_alloc),
#undef KEY
};

static void fill_memory(const Hull__Agent__V1__Stats *s, Hull__Containerd__MemoryStat *memory)
{
	for (size_t i = 0; i < s->n_memory_stat; i++)
		for (size_t k = 0; k < HULL_ARRAY_SIZE(memory_keys); k++)
			if (strcmp(s->memory_stat[i]->key, memory_keys[k].key) == 0)
				memcpy((char *)memory + memory_keys[k].offset, &s->memory_stat[i]->value, sizeof(uint64_t));
	memory->usage = s->memory_usage_bytes;
	/* As cgroup v2 reads "max". */
	memory->usage_limit = s->memory_limit_bytes ? s->memory_limit_bytes : UINT64_MAX;
	memory->swap_usage = s->swap_usage_bytes;
	memory->swap_limit = s->swap_limit_bytes ? s->swap_limit_bytes : UINT64_MAX;
}

static size_t fill_io(const Hull__Agent__V1__Stats *s, Hull__Containerd__IOEntry *entries, Hull__Containerd__IOEntry **pointers)
{
	size_t n = s->n_io < DEVICES_MAX ? s->n_io : DEVICES_MAX;
	for (size_t i = 0; i < n; i++) {
		const Hull__Agent__V1__DeviceIo *d = s->io[i];
		hull__containerd__ioentry__init(&entries[i]);
		entries[i].major = d->major;
		entries[i].minor = d->minor;
		entries[i].rbytes = d->read_bytes;
		entries[i].wbytes = d->write_bytes;
		entries[i].rios = d->read_ios;
		entries[i].wios = d->write_ios;
		pointers[i] = &entries[i];
	}
	return n;
}

static size_t fill_network(const Hull__Agent__V1__Stats *s, Hull__Containerd__NetworkStat *stats, Hull__Containerd__NetworkStat **pointers)
{
	size_t n = s->n_interfaces < INTERFACES_MAX ? s->n_interfaces : INTERFACES_MAX;
	for (size_t k = 0; k < n; k++) {
		const Hull__Agent__V1__InterfaceCounters *i = s->interfaces[k];
		hull__containerd__network_stat__init(&stats[k]);
		stats[k].name = i->name;
		stats[k].rx_bytes = i->rx_bytes;
		stats[k].rx_packets = i->rx_packets;
		stats[k].rx_errors = i->rx_errors;
		stats[k].rx_dropped = i->rx_dropped;
		stats[k].tx_bytes = i->tx_bytes;
		stats[k].tx_packets = i->tx_packets;
		stats[k].tx_errors = i->tx_errors;
		stats[k].tx_dropped = i->tx_dropped;
		pointers[k] = &stats[k];
	}
	return n;
}

uint8_t *shim_metrics_pack(const Hull__Agent__V1__Stats *s, size_t *ret_len)
{
	Hull__Containerd__Metrics m = HULL__CONTAINERD__METRICS__INIT;
	Hull__Containerd__PidsStat pids = HULL__CONTAINERD__PIDS_STAT__INIT;
	Hull__Containerd__CPUStat cpu = HULL__CONTAINERD__CPUSTAT__INIT;
	Hull__Containerd__MemoryStat memory = HULL__CONTAINERD__MEMORY_STAT__INIT;
	Hull__Containerd__MemoryEvents events = HULL__CONTAINERD__MEMORY_EVENTS__INIT;
	Hull__Containerd__IOStat io = HULL__CONTAINERD__IOSTAT__INIT;
	_cleanup_free_ Hull__Containerd__IOEntry *entries = hull_new(Hull__Containerd__IOEntry, DEVICES_MAX);
	_cleanup_free_ Hull__Containerd__IOEntry **pointers = hull_new(Hull__Containerd__IOEntry *, DEVICES_MAX);
	_cleanup_free_ Hull__Containerd__NetworkStat *network = hull_new(Hull__Containerd__NetworkStat, INTERFACES_MAX);
	_cleanup_free_ Hull__Containerd__NetworkStat **networks = hull_new(Hull__Containerd__NetworkStat *, INTERFACES_MAX);

	pids.current = s->pids_current;
	pids.limit = s->pids_limit;
	cpu.usage_usec = s->cpu_usage_us;
	cpu.user_usec = s->cpu_user_us;
	cpu.system_usec = s->cpu_system_us;
	cpu.nr_periods = s->cpu_periods;
	cpu.nr_throttled = s->cpu_throttled_periods;
	cpu.throttled_usec = s->cpu_throttled_us;
	fill_memory(s, &memory);
	events.oom_kill = s->oom_kills;
	io.n_usage = fill_io(s, entries, pointers);
	io.usage = pointers;
	m.pids = &pids;
	m.cpu = &cpu;
	m.memory = &memory;
	m.memory_events = &events;
	m.io = &io;
	m.n_network = fill_network(s, network, networks);
	m.network = networks;
	return shim_pack(&m.base, ret_len);
}
