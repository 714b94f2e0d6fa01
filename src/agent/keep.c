/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/volumes.h"
#include "base/mem.h"

/* What is on its way to the host when a container ends is answered by then, unless the host's storage hangs. */
#define LINGER_MS 5000

struct hull_keep {
	struct hull_alarm *alarm;
	int *fds;
	size_t n;
};

static void add(struct hull_keep *keep, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A file is no mount of its own here. */
	if (fd < 0)
		return;
	keep->fds = hull_reallocarray(keep->fds, keep->n + 1, sizeof(int));
	keep->fds[keep->n++] = fd;
}

static void on_alarm(void *data)
{
	struct hull_keep *keep = data;
	for (size_t i = 0; i < keep->n; i++)
		close(keep->fds[i]);
	hull_alarm_free(keep->alarm);
	free(keep->fds);
	free(keep);
}

struct hull_keep *hull_keep_new(uv_loop_t *loop, pid_t pid, const struct hull_oci_spec *spec)
{
	char root[32];
	struct hull_keep *keep = hull_new(struct hull_keep, 1);
	keep->alarm = hull_alarm_new(loop, on_alarm, keep);
	if (pid > 0) {
		snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
		add(keep, root);
	}
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (spec->mounts[i].is_bind && hull_volumes_is_source(spec->mounts[i].source))
			add(keep, spec->mounts[i].source);
	return keep;
}

void hull_keep_release(struct hull_keep *keep)
{
	if (keep)
		hull_alarm_set(keep->alarm, LINGER_MS);
}
