/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives a hull-agent by hand: agent-drive SOCKET < SCRIPT
 *
 * SOCKET is the host's end of the port "hull.agent" (a QEMU chardev with server=on). One command per line; each prints
 * its result and how long it took. The VM ends with this program, so one script is one session.
 *
 *     info | sandbox [HOSTNAME [TAG]] | create ID CONFIG ROOTFS [i][o][e][r] | start ID | delete ID | pause ID | resume ID
 *     exec ID EXEC PROCESS [i][o][e] | kill ID EXEC|- SIGNAL [all] | wait ID EXEC|- | rm ID EXEC | ps ID
 *     resize ID EXEC|- ROWS COLUMNS | stdio ID EXEC|- [quiet|hold] | send TEXT | flood BYTES | eof | broken | grant BYTES
 *     drain MS | sleep MS | bench N ID PROCESS | shutdown
 *
 * i, o, e: stdin, stdout, stderr are connected; r: read-only rootfs. send, flood, eof, broken (nobody reads stdout any more),
 * grant and drain are about the last stream that was opened. hold: grant nothing.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "rpc/agent.pb-c.h"
#include "rpc/rpc.h"

#define SERVICE "hull.agent.v1.Agent"
#define TIMEOUT_MS 70000
#define ARGS_MAX 8

struct stream {
	struct hull_rpc_stream *rpc;
	bool quiet, hold, ended;
	uint64_t received[3], stdin_credit;
	unsigned frames;
};

struct drive {
	uv_loop_t loop;
	struct hull_rpc_client *client;
	struct stream stream;
	char *arg[ARGS_MAX];
	int n;
	bool failed;
};

static double now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static const char *arg(const struct drive *d, int i)
{
	return i < d->n && strcmp(d->arg[i], "-") != 0 ? d->arg[i] : "";
}

static ProtobufCMessage *call(struct drive *d, const char *method, const ProtobufCMessage *request,
			      const ProtobufCMessageDescriptor *type)
{
	struct hull_error err = HULL_ERROR_INIT;
	ProtobufCMessage *response = NULL;
	double began = now_ms();
	int r = hull_rpc_call_sync(d->client, SERVICE, method, request, type, TIMEOUT_MS, NULL, 0, &response, &err);
	printf("%-16s %8.2f ms  %s%s\n", method, now_ms() - began, r < 0 ? "ERROR " : "ok",
	       r < 0 ? err.message : "");
	d->failed = r < 0;
	return response;
}

static void call_empty(struct drive *d, const char *method, const ProtobufCMessage *request)
{
	ProtobufCMessage *response = call(d, method, request, &hull__agent__v1__empty__descriptor);
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
}

static void do_info(struct drive *d)
{
	Hull__Agent__V1__Empty request = HULL__AGENT__V1__EMPTY__INIT;
	Hull__Agent__V1__Info *info = (Hull__Agent__V1__Info *)call(d, "GetInfo", &request.base,
								     &hull__agent__v1__info__descriptor);
	if (!info)
		return;
	printf("  kernel %s, memory %" PRIu64 " KiB (%" PRIu64 " available), agent rss %" PRIu64
	       " KiB, cpus %u, started %.1f ms, ready %.1f ms\n",
	       info->kernel_release, info->memory_total_bytes / 1024, info->memory_available_bytes / 1024,
	       info->agent_rss_bytes / 1024, info->cpus_online, (double)info->started_ns / 1e6, (double)info->ready_ns / 1e6);
	hull__agent__v1__info__free_unpacked(info, NULL);
}

static void do_sandbox(struct drive *d)
{
	Hull__Agent__V1__CreateSandboxRequest request = HULL__AGENT__V1__CREATE_SANDBOX_REQUEST__INIT;
	uint8_t entropy[64];
	struct timespec ts;
	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	request.pod_id = (char *)"drive";
	request.hostname = (char *)arg(d, 1);
	request.share_tag = (char *)arg(d, 2);
	request.realtime_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	request.entropy = (ProtobufCBinaryData){ .len = sizeof(entropy), .data = entropy };
	call_empty(d, "CreateSandbox", &request.base);
}

static bool read_file(const char *path, ProtobufCBinaryData *ret)
{
	char *text;
	size_t n;
	int r = hull_file_read(AT_FDCWD, path, 3u << 20, &text, &n);
	if (r < 0) {
		printf("%s: %s\n", path, strerror(-r));
		return false;
	}
	*ret = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)text };
	return true;
}

