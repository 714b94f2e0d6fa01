/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's parts that need no VM: its command line, containerd's bootstrap, mount options, FIFOs, records, logging programs, metrics. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "rpc/rpc.h"
#include "shim/any.h"
#include "shim/args.h"
#include "shim/bootstrap.h"
#include "shim/io.h"
#include "shim/logger.h"
#include "shim/metrics.h"
#include "shim/record.h"
#include "shim/rootfs.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "/tmp/hull-shim-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return hull_rmtree(AT_FDCWD, dir);
}

/* ---- arguments */

static int parse(struct shim_args *a, struct hull_error *err, const char *const *words)
{
	char *argv[32] = { (char *)(uintptr_t)"shim" };
	int argc = 1;
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	*err = (struct hull_error)HULL_ERROR_INIT;
	return shim_args_parse(argc, argv, a, err);
}

static void arguments_as_go_writes_them(void **unused)
{
	(void)unused;
	struct shim_args a;
	struct hull_error err;
	const char *const containerd[] = { "-namespace", "k8s.io", "-address", "/run/a", "-publish-binary", "/b", "-id", "x", "-debug", "start", NULL };
	assert_int_equal(parse(&a, &err, containerd), 0);
	assert_string_equal(a.namespace, "k8s.io");
	assert_string_equal(a.id, "x");
	assert_string_equal(a.action, "start");
	assert_true(a.debug);
	const char *const isulad[] = { "--id", "x", "--namespace=isula", "start", NULL };
	assert_int_equal(parse(&a, &err, isulad), 0);
	assert_string_equal(a.namespace, "isula");
	assert_null(a.address);
	_cleanup_free_ char *id = shim_hull_id(&a, a.id);
	assert_string_equal(id, "isula+x");
	const char *const version[] = { "-v", NULL };
	assert_int_equal(parse(&a, &err, version), 0);
	assert_true(a.version);
}

