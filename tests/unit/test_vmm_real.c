/* SPDX-License-Identifier: Apache-2.0 */
/* Needs root, QEMU and a guest kernel in $HULL_GUEST_DIR. Boots it and asks the guest what it sees. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "storage/share.h"
#include "vmm_boot.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

static const struct hull_vmm_ops *const qemu = &hull_vmm_qemu;

/* The kernel that a test is for is its initial state. */
#define BOOT_OR_SKIP(g, state) \
	struct vmm_guest *g = test_calloc(1, sizeof(*g)); \
	if (!vmm_guest_prepare(g, *(state))) { \
		test_free(g); \
		skip(); \
	}

static long proc_kib(pid_t pid, const char *key)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			return strtol(line + strlen(key), NULL, 10);
	return -1;
}

static void assert_status(pid_t pid, const char *words)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(hull_file_read(AT_FDCWD, path, 8192, &text, NULL), 0);
	if (!strstr(text, words))
		fail_msg("'%s' is not in:\n%s", words, text);
}

/* Boot, the channels, the jail, pause and resume, and the end. */
static void test_life(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct vmm_answer paused = { 0 }, resumed = { 0 };
	char answer[4096];

	vmm_guest_boot(g);
	pid_t pid = qemu->pid(g->vm);
	printf("%s: QMP running after %lld ms, init after %lld ms, PSS %ld MiB\n", (char *)*state,
	       (long long)g->running_ms, (long long)g->up_ms, proc_kib(pid, "Pss:") / 1024);
	vmm_guest_expect(g, "cpus", "cpus 1");
	assert_non_null(strstr(g->console, "init is up"));

	assert_status(pid, "Uid:\t31001\t31001\t31001\t31001\n");
	assert_status(pid, "CapBnd:\t0000000000000000\n");
	assert_status(pid, "NoNewPrivs:\t1\n");
	assert_status(pid, "Seccomp:\t2\n");

	qemu->pause(g->vm, vmm_answered, &paused);
	vmm_guest_succeeds(g, &paused);
	qemu->resume(g->vm, vmm_answered, &resumed);
	vmm_guest_succeeds(g, &resumed);
	vmm_guest_ask(g, "mem", answer);

	struct hull_procref ref;
	assert_int_equal(hull_procref_get(pid, &ref), 0);
	vmm_guest_end(g);
	assert_false(hull_procref_alive(&ref));
	assert_false(g->exited);
	test_free(g);
}

static void test_poweroff(void **state)
{
	BOOT_OR_SKIP(g, state)
	vmm_guest_boot(g);
	assert_int_equal(hull_fd_write_all(g->agent_fd, "poweroff\n", 9), 0);
	assert_true(vmm_guest_wait(g, &g->exited, 10000));
	assert_string_equal(g->exit_reason, "the guest powered off");
	assert_false(g->panicked);
	assert_int_equal(qemu->pid(g->vm), 0);

	/* What is asked of a VM that is gone fails, and not inside the call. */
	struct vmm_answer late = { 0 };
	qemu->pause(g->vm, vmm_answered, &late);
	assert_false(late.done);
	assert_true(vmm_guest_wait(g, &late.done, 1000));
	assert_int_equal(late.code, EPIPE);
	vmm_guest_end(g);
	test_free(g);
}

static void test_panic(void **state)
{
	BOOT_OR_SKIP(g, state)
	vmm_guest_boot(g);
	assert_int_equal(hull_fd_write_all(g->agent_fd, "panic\n", 6), 0);
	assert_true(vmm_guest_wait(g, &g->exited, 10000));
	assert_true(g->panicked);
	assert_string_equal(g->exit_reason, "the guest kernel panicked");
	vmm_guest_end(g);
	test_free(g);
}

static void test_killed(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct vmm_answer waiting = { 0 };
	vmm_guest_boot(g);
	kill(qemu->pid(g->vm), SIGSTOP);
	qemu->pause(g->vm, vmm_answered, &waiting);
	kill(qemu->pid(g->vm), SIGKILL);
	assert_true(vmm_guest_wait(g, &g->exited, 5000));
	assert_string_equal(g->exit_reason, "qemu-system-x86_64 was killed by signal 9 (Killed)");
	assert_true(waiting.done);
	assert_int_equal(waiting.code, EPIPE);
	vmm_guest_end(g);
	test_free(g);
}