static void print_started(ProtobufCMessage *response)
{
	if (!response)
		return;
	printf("  pid %d\n", ((Hull__Agent__V1__ProcessStarted *)response)->guest_pid);
	protobuf_c_message_free_unpacked(response, NULL);
}

static void do_create(struct drive *d)
{
	Hull__Agent__V1__CreateContainerRequest request = HULL__AGENT__V1__CREATE_CONTAINER_REQUEST__INIT;
	const char *flags = arg(d, 4);
	if (!read_file(arg(d, 2), &request.spec_json))
		return;
	request.container_id = (char *)arg(d, 1);
	request.rootfs = (char *)arg(d, 3);
	request.has_stdin = strchr(flags, 'i') != NULL;
	request.has_stdout = strchr(flags, 'o') != NULL;
	request.has_stderr = strchr(flags, 'e') != NULL;
	request.readonly_rootfs = strchr(flags, 'r') != NULL;
	print_started(call(d, "CreateContainer", &request.base, &hull__agent__v1__process_started__descriptor));
	free(request.spec_json.data);
}

static bool exec_one(struct drive *d, const char *id, const char *exec_id, const char *path, const char *flags)
{
	Hull__Agent__V1__ExecRequest request = HULL__AGENT__V1__EXEC_REQUEST__INIT;
	if (!read_file(path, &request.process_json))
		return false;
	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	request.has_stdin = strchr(flags, 'i') != NULL;
	request.has_stdout = strchr(flags, 'o') != NULL;
	request.has_stderr = strchr(flags, 'e') != NULL;
	print_started(call(d, "Exec", &request.base, &hull__agent__v1__process_started__descriptor));
	free(request.process_json.data);
	return !d->failed;
}

static void ref_call(struct drive *d, const char *method)
{
	Hull__Agent__V1__ContainerRef request = HULL__AGENT__V1__CONTAINER_REF__INIT;
	request.container_id = (char *)arg(d, 1);
	call_empty(d, method, &request.base);
}

static void process_call(struct drive *d, const char *method, const char *id, const char *exec_id)
{
	Hull__Agent__V1__ProcessRef request = HULL__AGENT__V1__PROCESS_REF__INIT;
	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	if (strcmp(method, "Wait") != 0) {
		call_empty(d, method, &request.base);
		return;
	}
	Hull__Agent__V1__ExitStatus *status = (Hull__Agent__V1__ExitStatus *)
		call(d, method, &request.base, &hull__agent__v1__exit_status__descriptor);
	if (!status)
		return;
	printf("  exit %d signal %d oom %d\n", status->exit_code, status->signal, status->oom_killed);
	hull__agent__v1__exit_status__free_unpacked(status, NULL);
}

static void do_kill(struct drive *d)
{
	Hull__Agent__V1__SignalRequest request = HULL__AGENT__V1__SIGNAL_REQUEST__INIT;
	request.container_id = (char *)arg(d, 1);
	request.exec_id = (char *)arg(d, 2);
	request.signal = hull_parse_signal(arg(d, 3));
	request.all = strcmp(arg(d, 4), "all") == 0;
	call_empty(d, "Signal", &request.base);
}

static void do_resize(struct drive *d)
{
	Hull__Agent__V1__ResizeRequest request = HULL__AGENT__V1__RESIZE_REQUEST__INIT;
	request.container_id = (char *)arg(d, 1);
	request.exec_id = (char *)arg(d, 2);
	request.rows = (uint32_t)atoi(arg(d, 3));
	request.columns = (uint32_t)atoi(arg(d, 4));
	call_empty(d, "ResizeTerminal", &request.base);
}

static void do_ps(struct drive *d)
{
	Hull__Agent__V1__ContainerRef request = HULL__AGENT__V1__CONTAINER_REF__INIT;
	request.container_id = (char *)arg(d, 1);
	Hull__Agent__V1__ProcessList *list = (Hull__Agent__V1__ProcessList *)
		call(d, "ListProcesses", &request.base, &hull__agent__v1__process_list__descriptor);
	for (size_t i = 0; list && i < list->n_processes; i++) {
		const Hull__Agent__V1__Process *p = list->processes[i];
		printf("  %5d %5d %-8s %-6s start %" PRIu64 " cpu %" PRIu64 " [%s] %s\n", p->pid, p->ppid, p->user, p->tty,
		       p->start_ms, p->cpu_ms, p->exec_id, p->command);
	}
	if (list)
		hull__agent__v1__process_list__free_unpacked(list, NULL);
}