static void bad_arguments_are_named(void **unused)
{
	(void)unused;
	struct shim_args a;
	struct hull_error err;
	static const struct { const char *words[8]; const char *message; } cases[] = {
		{ { NULL }, "nothing to do" },
		{ { "-id", "x", "start", NULL }, "-namespace" },
		{ { "-namespace", "n", "start", NULL }, "-id" },
		{ { "-namespace", "n", "-id", "../x", "start", NULL }, "-id" },
		{ { "-namespace", "n", "-id", "a+b", "start", NULL }, "-id" },
		{ { "-namespace", "n", "-id", NULL }, "-id needs a value" },
		{ { "-what", NULL }, "unknown option -what" },
		{ { "-namespace", "n", "-id", "x", "start", "delete", NULL }, "more than one action" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		assert_true(parse(&a, &err, cases[i].words) < 0);
		assert_non_null(strstr(err.message, cases[i].message));
	}
}

/* ---- bootstrap */

static void runc_options(Hull__Containerd__Any *any, uint8_t **data)
{
	Hull__Containerd__RuncOptions o = HULL__CONTAINERD__RUNC_OPTIONS__INIT;
	o.root = (char *)(uintptr_t)"/run/elsewhere";
	o.no_pivot_root = true;
	hull__containerd__any__init(any);
	*data = shim_pack(&o.base, &any->value.len);
	any->value.data = *data;
	any->type_url = (char *)(uintptr_t)"containerd.runc.v1.Options";
}

static void options_of_containerd_1(void **unused)
{
	(void)unused;
	Hull__Containerd__Any any;
	_cleanup_free_ uint8_t *inner = NULL;
	struct shim_options o = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	bool modern = true;
	size_t len;
	runc_options(&any, &inner);
	_cleanup_free_ uint8_t *data = shim_pack(&any.base, &len);
	assert_int_equal(shim_bootstrap_decode(data, len, "ns", "x", &o, &modern, &err), 0);
	assert_false(modern);
	assert_string_equal(o.root, "/run/elsewhere");
	assert_true(o.no_pivot);
	shim_options_clear(&o);
	assert_int_equal(shim_bootstrap_decode(data, 0, "ns", "x", &o, &modern, &err), 0);
	assert_null(o.root);
}

static void parameters_of_containerd_2(void **unused)
{
	(void)unused;
	Hull__Containerd__BootstrapParams p = HULL__CONTAINERD__BOOTSTRAP_PARAMS__INIT;
	Hull__Containerd__RuntimeOptions generic = HULL__CONTAINERD__RUNTIME_OPTIONS__INIT;
	Hull__Containerd__Any any = HULL__CONTAINERD__ANY__INIT, other = HULL__CONTAINERD__ANY__INIT;
	Hull__Containerd__Extension e[2] = { HULL__CONTAINERD__EXTENSION__INIT, HULL__CONTAINERD__EXTENSION__INIT }, *pointers[] = { &e[0], &e[1] };
	struct shim_options o = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	bool modern = false;
	size_t len;

	generic.config_path = (char *)(uintptr_t)"/etc/hull/other.conf";
	_cleanup_free_ uint8_t *inner = shim_pack(&generic.base, &any.value.len);
	any.value.data = inner;
	any.type_url = (char *)(uintptr_t)"types.example/runtimeoptions.v1.Options";
	other.type_url = (char *)(uintptr_t)"containerd.io/nri.v1.PluginConfig";
	e[0].value = &other;
	e[1].value = &any;
	p.n_extensions = 2;
	p.extensions = pointers;
	p.instance_id = (char *)(uintptr_t)"x";
	p.namespace_ = (char *)(uintptr_t)"ns";
	p.log_level = -4;
	_cleanup_free_ uint8_t *data = shim_pack(&p.base, &len);
	assert_int_equal(shim_bootstrap_decode(data, len, "ns", "x", &o, &modern, &err), 0);
	assert_true(modern);
	assert_string_equal(o.config, "/etc/hull/other.conf");
	shim_options_clear(&o);
}

static void unknown_options_are_refused_by_name(void **unused)
{
	(void)unused;
	Hull__Containerd__Any any = HULL__CONTAINERD__ANY__INIT;
	struct shim_options o = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	any.type_url = (char *)(uintptr_t)"example.v1.Options";
	assert_true(shim_options_add(&o, &any, &err) < 0);
	assert_non_null(strstr(err.message, "example.v1.Options"));
	uint8_t junk[] = { 0xff, 0xff, 0xff };
	any.type_url = (char *)(uintptr_t)"containerd.runc.v1.Options";
	any.value = (ProtobufCBinaryData){ .len = sizeof(junk), .data = junk };
	assert_int_equal(shim_options_add(&o, &any, &err), -EBADMSG);
}

/* ---- mounts */

static void mount_options(void **unused)
{
	(void)unused;
	char *options[] = { (char *)(uintptr_t)"ro", (char *)(uintptr_t)"rbind", (char *)(uintptr_t)"rprivate", (char *)(uintptr_t)"loop",
			    (char *)(uintptr_t)"index=off", (char *)(uintptr_t)"lowerdir=/a:/b", (char *)(uintptr_t)"nosuid", (char *)(uintptr_t)"suid" };
	struct shim_mount_options o;
	shim_mount_options_parse(options, HULL_ARRAY_SIZE(options), &o);
	assert_true(o.flags == (MS_RDONLY | MS_BIND | MS_REC));
	assert_true(o.propagation == (MS_PRIVATE | MS_REC));
	assert_true(o.loop);
	assert_string_equal(o.data, "index=off,lowerdir=/a:/b");
	free(o.data);
}

static void overlay_of_many_layers(void **unused)
{
	(void)unused;
	_cleanup_free_ char *data = NULL;
	_cleanup_free_ char *base = shim_overlay_shorten("workdir=/s/9/work,lowerdir=/s/snapshots/10/fs:/s/snapshots/11/fs:/s/snapshots/2/fs,index=off", &data);
	assert_string_equal(base, "/s/snapshots/");
	assert_string_equal(data, "workdir=/s/9/work,lowerdir=10/fs:11/fs:2/fs,index=off");
	char *none = NULL;
	assert_null(shim_overlay_shorten("lowerdir=/a:/b", &none));
	assert_null(shim_overlay_shorten("upperdir=/a", &none));
	assert_null(shim_overlay_shorten("lowerdir=a:b", &none));
}

/* ---- FIFOs */

struct io_test {
	uv_loop_t loop;
	struct shim_host host;
	struct shim_io *io;
	char *out;
};

static void open_fifo(struct io_test *t, const char *in)
{
	struct hull_error err = HULL_ERROR_INIT;
	t->out = hull_asprintf("%s/out", dir);
	assert_int_equal(mkfifo(t->out, 0600), 0);
	uv_loop_init(&t->loop);
	t->host = (struct shim_host){ .mount_ns = -1, .root = open("/", O_PATH | O_CLOEXEC) };
	const struct shim_stdio stdio = { (char *)(uintptr_t)in, t->out, (char *)(uintptr_t)"", false };
	t->io = shim_io_open(&t->loop, &t->host, &stdio, "x", "ns", &err);
	assert_non_null(t->io);
}

static void close_fifo(struct io_test *t)
{
	shim_io_free(t->io);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&t->loop), 0);
	close(t->host.root);
	unlink(t->out);
	free(t->out);
}

