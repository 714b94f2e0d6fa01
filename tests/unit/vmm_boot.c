/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"

/* One member of a cpio archive. Source: cpio(5), "New ASCII Format". */
static void cpio_add(FILE *out, const char *name, unsigned mode, const void *data, size_t size)
{
	static const char zero[4];
	size_t name_size = strlen(name) + 1;
	fprintf(out, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0,
		name_size, 0);
	fwrite(name, name_size, 1, out);
	fwrite(zero, (4 - (110 + name_size) % 4) % 4, 1, out);
	if (size > 0)
		fwrite(data, size, 1, out);
	fwrite(zero, (4 - size % 4) % 4, 1, out);
}

static void cpio_add_file(FILE *out, const char *name, const char *path)
{
	_cleanup_free_ char *data = NULL;
	size_t size;
	if (hull_file_read(AT_FDCWD, path, 64 << 20, &data, &size) < 0)
		fail_msg("cannot read %s", path);
	cpio_add(out, name, 0100755, data, size);
}

/* The modules that the tests need, in load order, with a list of their names. */
static void cpio_add_modules(FILE *out, const char *dir)
{
	static const char *const late[] = { "failover", "net_failover", "virtio_net", "virtio_blk", "virtio_mem" };
	_cleanup_free_ char *order = hull_asprintf("%s/order", dir);
	_cleanup_fclose_ FILE *in = fopen(order, "re");
	char list[4096] = "", line[512], group[16], name[64], file[80], path[PATH_MAX], member[128];
	size_t used = 0;

	assert_non_null(in);
	cpio_add(out, "modules", 040755, NULL, 0);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%15s %63s %79s", group, name, file) != 3)
			continue;
		bool wanted = strcmp(group, "boot") == 0;
		for (size_t i = 0; i < HULL_ARRAY_SIZE(late); i++)
			wanted = wanted || strcmp(name, late[i]) == 0;
		if (!wanted)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, file);
		snprintf(member, sizeof(member), "modules/%s", file);
		cpio_add_file(out, member, path);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s\n", file);
		assert_true(used < sizeof(list));
	}
	cpio_add(out, "modules/list", 0100644, list, strlen(list));
}

static void make_initramfs(const char *path, const char *modules)
{
	char init[PATH_MAX];
	_cleanup_fclose_ FILE *out = fopen(path, "we");

	assert_non_null(out);
	ssize_t n = readlink("/proc/self/exe", init, sizeof(init) - 16);
	assert_true(n > 0);
	init[n] = '\0';
	char *base = strrchr(init, '/') + 1;
	snprintf(base, sizeof(init) - (size_t)(base - init), "vmm_guest");
	cpio_add(out, "dev", 040755, NULL, 0);
	cpio_add_file(out, "init", init);
	if (modules)
		cpio_add_modules(out, modules);
	cpio_add(out, "TRAILER!!!", 0, NULL, 0);
}

static void tick(uv_timer_t *timer)
{
}