/* ----------------------------------------------------------------- streams */

static void grant(struct stream *s, int channel, uint64_t bytes)
{
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = (Hull__Agent__V1__StdioFrame__Channel)channel;
	frame.credit = bytes;
	hull_rpc_stream_send(s->rpc, &frame.base);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct stream *s = data;
	const Hull__Agent__V1__StdioFrame *frame = (const Hull__Agent__V1__StdioFrame *)message;
	int channel = (int)frame->channel;
	s->frames++;
	if (channel == 0)
		s->stdin_credit += frame->credit;
	if (channel < 0 || channel > 2)
		return;
	s->received[channel] += frame->data.len;
	if (!s->quiet && frame->data.len)
		printf("  <%d> %.*s\n", channel, (int)frame->data.len, (const char *)frame->data.data);
	if (frame->flushed)
		printf("  <%d> flushed after %" PRIu64 " bytes\n", channel, s->received[channel]);
	if (frame->eof)
		printf("  <%d> eof after %" PRIu64 " bytes\n", channel, s->received[channel]);
	if (frame->data.len && !s->hold)
		grant(s, channel, frame->data.len);
}

static void on_end(void *data, const struct hull_rpc_status *status)
{
	struct stream *s = data;
	printf("  stream ended: %d %s, %" PRIu64 " + %" PRIu64 " bytes in %u frames\n", status->code, status->message,
	       s->received[1], s->received[2], s->frames);
	s->ended = true;
	hull_rpc_stream_free(TAKE_PTR(s->rpc));
}

static void do_stdio(struct drive *d)
{
	static const struct hull_rpc_stream_ops ops = { .on_message = on_message, .on_end = on_end };
	Hull__Agent__V1__ProcessRef ref = HULL__AGENT__V1__PROCESS_REF__INIT;
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	hull_rpc_stream_free(d->stream.rpc);
	d->stream = (struct stream){ .quiet = strcmp(arg(d, 3), "quiet") == 0, .hold = strcmp(arg(d, 3), "hold") == 0 };
	ref.container_id = (char *)arg(d, 1);
	ref.exec_id = (char *)arg(d, 2);
	frame.open = &ref;
	d->stream.rpc = hull_rpc_stream_open(d->client, SERVICE, "Stdio", &frame.base,
					     &hull__agent__v1__stdio_frame__descriptor, &ops, &d->stream);
	for (int channel = 1; channel <= 2 && !d->stream.hold; channel++)
		grant(&d->stream, channel, 256u << 10);
}

static void on_timer(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_stop(timer->loop);
}

/* Runs the loop for so long, or until the stream ends. */
static void run_for(struct drive *d, uint64_t ms, bool until_end)
{
	bool over = false;
	uv_timer_t timer = { .data = &over };
	uv_timer_init(&d->loop, &timer);
	uv_update_time(&d->loop);
	uv_timer_start(&timer, on_timer, ms, 0);
	while (!over && !(until_end && !d->stream.rpc))
		uv_run(&d->loop, UV_RUN_ONCE);
	uv_timer_stop(&timer);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&d->loop, UV_RUN_NOWAIT);
}

static void drain(struct drive *d, uint64_t ms)
{
	double began = now_ms();
	run_for(d, ms, true);
	printf("drain            %8.2f ms\n", now_ms() - began);
}

static void send_data(struct drive *d, const char *text, size_t n, bool eof)
{
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	if (!d->stream.rpc)
		return;
	frame.data = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)text };
	frame.eof = eof;
	hull_rpc_stream_send(d->stream.rpc, &frame.base);
}

/* Sends so many bytes as the agent grants them. */
static void flood(struct drive *d, uint64_t bytes)
{
	_cleanup_free_ char *block = hull_calloc(1, 32768);
	double began = now_ms();
	memset(block, 'x', 32768);
	while (bytes > 0 && d->stream.rpc && now_ms() - began < 60000) {
		uint64_t n = bytes < 32768 ? bytes : 32768;
		if (n > d->stream.stdin_credit)
			n = d->stream.stdin_credit;
		if (n == 0) {
			uv_run(&d->loop, UV_RUN_ONCE);
			continue;
		}
		send_data(d, block, n, false);
		d->stream.stdin_credit -= n;
		bytes -= n;
		uv_run(&d->loop, UV_RUN_NOWAIT);
	}
	printf("flood            %8.2f ms, %" PRIu64 " bytes left\n", now_ms() - began, bytes);
}