/* What the process wrote without a reader is there for one that comes after the end, and then the end is. */
static void output_waits_for_its_reader(void **unused)
{
	(void)unused;
	struct io_test t;
	int fds[3];
	char buf[16];
	open_fifo(&t, "");
	shim_io_fds(t.io, fds);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[2], -1);
	assert_int_equal(write(fds[1], "hello", 5), 5);
	shim_io_lent(t.io);
	shim_io_finish(t.io);
	uv_run(&t.loop, UV_RUN_NOWAIT);
	_cleanup_close_ int reader = open(t.out, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(read(reader, buf, sizeof(buf)), 5);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(read(reader, buf, sizeof(buf)), 0);
	close_fifo(&t);
}

static void a_reader_sees_the_end_at_once(void **unused)
{
	(void)unused;
	struct io_test t;
	int fds[3];
	char buf[16];
	open_fifo(&t, "");
	_cleanup_close_ int reader = open(t.out, O_RDONLY | O_CLOEXEC);
	shim_io_fds(t.io, fds);
	assert_int_equal(write(fds[1], "bye", 3), 3);
	shim_io_finish(t.io);
	assert_int_equal(read(reader, buf, sizeof(buf)), 3);
	assert_int_equal(read(reader, buf, sizeof(buf)), 0);
	close_fifo(&t);
}

/* Its last writer may leave: stdin ends with CloseIO only. */
static void stdin_ends_with_close_io(void **unused)
{
	(void)unused;
	struct io_test t;
	int fds[3];
	char buf[16];
	_cleanup_free_ char *in = hull_asprintf("%s/in", dir);
	assert_int_equal(mkfifo(in, 0600), 0);
	open_fifo(&t, in);
	shim_io_fds(t.io, fds);
	int client = open(in, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(client, "x", 1), 1);
	close(client);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 1);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
	shim_io_close_stdin(t.io);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	close_fifo(&t);
	unlink(in);
}

static void bad_stdio_is_refused_by_name(void **unused)
{
	(void)unused;
	static const char *const bad[] = { "npipe:////./pipe/x", "relative", "/no/such/fifo" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(bad); i++) {
		struct hull_error err = HULL_ERROR_INIT;
		uv_loop_t loop;
		uv_loop_init(&loop);
		struct shim_host host = { .mount_ns = -1, .root = open("/", O_PATH | O_CLOEXEC) };
		const struct shim_stdio stdio = { (char *)(uintptr_t)"", (char *)(uintptr_t)bad[i], (char *)(uintptr_t)"", false };
		assert_null(shim_io_open(&loop, &host, &stdio, "x", "ns", &err));
		assert_non_null(strstr(err.message, "stdout"));
		assert_non_null(strstr(err.message, bad[i]));
		uv_run(&loop, UV_RUN_DEFAULT);
		uv_loop_close(&loop);
		close(host.root);
	}
}

