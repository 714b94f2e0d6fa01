/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The /init of the guests that test_vmm_real boots. It loads the modules listed in /modules/list, says "up"
 * on the agent port and then answers one line per line: what does the guest see?
 *
 *     cpus            "cpus 2"                     online CPUs, after bringing all present ones online
 *     mem             "mem 262144"                 MemTotal in KiB
 *     blk             "blk SERIAL:SECTORS:RO …"    virtio disks
 *     net             "net MAC …"                  all interfaces but lo
 *     fs TAG PATH     "fs TEXT"                    mounts the share TAG at /mnt and reads a line of PATH in it
 *     panic           a kernel panic, at once
 *     poweroff        the end of the VM
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static int port = -1;

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0 || port < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(port, line, (size_t)n) < 0)
		reboot(RB_POWER_OFF);
}

/* The first line of a file in /sys or /proc, without its end. */
static const char *first_line(const char *path, char buf[static 256])
{
	buf[0] = '\0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, 255) : 0;
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static void load_modules(void)
{
	char name[256], path[300];
	FILE *list = fopen("/modules/list", "re");
	while (list && fgets(name, sizeof(name), list)) {
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
			printf("%s: %s\n", name, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	if (list)
		fclose(list);
}

/* Opens the port called hull.agent, which may appear a moment after the driver was loaded. */
static void open_port(void)
{
	char path[512], text[256];
	for (int i = 0; i < 2000 && port < 0; i++) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *e;
		while (dir && (e = readdir(dir)) != NULL) {
			snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
			if (strcmp(first_line(path, text), "hull.agent") != 0)
				continue;
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			port = open(path, O_RDWR | O_CLOEXEC);
		}
		if (dir)
			closedir(dir);
		if (port < 0)
			usleep(1000);
	}
}

/* Walks /sys/`dir` and lets `fn` append to `out`. */
static void list(const char *dir, void (*fn)(const char *name, char *out, size_t size), char *out, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			fn(e->d_name, out + strlen(out), size - strlen(out));
	if (d)
		closedir(d);
}

static void cpu_online(const char *name, char *out, size_t size)
{
	char path[300], text[256];
	if (strncmp(name, "cpu", 3) != 0 || name[3] < '0' || name[3] > '9')
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s/online", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			printf("%s: %s\n", path, strerror(errno));
		close(fd);
	}
	if (strcmp(first_line(path, text), "0") != 0)
		snprintf(out, size, "x");
}

static void disk(const char *name, char *out, size_t size)
{
	char path[300], serial[256], sectors[256], ro[256];
	if (strncmp(name, "vd", 2) != 0)
		return;
	snprintf(path, sizeof(path), "/sys/block/%s/serial", name);
	first_line(path, serial);
	snprintf(path, sizeof(path), "/sys/block/%s/size", name);
	first_line(path, sectors);
	snprintf(path, sizeof(path), "/sys/block/%s/ro", name);
	snprintf(out, size, " %s:%s:%s", serial, sectors, first_line(path, ro));
}

static void nic(const char *name, char *out, size_t size)
{
	char path[300], mac[256];
	if (strcmp(name, "lo") == 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/net/%s/address", name);
	snprintf(out, size, " %s", first_line(path, mac));
}

static void answer_mem(void)
{
	char line[256];
	first_line("/proc/meminfo", line);
	say("mem %ld", strtol(line + strcspn(line, "0123456789"), NULL, 10));
}

static void answer_fs(char *args)
{
	char path[300], text[256];
	char *file = strchr(args, ' ');
	if (!file)
		return;
	*file++ = '\0';
	if (mount(args, "/mnt", "virtiofs", 0, NULL) < 0 && errno != EBUSY) {
		say("fs error %s", strerror(errno));
		return;
	}
	snprintf(path, sizeof(path), "/mnt/%s", file);
	say("fs %s", first_line(path, text));
}

static void answer(char *line)
{
	char out[2048] = "";
	if (strcmp(line, "cpus") == 0) {
		list("/sys/devices/system/cpu", cpu_online, out, sizeof(out));
		say("cpus %zu", strlen(out));
	} else if (strcmp(line, "mem") == 0) {
		answer_mem();
	} else if (strcmp(line, "blk") == 0) {
		list("/sys/block", disk, out, sizeof(out));
		say("blk%s", out);
	} else if (strcmp(line, "net") == 0) {
		list("/sys/class/net", nic, out, sizeof(out));
		say("net%s", out);
	} else if (strncmp(line, "fs ", 3) == 0) {
		answer_fs(line + 3);
	} else if (strcmp(line, "panic") == 0) {
		int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "c", 1) < 0)
			exit(1);
	} else if (strcmp(line, "poweroff") == 0) {
		reboot(RB_POWER_OFF);
	} else {
		say("unknown %s", line);
	}
}

int main(void)
{
	static const char *const dirs[] = { "/proc", "/sys", "/dev", "/mnt" };
	char line[512];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mkdir(dirs[i], 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	int console = open("/dev/hvc0", O_RDWR | O_CLOEXEC);
	if (console >= 0) {
		dup2(console, 1);
		setvbuf(stdout, NULL, _IOLBF, 0);
	}
	open_port();
	printf("init is up\n");
	say("up");
	FILE *in = fdopen(dup(port), "re");
	while (in && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		answer(line);
	}
	reboot(RB_POWER_OFF);
}