static void test_resize(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct vmm_answer grown = { 0 }, shrunk = { 0 }, too_much = { 0 }, second = { 0 }, again = { 0 };
	char before[4096], after[4096];

	g->config.memory_max_bytes = 1024ULL << 20;
	g->config.vcpus_max = 4;
	vmm_guest_boot(g);
	vmm_guest_ask(g, "mem", before);
	vmm_guest_expect(g, "cpus", "cpus 1");

	int64_t begin = hull_now_ms();
	qemu->resize(g->vm, 512ULL << 20, 2, vmm_answered, &grown);
	/* The second waits for the first. */
	qemu->resize(g->vm, 768ULL << 20, 3, vmm_answered, &second);
	vmm_guest_succeeds(g, &grown);
	printf("%s: +256 MiB and +1 vCPU after %lld ms\n", (char *)*state, (long long)(hull_now_ms() - begin));
	vmm_guest_succeeds(g, &second);
	vmm_guest_expect(g, "cpus", "cpus 3");
	/* The guest puts the memory to use a moment after it has taken it. */
	long more = 0;
	for (int i = 0; i < 100 && more < 500 * 1024; i++)
		more = strtol(vmm_guest_ask(g, "mem", after) + 4, NULL, 10) - strtol(before + 4, NULL, 10);
	assert_in_range(more, 500 * 1024, 512 * 1024);

	qemu->resize(g->vm, 2048ULL << 20, 1, vmm_answered, &too_much);
	vmm_guest_wait(g, &too_much.done, 1000);
	assert_int_equal(too_much.code, EINVAL);

	qemu->resize(g->vm, 256ULL << 20, 1, vmm_answered, &shrunk);
	vmm_guest_succeeds(g, &shrunk);
	/* Under TCG CPUs only come. */
	vmm_guest_expect(g, "cpus", "cpus 3");
	vmm_guest_ask(g, "mem", after);
	assert_string_equal(before, after);

	qemu->resize(g->vm, 256ULL << 20, 4, vmm_answered, &again);
	vmm_guest_succeeds(g, &again);
	vmm_guest_expect(g, "cpus", "cpus 4");
	vmm_guest_end(g);
	test_free(g);
}

static int scratch_disk(size_t size)
{
	char path[] = "/tmp/hull-disk-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void test_disks(void **state)
{
	BOOT_OR_SKIP(g, state)
	int fd = scratch_disk(8 << 20), fd2 = scratch_disk(4 << 20);
	char path[32];
	_cleanup_close_ int readonly_fd = open(hull_fd_path(fd2, path), O_RDONLY | O_CLOEXEC);
	struct vmm_answer added = { 0 }, added_ro = { 0 }, twice = { 0 }, refused = { 0 }, full = { 0 };
	struct vmm_answer removed = { 0 }, again = { 0 }, absent = { 0 };
	struct hull_disk data = { "data", fd, false, "serial-data", .discard = true, .iothread = true,
				  .limits = { .read_bps = 100 << 20, .write_iops = 1000 } };
	struct hull_disk ro = { .id = "ro", .fd = fd2, .readonly = true, .serial = "serial-ro" };
	struct hull_disk wrong = { .id = "wrong", .fd = readonly_fd }, third = { .id = "third", .fd = fd, .readonly = true };

	g->config.hotplug_ports = 2;
	vmm_guest_boot(g);
	int64_t begin = hull_now_ms();
	qemu->add_disk(g->vm, &data, vmm_answered, &added);
	qemu->add_disk(g->vm, &ro, vmm_answered, &added_ro);
	qemu->add_disk(g->vm, &ro, vmm_answered, &twice);
	qemu->add_disk(g->vm, &wrong, vmm_answered, &refused);
	qemu->add_disk(g->vm, &third, vmm_answered, &full);
	close(fd);
	close(fd2);
	vmm_guest_succeeds(g, &added);
	vmm_guest_succeeds(g, &added_ro);
	vmm_guest_expect(g, "blk", "serial-data:16384:0");
	vmm_guest_expect(g, "blk", "serial-ro:8192:1");
	printf("%s: two disks in the guest after %lld ms\n", (char *)*state, (long long)(hull_now_ms() - begin));
	assert_int_equal(twice.code, EEXIST);
	assert_int_equal(refused.code, EACCES);
	assert_int_equal(full.code, ENOSPC);

	begin = hull_now_ms();
	qemu->remove_disk(g->vm, "data", vmm_answered, &removed);
	vmm_guest_succeeds(g, &removed);
	printf("%s: disk unplugged after %lld ms\n", (char *)*state, (long long)(hull_now_ms() - begin));
	vmm_guest_expect_not(g, "blk", "serial-data");
	qemu->remove_disk(g->vm, "data", vmm_answered, &absent);
	vmm_guest_wait(g, &absent.done, 1000);
	assert_int_equal(absent.code, ENOENT);

	/* Port, name and backend are free again. */
	int fd3 = scratch_disk(2 << 20);
	data.fd = fd3;
	qemu->add_disk(g->vm, &data, vmm_answered, &again);
	close(fd3);
	vmm_guest_succeeds(g, &again);
	vmm_guest_expect(g, "blk", "serial-data:4096:0");
	vmm_guest_end(g);
	test_free(g);
}

static int make_tap(bool multi_queue, const char *name)
{
	struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi_queue ? IFF_MULTI_QUEUE : 0)) };
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0)
		fail_msg("cannot make a tap: %s", strerror(errno));
	return tap;
}

