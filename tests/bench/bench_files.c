/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works on files of a directory and says how long each kind of work took, as "name microseconds". As PID 1 (a bare guest) it mounts
 * the virtiofs tag "bench" first and powers the machine off at the end; otherwise the directory is its argument.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BIG (64 << 20)
#define RANDOM_OPERATIONS 2000
#define SMALL_FILES 500

static char buffer[128 << 10];

static void must(int good, const char *what)
{
	if (!good) {
		printf("failed: %s\n", what);
		exit(1);
	}
}

static long long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void sequential(int fd, int writing)
{
	for (off_t at = 0; at < BIG; at += sizeof(buffer))
		must((writing ? pwrite(fd, buffer, sizeof(buffer), at) : pread(fd, buffer, sizeof(buffer), at)) == sizeof(buffer), "sequential");
}

static void random_4k(int fd, int writing)
{
	unsigned seed = 1;
	for (int i = 0; i < RANDOM_OPERATIONS; i++) {
		off_t at = (off_t)(rand_r(&seed) % (BIG / 4096)) * 4096;
		must((writing ? pwrite(fd, buffer, 4096, at) : pread(fd, buffer, 4096, at)) == 4096, "random");
	}
}

static void small(int what)
{
	char name[32];
	struct stat st;
	for (int i = 0; i < SMALL_FILES; i++) {
		snprintf(name, sizeof(name), "small-%d", i);
		if (what == 0) {
			int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
			must(fd >= 0 && write(fd, name, sizeof(name)) == sizeof(name) && close(fd) == 0, "create");
		} else {
			must((what == 1 ? stat(name, &st) : unlink(name)) == 0, "stat or unlink");
		}
	}
}

static void report(const char *name, long long since)
{
	printf("bench %s %lld\n", name, now_us() - since);
}

static void work(void)
{
	int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0, "open");
	long long t = now_us();
	sequential(fd, 1);
	report("write-128k", t);
	close(fd);
	/* Opened anew: what the guest had cached of it is gone, the host's cache is warm for all. */
	fd = open("big", O_RDWR);
	t = now_us();
	sequential(fd, 0);
	report("read-128k", t);
	close(fd);
	fd = open("big", O_RDWR);
	t = now_us();
	random_4k(fd, 0);
	report("randread-4k", t);
	t = now_us();
	random_4k(fd, 1);
	report("randwrite-4k", t);
	close(fd);
	unlink("big");
	static const char *const kinds[] = { "create", "stat", "unlink" };
	for (int i = 0; i < 3; i++) {
		t = now_us();
		small(i);
		report(kinds[i], t);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (getpid() == 1 && argc < 2) {
		mkdir("/bench", 0755);
		must(mount("bench", "/bench", "virtiofs", 0, NULL) == 0 && chdir("/bench") == 0, "mount");
		work();
		puts("bench over 0");
		reboot(RB_POWER_OFF);
	}
	must(argc > 1 && chdir(argv[1]) == 0, "chdir");
	work();
	return 0;
}
