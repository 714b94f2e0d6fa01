/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/modules.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

/* What a guest may write to its console; the supervisor bounds it as well. */
#define LOG_MAX_BYTES (1u << 20)

uint64_t hull_boottime_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void hull_poweroff(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* A machine without a power switch: the panic of a dying init ends it (panic=-1). */
	_exit(1);
}

/*
 * The initramfs holds this program, which every process of a container still is in the moment before it becomes its own program, so
 * that /proc/PID/exe leads a container to it. Read-only, it can be looked at and no more. Both mounts of it, since that name leads
 * to the one below, from which the kernel has started init.
 */
static int seal_root(int below, struct hull_error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	if (mount_setattr(below, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
	    mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return hull_error_errno(err, errno, "make the root read-only");
	return 0;
}

/*
 * The initramfs cannot be the old root of a pivot_root() because nothing is mounted below it. A second mount of it
 * on top can, so that containers get a real pivot_root() and never a chroot. Source: pivot_root(2), NOTES.
 */
static int stack_root(struct hull_error *err)
{
	if (mkdir("/.root", 0755) < 0 && errno != EEXIST)
		return hull_error_errno(err, errno, "mkdir /.root");
	if (mount("/", "/.root", NULL, MS_BIND, NULL) < 0)
		return hull_error_errno(err, errno, "bind the root");
	if (chdir("/.root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return hull_error_errno(err, errno, "stack the root");
	rmdir("/.root");
	return 0;
}

static int mount_all(struct hull_error *err)
{
	static const struct {
		const char *source, *target, *type, *data;
		unsigned long flags;
	} mounts[] = {
		{ "devtmpfs", "/dev", "devtmpfs", "mode=755", MS_NOSUID },
		{ "devpts", "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620", MS_NOSUID | MS_NOEXEC },
		{ "proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "cgroup2", HULL_CGROUP_MOUNT, "cgroup2", "nsdelegate,memory_recursiveprot",
		  MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "tmpfs", "/run", "tmpfs", "mode=755,size=8m", MS_NOSUID | MS_NODEV },
		{ "tmpfs", "/tmp", "tmpfs", "mode=1777,size=8m", MS_NOSUID | MS_NODEV },
	};
	static const char *const dirs[] = { HULL_RUN_DIR, HULL_SHARE_DIR, HULL_SHM_DIR, HULL_ROOT_DIR };

	for (size_t i = 0; i < HULL_ARRAY_SIZE(mounts); i++) {
		if (mkdir(mounts[i].target, 0755) < 0 && errno != EEXIST)
			return hull_error_errno(err, errno, "mkdir %s", mounts[i].target);
		if (mount(mounts[i].source, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data) < 0)
			return hull_error_errno(err, errno, "mount %s", mounts[i].target);
	}
	for (size_t i = 0; i < HULL_ARRAY_SIZE(dirs); i++) {
		if (mkdir(dirs[i], 0755) < 0 && errno != EEXIST)
			return hull_error_errno(err, errno, "mkdir %s", dirs[i]);
	}
	return 0;
}

/* Descriptors 0 to 2 are /dev/null: nothing that a library prints goes anywhere. */
static void open_null(void)
{
	int fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++) {
		if (fd != i)
			dup2(fd, i);
	}
	if (fd > 2)
		close(fd);
}

/* "hull.log=debug" on the kernel's command line. */
static enum hull_log_level log_level(void)
{
	enum hull_log_level level = HULL_LOG_INFO;
	_cleanup_free_ char *text = NULL;
	if (hull_file_read(AT_FDCWD, "/proc/cmdline", 4096, &text, NULL) < 0)
		return level;
	char *p = strstr(text, "hull.log=");
	if (!p)
		return level;
	p += strlen("hull.log=");
	p[strcspn(p, " \n")] = '\0';
	hull_log_level_parse(p, &level);
	return level;
}

/* A blocked console must never block the agent, hence O_NONBLOCK. */
static void open_log(enum hull_log_level level)
{
	static const char *const sinks[] = { "/dev/hvc0", "/dev/console", "/dev/kmsg" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(sinks); i++) {
		int fd = open(sinks[i], O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		hull_log_setup(fd, HULL_LOG_TEXT, level, LOG_MAX_BYTES);
		return;
	}
}

static void set_sysctls(void)
{
	static const struct {
		const char *path, *value;
	} sysctls[] = {
		/* Grace periods of a few ms add up: attaching processes, mounts, the end of namespaces. A guest this
		 * small does not feel the interrupts. First, as the rest of the boot gains too. */
		{ "/sys/kernel/rcu_expedited", "1" },
		{ "/proc/sys/kernel/panic", "-1" },
		{ "/proc/sys/kernel/panic_on_oops", "1" },
		{ "/proc/sys/kernel/modprobe", "/init" },
		/* Docker and containerd set this too: ping without CAP_NET_RAW. */
		{ "/proc/sys/net/ipv4/ping_group_range", "0 2147483647" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(sysctls); i++) {
		int r = hull_file_write(AT_FDCWD, sysctls[i].path, sysctls[i].value);
		/* A kernel without modules has no modprobe. */
		if (r < 0 && r != -ENOENT)
			hull_log_warning("%s: %s", sysctls[i].path, strerror(-r));
	}
}

/* A pidfd and up to four pipes or terminals per process. Containers do not inherit this (child.c). */
static void raise_file_limit(void)
{
	const struct rlimit limit = { .rlim_cur = 1u << 16, .rlim_max = 1u << 20 };
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		hull_log_warning("RLIMIT_NOFILE: %s", strerror(errno));
}

static void loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		hull_log_warning("lo: %s", strerror(errno));
}

/*
 * What containers together may not take: the agent, and the kernel's memory that no control group is charged for.
 * 1/32 of the VM, at least 24 MiB and at most 96 MiB.
 */
static uint64_t reserve_bytes(uint64_t total)
{
	const uint64_t least = 24u << 20, most = 96u << 20;
	uint64_t reserve = total / 32;
	if (reserve < least)
		reserve = least;
	return reserve > most ? most : reserve;
}

void hull_boot_update_reserve(void)
{
	struct sysinfo info;
	if (sysinfo(&info) < 0)
		return;
	uint64_t total = (uint64_t)info.totalram * info.mem_unit;

	/* The kernel sets threads-max at boot and does not follow hot-plugged memory. Source: linux kernel/fork.c,
	 * set_max_threads(): an eighth of the memory for 16 KiB stacks; the margin is for kernel threads and the agent. */
	uint64_t threads = total / (8u * 16384u), margin = 256;
	if (threads < 1024)
		threads = 1024;
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)threads);
	hull_file_write(AT_FDCWD, "/proc/sys/kernel/threads-max", text);

	uint64_t pids = threads - margin, pid_max = 32768 - margin;
	hull_cgroup_limit_pod(total - reserve_bytes(total), pids < pid_max ? pids : pid_max);
}

int hull_boot(struct hull_error *err)
{
	umask(022);
	_cleanup_close_ int below = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (below < 0)
		return hull_error_errno(err, errno, "open the root");
	if (stack_root(err) < 0 || mount_all(err) < 0 || seal_root(below, err) < 0)
		return -err->code;
	open_null();
	enum hull_log_level level = log_level();
	uint64_t mounted = hull_boottime_ns();

	hull_modules_load_boot();
	open_log(level);
	hull_log_debug("boot: mounted at %llu us", (unsigned long long)mounted / 1000);
	hull_log_debug("boot: modules loaded at %llu us", (unsigned long long)hull_boottime_ns() / 1000);

	set_sysctls();
	if (hull_cgroup_setup(err) < 0)
		return hull_error_wrap(err, "control groups");
	hull_boot_update_reserve();
	hull_file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-1000");
	raise_file_limit();
	loopback_up();
	return 0;
}