static void test_nic(void **state)
{
	BOOT_OR_SKIP(g, state)
	int tap = make_tap(false, "");
	struct vmm_answer added = { 0 }, removed = { 0 };
	struct hull_nic nic = { .id = "eth0", .tap_fds = &tap, .queues = 1, .mac = "02:00:00:12:34:56" };

	vmm_guest_boot(g);
	qemu->add_nic(g->vm, &nic, vmm_answered, &added);
	close(tap);
	vmm_guest_succeeds(g, &added);
	vmm_guest_expect(g, "net", "02:00:00:12:34:56");
	qemu->remove_nic(g->vm, "eth0", vmm_answered, &removed);
	vmm_guest_succeeds(g, &removed);
	vmm_guest_expect_not(g, "net", "02:00:00:12:34:56");
	vmm_guest_end(g);
	test_free(g);
}

/* One that is there from the start goes like any other, and its slot can be used again; this one has two queues, then. */
static void test_cold_nic(void **state)
{
	BOOT_OR_SKIP(g, state)
	char name[IFNAMSIZ];
	snprintf(name, sizeof(name), "hulltest%d", getpid() % 1000000);
	int cold = make_tap(false, ""), hot[2] = { make_tap(true, name), make_tap(true, name) };
	struct vmm_answer added = { 0 }, removed = { 0 }, again = { 0 };
	struct hull_nic nics[] = { { .id = "a", .tap_fds = &cold, .queues = 1, .mac = "02:00:00:12:34:01" } };
	struct hull_nic nic = { .id = "a", .tap_fds = hot, .queues = 2, .mac = "02:00:00:12:34:02" };

	g->config.nics = nics;
	g->config.n_nics = 1;
	vmm_guest_boot(g);
	close(cold);
	vmm_guest_expect(g, "net", "02:00:00:12:34:01");
	qemu->remove_nic(g->vm, "a", vmm_answered, &removed);
	vmm_guest_succeeds(g, &removed);
	vmm_guest_expect_not(g, "net", "02:00:00:12:34:01");
	qemu->add_nic(g->vm, &nic, vmm_answered, &added);
	close(hot[0]);
	close(hot[1]);
	vmm_guest_succeeds(g, &added);
	vmm_guest_expect(g, "net", "02:00:00:12:34:02");
	qemu->remove_nic(g->vm, "a", vmm_answered, &again);
	vmm_guest_succeeds(g, &again);
	vmm_guest_end(g);
	test_free(g);
}

static void share_ended(void *data, const char *reason)
{
	printf("virtiofsd: %s\n", reason);
}

/* A share, there from the start or plugged in later, and a mount that comes after that. */
static void share(void **state, bool cold)
{
	if (access(VIRTIOFSD, X_OK) < 0)
		skip();
	BOOT_OR_SKIP(g, state)
	char dir[] = "/tmp/hull-share-XXXXXX", source[] = "/tmp/hull-source-XXXXXX", file[128];
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_share *s = NULL;
	int vhost_fd = -1;

	assert_non_null(mkdtemp(dir));
	assert_non_null(mkdtemp(source));
	snprintf(file, sizeof(file), "%s/hello", source);
	assert_int_equal(hull_file_replace(AT_FDCWD, file, "words\n", 6, 0644), 0);
	if (hull_share_start(&g->loop, VIRTIOFSD, dir, share_ended, NULL, &vhost_fd, &s, &err) < 0)
		fail_msg("%s", err.message);
	g->config.hotplug_ports = 2;
	g->config.share_tag = "hull";
	g->config.share_fd = cold ? vhost_fd : -1;
	vmm_guest_boot(g);
	if (!cold) {
		struct vmm_answer added = { 0 };
		int64_t begin = hull_now_ms();
		qemu->add_share(g->vm, vhost_fd, "hull", vmm_answered, &added);
		vmm_guest_succeeds(g, &added);
		vmm_guest_expect(g, "fs hull .", "fs ");
		printf("%s: share plugged and mounted after %lld ms\n", (char *)*state, (long long)(hull_now_ms() - begin));
	} else {
		printf("%s: with the share from the start, init after %lld ms\n", (char *)*state, (long long)g->up_ms);
	}
	int mount_fd = hull_mount_clone(source, true, &err);
	assert_true(mount_fd >= 0);
	assert_int_equal(hull_share_add_rootfs(s, "web", mount_fd, true, &err), 0);
	close(mount_fd);
	vmm_guest_expect(g, "fs hull web/rootfs/hello", "fs words");

	hull_share_free(s);
	vmm_guest_end(g);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(hull_rmtree(AT_FDCWD, source), 0);
	test_free(g);
}