static int lowest_free_fd(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

bool vmm_guest_prepare(struct vmm_guest *g, const char *kernel)
{
	static char kernel_path[PATH_MAX], modules_path[PATH_MAX], initrd_path[128];
	const char *assets = getenv("HULL_GUEST_DIR");
	bool debian = strcmp(kernel, "debian") == 0;

	memset(g, 0, sizeof(*g));
	g->agent_fd = -1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/%s", assets ? assets : "build-guest",
		 debian ? "vmlinuz-debian" : "vmlinux-hull");
	snprintf(modules_path, sizeof(modules_path), "%s/modules-debian", assets ? assets : "build-guest");
	if (access(kernel_path, R_OK) < 0 || (debian && access(modules_path, R_OK) < 0) ||
	    access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
		return false;
	snprintf(g->dir, sizeof(g->dir), "/tmp/hull-vmm-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", g->dir);
	make_initramfs(initrd_path, debian ? modules_path : NULL);
	chmod(initrd_path, 0644);
	g->lowest_free_fd = lowest_free_fd();
	uv_loop_init(&g->loop);
	uv_timer_init(&g->loop, &g->tick);
	uv_timer_start(&g->tick, tick, 2, 2);
	g->config = (struct hull_vm_config){
		.vmm_path = "/usr/bin/qemu-system-x86_64", .kernel_path = kernel_path, .initrd_path = initrd_path,
		.kernel_cmdline = "quiet panic=-1", .accel = HULL_ACCEL_TCG,
		.memory_bytes = 256ULL << 20, .memory_max_bytes = 256ULL << 20, .vcpus = 1, .vcpus_max = 1,
		.run_as_uid = 31001, .run_as_gid = 31001, .run_dir = g->dir, .share_fd = -1,
	};
	return true;
}

static void on_started(void *data, const struct hull_error *err)
{
	struct vmm_guest *g = data;
	assert_false(g->started);
	g->started = true;
	g->start_failed = err != NULL;
	g->running_ms = hull_now_ms() - g->start_ms;
	if (err)
		snprintf(g->start_error, sizeof(g->start_error), "%s", err->message);
}

static void on_exit_of_vm(void *data, const char *reason)
{
	struct vmm_guest *g = data;
	assert_false(g->exited);
	g->exited = true;
	snprintf(g->exit_reason, sizeof(g->exit_reason), "%s", reason);
}

static void on_panic(void *data)
{
	struct vmm_guest *g = data;
	assert_false(g->panicked);
	g->panicked = true;
}

static void on_console(void *data, const uint8_t *bytes, size_t n)
{
	struct vmm_guest *g = data;
	if (n > sizeof(g->console) - 1 - g->console_len)
		n = sizeof(g->console) - 1 - g->console_len;
	memcpy(g->console + g->console_len, bytes, n);
	g->console_len += n;
}

int vmm_guest_start(struct vmm_guest *g, struct hull_error *err)
{
	static const struct hull_vmm_events events = {
		.on_exit = on_exit_of_vm, .on_guest_panic = on_panic, .on_console = on_console,
	};
	g->start_ms = hull_now_ms();
	return hull_vmm_qemu.start(&g->loop, &g->config, &events, g, on_started, &g->agent_fd, &g->vm, err);
}

/* One turn of the loop: until something happens or the tick of 2 ms. */
static void turn(struct vmm_guest *g)
{
	uv_run(&g->loop, UV_RUN_ONCE);
}

bool vmm_guest_wait(struct vmm_guest *g, const bool *flag, int timeout_ms)
{
	int64_t deadline = hull_now_ms() + timeout_ms;
	while (!*flag && hull_now_ms() < deadline)
		turn(g);
	return *flag;
}

/* Reads a line from the agent port. */
static bool read_line(struct vmm_guest *g, char line[static 4096], int timeout_ms)
{
	int64_t deadline = hull_now_ms() + timeout_ms;
	size_t n = 0;
	while (hull_now_ms() < deadline && n < 4095) {
		ssize_t got = recv(g->agent_fd, line + n, 1, MSG_DONTWAIT);
		if (got == 1 && line[n++] == '\n') {
			line[n - 1] = '\0';
			return true;
		}
		if (got == 0)
			break;
		if (got < 0)
			turn(g);
	}
	line[n] = '\0';
	return false;
}

void vmm_guest_boot(struct vmm_guest *g)
{
	struct hull_error err = HULL_ERROR_INIT;
	char line[4096];

	if (vmm_guest_start(g, &err) < 0)
		fail_msg("%s", err.message);
	if (!vmm_guest_wait(g, &g->started, 20000) || g->start_failed)
		fail_msg("not started: %s", g->start_error);
	if (!read_line(g, line, 60000))
		fail_msg("no word from init; exit: %s; console:\n%s", g->exit_reason, g->console);
	g->up_ms = hull_now_ms() - g->start_ms;
	assert_string_equal(line, "up");
}

const char *vmm_guest_ask(struct vmm_guest *g, const char *question, char answer[static 4096])
{
	_cleanup_free_ char *line = hull_asprintf("%s\n", question);
	assert_int_equal(hull_fd_write_all(g->agent_fd, line, strlen(line)), 0);
	if (!read_line(g, answer, 20000))
		fail_msg("no answer to '%s'; exit: %s; console:\n%s", question, g->exit_reason, g->console);
	return answer;
}

static void expect(struct vmm_guest *g, const char *question, const char *words, bool present)
{
	char answer[4096];
	int64_t deadline = hull_now_ms() + 10000;
	while ((strstr(vmm_guest_ask(g, question, answer), words) != NULL) != present) {
		if (hull_now_ms() > deadline)
			fail_msg("'%s' is %s the answer to '%s': %s", words, present ? "not in" : "still in", question, answer);
		for (int i = 0; i < 5; i++)
			turn(g);
	}
}

void vmm_guest_expect(struct vmm_guest *g, const char *question, const char *words)
{
	expect(g, question, words, true);
}

void vmm_guest_expect_not(struct vmm_guest *g, const char *question, const char *words)
{
	expect(g, question, words, false);
}

void vmm_guest_end(struct vmm_guest *g)
{
	hull_vmm_qemu.free(g->vm);
	uv_close((uv_handle_t *)&g->tick, NULL);
	if (g->agent_fd >= 0)
		close(g->agent_fd);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	assert_int_equal(lowest_free_fd(), g->lowest_free_fd);
	assert_int_equal(hull_rmtree(AT_FDCWD, g->dir), 0);
}

void vmm_answered(void *data, const struct hull_error *err)
{
	struct vmm_answer *answer = data;
	assert_false(answer->done);
	answer->done = true;
	answer->code = err ? err->code : 0;
	snprintf(answer->message, sizeof(answer->message), "%s", err ? err->message : "");
}

void vmm_guest_succeeds(struct vmm_guest *g, struct vmm_answer *answer)
{
	if (!vmm_guest_wait(g, &answer->done, 30000))
		fail_msg("no answer");
	if (answer->code == EPIPE)
		vmm_guest_wait(g, &g->exited, 3000);
	if (answer->code)
		fail_msg("%s; exit: %s; console:\n%s", answer->message, g->exit_reason, g->console);
}
