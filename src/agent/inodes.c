/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/inodes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* A guest finds so many files in a millisecond at most; the watch looks before half of the room can be gone. */
#define FILES_PER_MS 100
#define INTERVAL_MIN_MS 50
#define INTERVAL_MAX_MS 2000

struct inodes {
	int fd;                        /* /proc/sys/fs/inode-nr */
	uint64_t max;
	uint64_t limit;                /* let go when there are more */
	uint64_t fewest;               /* since that was done last */
	unsigned interval_ms;
	struct hull_alarm *alarm;
};

/* All of this kernel's, the share's among them: the others are few. Source: kernel documentation, sysctl/fs.rst, inode-nr. */
static uint64_t count(int fd)
{
	char text[64];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

/*
 * Pages go too, because an inode with pages is not let go of. The share's are worth little: each open() reads afresh.
 * It takes long and this is the only thread, hence the child. Source: kernel documentation, sysctl/vm.rst, drop_caches.
 */
static void let_go(void)
{
	if (fork() != 0)
		return;
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	_exit(fd < 0 || write(fd, "3", 1) != 1);
}

static void on_alarm(void *data)
{
	struct inodes *inodes = data;
	uint64_t n = count(inodes->fd), half = inodes->max / 2, step = inodes->max / 8;

	/* What is in use, or not the share's, stays: the next try waits until there are notably more than that. */
	bool many = n > inodes->limit;
	if (many)
		let_go();
	if (many || n < inodes->fewest)
		inodes->fewest = n;
	inodes->limit = inodes->fewest + step > half ? inodes->fewest + step : half;
	hull_alarm_set(inodes->alarm, inodes->interval_ms);
}

void hull_inodes_watch(struct hull_agent *agent, uint64_t max)
{
	int fd = max ? open("/proc/sys/fs/inode-nr", O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	struct inodes *inodes = hull_new(struct inodes, 1);
	inodes->fd = fd;
	inodes->max = max;
	inodes->limit = max / 2;
	inodes->fewest = UINT64_MAX / 2;
	uint64_t interval_ms = max / 2 / FILES_PER_MS / 2;
	inodes->interval_ms = interval_ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS :
			      interval_ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : (unsigned)interval_ms;
	inodes->alarm = hull_alarm_new(agent->loop, on_alarm, inodes);
	hull_alarm_set(inodes->alarm, inodes->interval_ms);
	hull_log_debug("share: %llu files at most", (unsigned long long)max);
}