static void test_share_cold(void **state)
{
	share(state, true);
}

static void test_share_hot(void **state)
{
	share(state, false);
}

/* A start that fails says why, in QEMU's own words, and only through `done`. */
static void test_start_fails(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct hull_error err = HULL_ERROR_INIT;
	char bad[128];

	snprintf(bad, sizeof(bad), "%s/bad-kernel", g->dir);
	assert_int_equal(hull_file_replace(AT_FDCWD, bad, "no kernel", 9, 0644), 0);
	g->config.kernel_path = bad;
	assert_int_equal(vmm_guest_start(g, &err), 0);
	assert_true(vmm_guest_wait(g, &g->started, 10000));
	assert_true(g->start_failed);
	assert_non_null(strstr(g->start_error, "start VM: qemu-system-x86_64 exited with status 1: "));
	assert_non_null(strstr(g->start_error, "kernel"));
	assert_false(g->exited);
	vmm_guest_end(g);
	test_free(g);
}

static void test_start_refused(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct hull_error err = HULL_ERROR_INIT;

	g->config.vmm_path = "/no/such/qemu";
	assert_int_equal(vmm_guest_start(g, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/no/such/qemu"));
	g->config.vmm_path = "/usr/bin/qemu-system-x86_64";
	g->config.vcpus = 0;
	assert_int_equal(vmm_guest_start(g, &err), -EINVAL);
	vmm_guest_end(g);
	test_free(g);
}

/* free() during the start tells whoever waits. */
static void test_start_canceled(void **state)
{
	BOOT_OR_SKIP(g, state)
	struct hull_error err = HULL_ERROR_INIT;

	assert_int_equal(vmm_guest_start(g, &err), 0);
	vmm_guest_end(g);
	assert_true(g->started && g->start_failed);
	assert_false(g->exited);
	test_free(g);
}

static void test_debug_console(void **state)
{
	BOOT_OR_SKIP(g, state)
	g->config.debug_console = true;
	vmm_guest_boot(g);
	assert_non_null(strstr(g->console, "Linux version"));
	vmm_guest_end(g);
	test_free(g);
}

static void test_version(void **state)
{
	char text[128];
	struct hull_error err = HULL_ERROR_INIT;
	if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
		skip();
	assert_int_equal(hull_vmm_version("/usr/bin/qemu-system-x86_64", text, sizeof(text), &err), 0);
	assert_non_null(strstr(text, "QEMU emulator version"));
}

/* Everything happens in namespaces of this process' own. */
static int setup(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	return unshare(CLONE_NEWNET) < 0 || hull_share_enter_namespace(&err) < 0 ? -1 : 0;
}

#define FOR(kernel, test) { kernel ": " #test, test, NULL, NULL, (void *)(uintptr_t)kernel }

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR("debian", test_life), FOR("hull", test_life),
		FOR("debian", test_poweroff), FOR("hull", test_poweroff),
		FOR("debian", test_panic), FOR("hull", test_panic),
		FOR("debian", test_resize), FOR("hull", test_resize),
		FOR("debian", test_disks), FOR("hull", test_disks),
		FOR("debian", test_nic), FOR("hull", test_nic),
		FOR("debian", test_cold_nic), FOR("hull", test_cold_nic),
		FOR("debian", test_share_cold), FOR("hull", test_share_cold),
		FOR("debian", test_share_hot), FOR("hull", test_share_hot),
		FOR("debian", test_killed),
		FOR("debian", test_start_fails),
		FOR("debian", test_start_refused),
		FOR("debian", test_start_canceled),
		FOR("debian", test_debug_console), FOR("hull", test_debug_console),
		cmocka_unit_test(test_version),
	};
	if (geteuid() != 0)
		return 77;
	if (getenv("HULL_TEST_FILTER"))
		cmocka_set_test_filter(getenv("HULL_TEST_FILTER"));
	return cmocka_run_group_tests(tests, setup, NULL);
}
