/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a container. `watch`: looks for processes that are not of its image yet, and tries to change what they are. `dress NAME`: a
 * process without arguments and with a name of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *try_chmod(const char *exe)
{
	return chmod(exe, 0700) < 0 ? strerror(errno) : "it worked";
}

static const char *try_write(const char *exe)
{
	int fd = open(exe, O_WRONLY);
	if (fd < 0)
		return strerror(errno);
	close(fd);
	return "it worked";
}

static void look_at(const char *pid)
{
	char exe[300], target[300];
	snprintf(exe, sizeof(exe), "/proc/%s/exe", pid);
	ssize_t n = readlink(exe, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	if (strncmp(target, "/init", 5) != 0)
		return;
	const char *changed = try_chmod(exe);
	if (strcmp(changed, strerror(ENOENT)) == 0 || strcmp(changed, strerror(ESRCH)) == 0)
		return;
	printf("found %s: chmod: %s, write: ", target, changed);
	printf("%s\n", try_write(exe));
}

static void watch(void)
{
	puts("watching");
	for (;;) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;
		while (proc && (entry = readdir(proc)) != NULL)
			if (entry->d_name[0] >= '2' || entry->d_name[1])
				look_at(entry->d_name);
		if (proc)
			closedir(proc);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "watch") == 0)
		watch();
	if (argc != 3 || strcmp(argv[1], "dress") != 0)
		return 2;
	prctl(PR_SET_NAME, argv[2]);
	size_t all = (size_t)(argv[2] + strlen(argv[2]) - argv[0]);
	memset(argv[0], 0, all);
	puts("dressed");
	pause();
	return 0;
}
