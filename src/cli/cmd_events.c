/* SPDX-License-Identifier: Apache-2.0 */
/* hull events: statistics of a running container in runc's JSON shape, and a line when something was OOM-killed in it. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/ask.h"

#define NS_PER_US 1000
#define ASK_TIMEOUT_MS 30000

typedef Hull__Agent__V1__Stats Stats;

static json_object *number(uint64_t n)
{
	return json_object_new_uint64(n);
}

static json_object *usage_of(uint64_t usage, uint64_t max, uint64_t limit)
{
	json_object *obj = json_object_new_object();
	json_object_object_add(obj, "limit", number(limit));
	json_object_object_add(obj, "usage", number(usage));
	json_object_object_add(obj, "max", number(max));
	json_object_object_add(obj, "failcnt", number(0));
	return obj;
}

static json_object *cpu_json(const Stats *s)
{
	json_object *cpu = json_object_new_object(), *usage = json_object_new_object(), *throttling = json_object_new_object();
	json_object_object_add(usage, "total", number(s->cpu_usage_us * NS_PER_US));
	json_object_object_add(usage, "kernel", number(s->cpu_system_us * NS_PER_US));
	json_object_object_add(usage, "user", number(s->cpu_user_us * NS_PER_US));
	json_object_object_add(throttling, "periods", number(s->cpu_periods));
	json_object_object_add(throttling, "throttledPeriods", number(s->cpu_throttled_periods));
	json_object_object_add(throttling, "throttledTime", number(s->cpu_throttled_us * NS_PER_US));
	json_object_object_add(cpu, "usage", usage);
	json_object_object_add(cpu, "throttling", throttling);
	return cpu;
}

static json_object *memory_json(const Stats *s)
{
	json_object *memory = json_object_new_object(), *raw = json_object_new_object();
	uint64_t cache = 0;
	for (size_t i = 0; i < s->n_memory_stat; i++) {
		char key[64];
		json_object_object_add(raw, hull_text_clean_line(key, sizeof(key), s->memory_stat[i]->key), number(s->memory_stat[i]->value));
		if (strcmp(s->memory_stat[i]->key, "file") == 0)
			cache = s->memory_stat[i]->value;
	}
	json_object_object_add(memory, "cache", number(cache));
	json_object_object_add(memory, "usage", usage_of(s->memory_usage_bytes, s->memory_peak_bytes, s->memory_limit_bytes));
	json_object_object_add(memory, "swap", usage_of(s->swap_usage_bytes, 0, s->swap_limit_bytes));
	json_object_object_add(memory, "kernel", usage_of(0, 0, 0));
	json_object_object_add(memory, "kernelTCP", usage_of(0, 0, 0));
	json_object_object_add(memory, "raw", raw);
	return memory;
}

static void add_io(json_object *array, const Hull__Agent__V1__DeviceIo *io, const char *op, uint64_t value)
{
	json_object *o = json_object_new_object();
	json_object_object_add(o, "major", json_object_new_int64(io->major));
	json_object_object_add(o, "minor", json_object_new_int64(io->minor));
	json_object_object_add(o, "op", json_object_new_string(op));
	json_object_object_add(o, "value", number(value));
	json_object_array_add(array, o);
}

static json_object *blkio_json(const Stats *s)
{
	json_object *blkio = json_object_new_object(), *bytes = json_object_new_array(), *ios = json_object_new_array();
	for (size_t i = 0; i < s->n_io; i++) {
		add_io(bytes, s->io[i], "Read", s->io[i]->read_bytes);
		add_io(bytes, s->io[i], "Write", s->io[i]->write_bytes);
		add_io(ios, s->io[i], "Read", s->io[i]->read_ios);
		add_io(ios, s->io[i], "Write", s->io[i]->write_ios);
	}
	json_object_object_add(blkio, "ioServiceBytesRecursive", bytes);
	json_object_object_add(blkio, "ioServicedRecursive", ios);
	return blkio;
}

/* runc's structure has no names of its own for JSON. Source: runc types/events.go, NetworkInterface. */
static json_object *interfaces_json(const Stats *s)
{
	json_object *array = json_object_new_array();
	for (size_t n = 0; n < s->n_interfaces; n++) {
		const Hull__Agent__V1__InterfaceCounters *i = s->interfaces[n];
		const struct {
			const char *key;
			uint64_t value;
		} counters[] = {
			{ "RxBytes", i->rx_bytes }, { "RxPackets", i->rx_packets }, { "RxErrors", i->rx_errors }, { "RxDropped", i->rx_dropped },
			{ "TxBytes", i->tx_bytes }, { "TxPackets", i->tx_packets }, { "TxErrors", i->tx_errors }, { "TxDropped", i->tx_dropped },
		};
		char name[64];
		json_object *o = json_object_new_object();
		json_object_object_add(o, "Name", json_object_new_string(hull_text_clean_line(name, sizeof(name), i->name)));
		for (size_t k = 0; k < HULL_ARRAY_SIZE(counters); k++)
			json_object_object_add(o, counters[k].key, number(counters[k].value));
		json_object_array_add(array, o);
	}
	return array;
}

