/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What test_spawn starts: says on stdout how the world looks from inside, one fact a line. Statically linked, so
 * that an empty jail is enough.
 *
 *     spawn_child facts         everything below, then the end
 *     spawn_child sleep         says "ready" and sleeps
 *     spawn_child fork          forks a child that sleeps as well; says its pid
 *     spawn_child other         becomes another user for a moment; says whether its capabilities are in effect then and afterwards
 *     spawn_child exit N TEXT   writes TEXT to stderr and exits with N
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say_ids(void)
{
	uid_t r, e, s;
	gid_t groups[8];
	getresuid(&r, &e, &s);
	printf("uid %u %u %u\n", r, e, s);
	getresgid(&r, &e, &s);
	printf("gid %u %u %u\n", r, e, s);
	int n = getgroups(8, groups);
	printf("groups %d %u\n", n, n > 0 ? groups[0] : 0);
	printf("pid %d session %d\n", getpid(), getsid(0) == getpid());
}

static void say_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	int bounding = 0, ambient = 0, signal = 0;

	syscall(SYS_capget, &header, caps);
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		bounding += prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0;
		ambient += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) > 0;
	}
	printf("caps %x %x %x bounding %d ambient %d\n", caps[0].effective | caps[1].effective,
	       caps[0].permitted | caps[1].permitted, caps[0].inheritable | caps[1].inheritable, bounding, ambient);
	prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0);
	printf("no_new_privs %d pdeathsig %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), signal);
}

static void say_limits(void)
{
	struct rlimit core, files, threads;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_NPROC, &threads);
	printf("threads %lu\n", (unsigned long)threads.rlim_max);
	printf("core %lu files %lu %lu\n", (unsigned long)core.rlim_max, (unsigned long)files.rlim_cur,
	       (unsigned long)files.rlim_max);
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	struct sigaction usr1;
	sigaction(SIGUSR1, NULL, &usr1);
	printf("blocked %d handled %d\n", sigismember(&mask, SIGTERM), usr1.sa_handler != SIG_DFL);
}

static void say_fds(void)
{
	printf("fds");
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf(" end\n");
}

static void try_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	printf("write %s: %s\n", path, fd < 0 ? strerror(errno) : "ok");
	if (fd >= 0)
		close(fd);
}

static void say_root(void)
{
	DIR *dir = opendir("/");
	struct dirent *e;
	int n = 0;
	char cwd[64] = "";
	while (dir && (e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	printf("root %d cwd %s\n", n, getcwd(cwd, sizeof(cwd)) ? cwd : "?");
	try_write("/file");
	try_write("/dev/file");
	try_write("/dev/null");
	try_write("/data/file");
	printf("urandom %d\n", access("/dev/urandom", R_OK) == 0);
	printf("mknod %d\n", mknod("/data/node", S_IFCHR | 0600, 0) == 0);
}

static void say_namespaces(void)
{
	char host[128] = "";
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct { char name[16]; short flags; char rest[22]; } request = { .name = "lo" };
	int r = fd < 0 ? -1 : syscall(SYS_ioctl, fd, 0x8913 /* SIOCGIFFLAGS */, &request);
	printf("lo %s\n", r < 0 ? "none" : (request.flags & 1) ? "up" : "down");
	if (fd >= 0)
		close(fd);
	gethostname(host, sizeof(host) - 1);
	printf("host %s\n", host);
}

static int has_effective_caps(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	syscall(SYS_capget, &header, caps);
	return caps[0].effective != 0;
}

static void say_as_other(void)
{
	/* As virtiofsd does: this thread alone, the effective ids alone. */
	syscall(SYS_setresuid, -1, 1000, -1);
	int meanwhile = has_effective_caps();
	syscall(SYS_setresuid, -1, 0, -1);
	printf("as another user %d, afterwards %d\n", meanwhile, has_effective_caps());
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "facts";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(mode, "facts") == 0) {
		say_fds();
		say_ids();
		say_privileges();
		say_limits();
		say_root();
		say_namespaces();
		printf("path %s\n", getenv("PATH") ? getenv("PATH") : "");
		return 0;
	}
	if (strcmp(mode, "other") == 0) {
		say_as_other();
		return 0;
	}
	if (strcmp(mode, "exit") == 0 && argc > 3) {
		fprintf(stderr, "%s", argv[3]);
		return atoi(argv[2]);
	}
	if (strcmp(mode, "fork") == 0) {
		pid_t pid = fork();
		if (pid == 0)
			mode = "sleep";
		else
			printf("forked %d\n", pid);
	}
	printf("ready\n");
	sleep(60);
	return 0;
}