static void do_bench(struct drive *d)
{
	int n = atoi(arg(d, 1));
	double began = now_ms();
	for (int i = 0; i < n; i++) {
		char exec_id[32];
		snprintf(exec_id, sizeof(exec_id), "bench-%d", i);
		if (!exec_one(d, arg(d, 2), exec_id, arg(d, 3), ""))
			return;
		process_call(d, "Wait", arg(d, 2), exec_id);
		process_call(d, "DeleteProcess", arg(d, 2), exec_id);
	}
	printf("bench            %8.2f ms per exec, wait and delete\n", (now_ms() - began) / n);
}

/* ---------------------------------------------------------------- commands */

static void do_start(struct drive *d) { ref_call(d, "StartContainer"); }
static void do_delete(struct drive *d) { ref_call(d, "DeleteContainer"); }
static void do_pause(struct drive *d) { ref_call(d, "PauseContainer"); }
static void do_resume(struct drive *d) { ref_call(d, "ResumeContainer"); }
static void do_exec(struct drive *d) { exec_one(d, arg(d, 1), arg(d, 2), arg(d, 3), arg(d, 4)); }
static void do_wait(struct drive *d) { process_call(d, "Wait", arg(d, 1), arg(d, 2)); }
static void do_rm(struct drive *d) { process_call(d, "DeleteProcess", arg(d, 1), arg(d, 2)); }
static void do_flood(struct drive *d) { flood(d, strtoull(arg(d, 1), NULL, 10)); }
static void do_eof(struct drive *d) { send_data(d, NULL, 0, true); }
static void do_broken(struct drive *d)
{
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	frame.channel = HULL__AGENT__V1__STDIO_FRAME__CHANNEL__STDOUT;
	frame.eof = 1;
	if (d->stream.rpc)
		hull_rpc_stream_send(d->stream.rpc, &frame.base);
}

static void do_drain(struct drive *d) { drain(d, strtoull(arg(d, 1), NULL, 10)); }
static void do_grant(struct drive *d) { grant(&d->stream, 1, strtoull(arg(d, 1), NULL, 10)); }

static void do_send(struct drive *d)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "%s\n", arg(d, 1));
	send_data(d, text, (size_t)n, false);
}

static void do_sleep(struct drive *d) { run_for(d, strtoull(arg(d, 1), NULL, 10), false); }

static void do_shutdown(struct drive *d)
{
	Hull__Agent__V1__Empty request = HULL__AGENT__V1__EMPTY__INIT;
	call_empty(d, "Shutdown", &request.base);
}

static const struct {
	const char *name;
	void (*run)(struct drive *d);
} commands[] = {
	{ "info", do_info },     { "sandbox", do_sandbox }, { "create", do_create }, { "start", do_start },
	{ "delete", do_delete }, { "pause", do_pause },     { "resume", do_resume }, { "exec", do_exec },
	{ "kill", do_kill },     { "wait", do_wait },       { "rm", do_rm },         { "ps", do_ps },
	{ "resize", do_resize }, { "stdio", do_stdio },     { "send", do_send },     { "flood", do_flood },
	{ "eof", do_eof },       { "broken", do_broken },   { "grant", do_grant },     { "drain", do_drain },   { "sleep", do_sleep },
	{ "bench", do_bench },   { "shutdown", do_shutdown },
};

static void run_line(struct drive *d, char *line)
{
	char *save = NULL;
	d->n = 0;
	for (char *p = strtok_r(line, " \n", &save); p && d->n < ARGS_MAX; p = strtok_r(NULL, " \n", &save))
		d->arg[d->n++] = p;
	if (d->n == 0 || d->arg[0][0] == '#')
		return;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, d->arg[0]) == 0) {
			commands[i].run(d);
			return;
		}
	}
	printf("unknown command %s\n", d->arg[0]);
}

static void on_close(void *data, const char *reason)
{
	printf("connection closed: %s\n", reason);
	exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct drive d = { 0 };
	char *line = NULL;
	size_t room = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: agent-drive SOCKET < SCRIPT\n");
		return 2;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&d.loop);
	d.client = hull_rpc_client_new(&d.loop, fd, NULL, on_close, NULL);
	while (getline(&line, &room, stdin) > 0)
		run_line(&d, line);
	free(line);
	return 0;
}
