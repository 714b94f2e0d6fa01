/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what inotify says of the paths given, one event a line; "watching" first. After SECONDS of silence it ends. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const struct { unsigned bit; const char *name; } bits[] = {
		{ IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" }, { IN_CLOSE_WRITE, "CLOSE_WRITE" }, { IN_MOVED_FROM, "MOVED_FROM" },
		{ IN_MOVED_TO, "MOVED_TO" }, { IN_CREATE, "CREATE" }, { IN_DELETE, "DELETE" }, { IN_DELETE_SELF, "DELETE_SELF" },
		{ IN_MOVE_SELF, "MOVE_SELF" }, { IN_IGNORED, "IGNORED" }, { IN_ISDIR, "ISDIR" },
	};
	char buffer[4096] __attribute__((aligned(8)));
	int fd = inotify_init1(0);
	const char *names[64] = { 0 };

	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 2; i < argc; i++) {
		int wd = inotify_add_watch(fd, argv[i], IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE));
		if (wd < 0 || wd >= 64) {
			perror(argv[i]);
			return 1;
		}
		names[wd] = argv[i];
	}
	puts("watching");
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (poll(&p, 1, atoi(argv[1]) * 1000) > 0) {
		ssize_t n = read(fd, buffer, sizeof(buffer));
		for (char *at = buffer; at < buffer + n;) {
			struct inotify_event *e = (void *)at;
			printf("%s/%s", names[e->wd & 63], e->len ? e->name : "");
			for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
				if (e->mask & bits[i].bit)
					printf(" %s", bits[i].name);
			puts("");
			/* What a program that reloads its configuration would find now. */
			if (e->len && strcmp(e->name, "..data") == 0) {
				char path[256], line[64] = "";
				snprintf(path, sizeof(path), "%s/key", names[e->wd & 63]);
				FILE *f = fopen(path, "r");
				if (f && fgets(line, sizeof(line), f))
					printf("key is %s", line);
				if (f)
					fclose(f);
			}
			at += sizeof(*e) + e->len;
		}
	}
	return 0;
}
