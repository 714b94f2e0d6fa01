/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets fio work on a file of a directory and then works on many small ones. Says "bench NAME VALUE": KiB a second, operations a second,
 * operations a second. As PID 1 (a bare guest) it goes into the virtiofs tag "bench" first, works in its /data and powers the machine
 * off at the end; otherwise the directory is its argument. A second argument keeps
 * all in the page cache, for where there is no guest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SMALL_FILES 1000
#define FIELDS_MAX 128
/* Fields of fio's terse output, version 3, from 0: KiB a second and operations a second. */
#define READ_KIB 6
#define READ_IOPS 7
#define WRITE_KIB 47
#define WRITE_IOPS 48

static void must(int good, const char *what)
{
	if (!good) {
		printf("failed: %s\n", what);
		exit(1);
	}
}

/* ---- one big file */

struct job {
	const char *name, *rw, *bs, *direct, *length;
	int field;
};

/*
 * Sequential work goes through the guest's page cache, as programs do it, over the whole file once; random work past it, because it is the
 * way to the host that is measured. The host's page cache answers in each case: virtiofsd does not hand O_DIRECT on.
 */
static const struct job jobs[] = {
	{ "write-128k", "write", "128k", "--direct=0", "--io_size=128m", WRITE_KIB },
	{ "read-128k", "read", "128k", "--direct=0", "--io_size=128m", READ_KIB },
	{ "randread-4k", "randread", "4k", "--direct=1", "--runtime=2", READ_IOPS },
	{ "randwrite-4k", "randwrite", "4k", "--direct=1", "--runtime=2", WRITE_IOPS },
};

static void run_fio(const struct job *j, int cached)
{
	char name[64], rw[64], bs[64];
	snprintf(name, sizeof(name), "--name=%s", j->name);
	snprintf(rw, sizeof(rw), "--rw=%s", j->rw);
	snprintf(bs, sizeof(bs), "--bs=%s", j->bs);
	char *const argv[] = { "fio", name, rw, bs, (char *)j->length, (char *)(cached ? "--direct=0" : j->direct), "--filename=big",
			       "--size=128m", "--ioengine=psync", "--fallocate=none", "--thread", "--output-format=terse",
			       "--terse-version=3", (char *)(cached ? "--invalidate=0" : "--invalidate=1"), strstr(j->length, "runtime") ? "--time_based" : NULL, NULL };
	execv("/usr/bin/fio", argv);
	_exit(127);
}

static void fio(const struct job *j, int cached)
{
	int ends[2], status;
	must(pipe(ends) == 0, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		run_fio(j, cached);
	}
	close(ends[1]);
	FILE *f = fdopen(ends[0], "r");
	char line[4096], *value = NULL, *rest = NULL;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "3;", 2) != 0) {
			fputs(line, stdout);
			continue;
		}
		value = strtok_r(line, ";", &rest);
		for (int i = 0; i < j->field && value; i++)
			value = strtok_r(NULL, ";", &rest);
		must(value != NULL, "fio's output");
		printf("bench %s %s\n", j->name, value);
	}
	fclose(f);
	must(waitpid(pid, &status, 0) == pid && status == 0 && value != NULL, j->name);
}

/* ---- small files */

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void create(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	must(fd >= 0 && write(fd, name, 16) == 16 && close(fd) == 0, "create");
}

static void look(const char *name)
{
	struct stat st;
	must(stat(name, &st) == 0 && st.st_size == 16, "stat");
}

static void drop(const char *name)
{
	must(unlink(name) == 0, "unlink");
}

static void small(const char *kind, void (*work)(const char *name))
{
	double since = now_s();
	for (int i = 0; i < SMALL_FILES; i++) {
		char name[32];
		snprintf(name, sizeof(name), "small-%d", i);
		work(name);
	}
	printf("bench %s %.0f\n", kind, SMALL_FILES / (now_s() - since));
}

static void work(int cached)
{
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		fio(&jobs[i], cached);
	unlink("big");
	small("create", create);
	small("stat", look);
	small("unlink", drop);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (getpid() == 1 && argc < 2) {
		mkdir("/bench", 0755);
		must(mount("bench", "/bench", "virtiofs", 0, NULL) == 0 && chroot("/bench") == 0 && chdir("/data") == 0, "mount");
		must(mount("proc", "/proc", "proc", 0, NULL) == 0 && mount("dev", "/dev", "devtmpfs", 0, NULL) == 0, "mount");
		work(0);
		puts("bench over 0");
		reboot(RB_POWER_OFF);
	}
	must(argc > 1 && chdir(argv[1]) == 0, "chdir");
	work(argc > 2);
	return 0;
}