static void print_event(const char *type, const char *id, json_object *data)
{
	json_object *event = json_object_new_object();
	json_object_object_add(event, "type", json_object_new_string(type));
	json_object_object_add(event, "id", json_object_new_string(id));
	if (data)
		json_object_object_add(event, "data", data);
	printf("%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	/* follow() and main() ask the stream for errors. */
	fflush(stdout);
	json_object_put(event);
}

static void print_stats(const char *id, const Stats *s)
{
	json_object *data = json_object_new_object(), *pids = json_object_new_object();
	json_object_object_add(pids, "current", number(s->pids_current));
	json_object_object_add(pids, "limit", number(s->pids_limit));
	json_object_object_add(data, "cpu", cpu_json(s));
	json_object_object_add(data, "memory", memory_json(s));
	json_object_object_add(data, "pids", pids);
	json_object_object_add(data, "blkio", blkio_json(s));
	json_object_object_add(data, "hugetlb", json_object_new_object());
	json_object_object_add(data, "network_interfaces", interfaces_json(s));
	print_event("stats", id, data);
}

/* "5s", "500ms", "1m" as Go writes durations, or a number of seconds. Milliseconds, or -EINVAL. */
static int64_t parse_interval(const char *text)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };
	_cleanup_free_ char *digits = hull_strdup(text);
	size_t n = strspn(text, "0123456789");
	int64_t value;
	digits[n] = '\0';
	if (hull_parse_i64(digits, 1, 1000000, &value) < 0)
		return -EINVAL;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(units); i++)
		if (strcmp(text + n, units[i].unit) == 0)
			return value * units[i].ms;
	return -EINVAL;
}

struct following {
	struct hull_client *client;
	const char *id;
	int64_t interval_ms;
	uint64_t oom_kills;            /* that are known */
};

static int print_now(struct following *f, bool first, struct hull_error *err)
{
	Hull__Pod__V1__ContainerRef ref = HULL__POD__V1__CONTAINER_REF__INIT;
	ProtobufCMessage *message = NULL;
	ref.container_id = (char *)(uintptr_t)f->id;
	int r = hull_client_call(f->client, "Stats", &ref.base, &hull__agent__v1__stats__descriptor, ASK_TIMEOUT_MS, NULL, 0, &message, err);
	if (r < 0)
		return r;
	const Stats *s = (const Stats *)message;
	if (first)
		f->oom_kills = s->oom_kills;
	print_stats(f->id, s);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

/* Until it is time for the next statistics. 0, or an error when the container has ended. */
static int print_ooms(struct following *f, struct hull_error *err)
{
	int64_t deadline_ms = hull_now_ms() + f->interval_ms;
	for (;;) {
		Hull__Agent__V1__OomWatch m = HULL__AGENT__V1__OOM_WATCH__INIT;
		ProtobufCMessage *message = NULL;
		int64_t left_ms = deadline_ms - hull_now_ms();
		m.container_id = (char *)(uintptr_t)f->id;
		m.known = f->oom_kills;
		if (left_ms <= 0)
			return 0;
		int r = hull_client_call(f->client, "AwaitOom", &m.base, &hull__agent__v1__oom_kills__descriptor, left_ms, NULL, 0, &message, err);
		if (r == -ETIMEDOUT) {
			hull_error_clear(err);
			return 0;
		}
		if (r < 0)
			return r;
		f->oom_kills = ((const Hull__Agent__V1__OomKills *)message)->count;
		protobuf_c_message_free_unpacked(message, NULL);
		print_event("oom", f->id, NULL);
	}
}

/* Prints until the container ends, which is no error, or until nobody reads. */
static int follow(const struct hull_cli *cli, const char *id, bool once, int64_t interval_ms, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	int r = hull_ask_connect(cli, id, &client, err);
	if (r < 0)
		return r;
	struct following f = { .client = client, .id = id, .interval_ms = interval_ms };
	r = print_now(&f, true, err);
	if (r < 0 || once)
		return r;
	while (!ferror(stdout) && print_ooms(&f, err) == 0 && print_now(&f, false, err) == 0)
		;
	hull_error_clear(err);
	return 0;
}

int hull_cmd_events(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	const char *interval = "5s";
	bool stats = false;
	const struct hull_option options[] = {
		{ "interval", 0, HULL_OPTION_STRING, &interval, "TIME", "time between statistics, such as 5s" },
		{ "stats", 0, HULL_OPTION_FLAG, &stats, NULL, "print statistics once and end" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "events", "CONTAINER", "Prints statistics and OOM events of a container as JSON lines.", 1, 1 };
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	int64_t interval_ms = parse_interval(interval);
	if (interval_ms < 0) {
		hull_error_set(err, EINVAL, "events: --interval: expected a time such as 5s, found \"%.32s\"", interval);
		return HULL_EXIT_FAILURE;
	}
	return follow(cli, argv[first], stats, interval_ms, err) < 0 ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