static void logging_programs(void **unused)
{
	(void)unused;
	struct hull_strv argv = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(shim_logger_parse("binary:///usr/bin/log%20it?--key=a%2Fb+c&flag&x=", &argv, &err), 0);
	assert_int_equal(argv.n, 6);
	assert_string_equal(argv.v[0], "/usr/bin/log it");
	assert_string_equal(argv.v[1], "--key");
	assert_string_equal(argv.v[2], "a/b c");
	assert_string_equal(argv.v[3], "flag");
	assert_string_equal(argv.v[4], "x");
	assert_string_equal(argv.v[5], "");
	hull_strv_clear(&argv);
	assert_true(shim_logger_parse("binary://relative", &argv, &err) < 0);
	assert_int_equal(shim_logger_parse("binary:///x%2", &argv, &err), 0);
	assert_string_equal(argv.v[0], "/x%2");
	hull_strv_clear(&argv);
}

/* ---- the rest */

static void records_survive_a_round_trip(void **unused)
{
	(void)unused;
	struct hull_error err = HULL_ERROR_INIT;
	struct shim_record back, r = { .root = (char *)(uintptr_t)"/run/hull", .pod_id = (char *)(uintptr_t)"ns+x", .socket = (char *)(uintptr_t)"/run/hull/s/1" };
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(hull_procref_get(getpid(), &r.shim), 0);
	assert_int_equal(shim_record_read(dir, &back), -ENOENT);
	assert_int_equal(shim_record_write(fd, &r, &err), 0);
	assert_int_equal(shim_record_read(dir, &back), 0);
	assert_string_equal(back.pod_id, "ns+x");
	assert_true(hull_procref_alive(&back.shim));
	shim_record_clear(&back);
	assert_int_equal(hull_file_replace(fd, "hull-shim", "/a\nb\n", 5, 0600), 0);
	assert_int_equal(shim_record_read(dir, &back), -EBADMSG);
}

static void metrics_of_a_container(void **unused)
{
	(void)unused;
	Hull__Agent__V1__Stats s = HULL__AGENT__V1__STATS__INIT;
	Hull__Agent__V1__KeyedNumber key = HULL__AGENT__V1__KEYED_NUMBER__INIT, *keys[] = { &key };
	size_t len;
	key.key = (char *)(uintptr_t)"inactive_file";
	key.value = 4096;
	Hull__Agent__V1__InterfaceCounters eth0 = HULL__AGENT__V1__INTERFACE_COUNTERS__INIT, *interfaces[] = { &eth0 };
	eth0.name = (char *)(uintptr_t)"eth0";
	eth0.rx_bytes = 100;
	eth0.tx_dropped = 3;
	s.n_interfaces = 1;
	s.interfaces = interfaces;
	s.n_memory_stat = 1;
	s.memory_stat = keys;
	s.cpu_usage_us = 17;
	s.memory_usage_bytes = 8192;
	s.oom_kills = 2;
	_cleanup_free_ uint8_t *data = shim_metrics_pack(&s, &len);
	Hull__Containerd__Metrics *m = (void *)hull_rpc_unpack(&hull__containerd__metrics__descriptor, len, data);
	assert_non_null(m);
	assert_int_equal(m->cpu->usage_usec, 17);
	assert_int_equal(m->memory->inactive_file, 4096);
	assert_int_equal(m->memory->usage, 8192);
	assert_true(m->memory->usage_limit == UINT64_MAX);
	assert_int_equal(m->memory_events->oom_kill, 2);
	assert_int_equal(m->n_network, 1);
	assert_string_equal(m->network[0]->name, "eth0");
	assert_int_equal(m->network[0]->rx_bytes, 100);
	assert_int_equal(m->network[0]->tx_dropped, 3);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_as_go_writes_them),
		cmocka_unit_test(bad_arguments_are_named),
		cmocka_unit_test(options_of_containerd_1),
		cmocka_unit_test(parameters_of_containerd_2),
		cmocka_unit_test(unknown_options_are_refused_by_name),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(overlay_of_many_layers),
		cmocka_unit_test_setup_teardown(output_waits_for_its_reader, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_reader_sees_the_end_at_once, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(stdin_ends_with_close_io, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(bad_stdio_is_refused_by_name, make_dir, remove_dir),
		cmocka_unit_test(logging_programs),
		cmocka_unit_test_setup_teardown(records_survive_a_round_trip, make_dir, remove_dir),
		cmocka_unit_test(metrics_of_a_container),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
