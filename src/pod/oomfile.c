/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "pod/pod.h"

/* Whether conmon is the parent of the container's stand-in. */
static bool is_conmons(const struct hull_container *c)
{
	_cleanup_free_ char *stat = NULL, *comm = NULL;
	char path[64];
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->state->standin.pid);
	if (!hull_procref_alive(&c->state->standin) || hull_file_read(AT_FDCWD, path, 4096, &stat, NULL) < 0)
		return false;
	/* Behind the name, which may contain anything: state and parent. Source: proc(5). */
	const char *rest = strrchr(stat, ')');
	if (!rest || sscanf(rest + 1, " %*c %d", &parent) != 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", parent);
	return hull_file_read(AT_FDCWD, path, 64, &comm, NULL) == 0 && strcmp(comm, "conmon\n") == 0;
}

void hull_container_tell_oom(struct hull_container *c)
{
	if (!is_conmons(c))
		return;
	_cleanup_free_ char *path = hull_asprintf("%s/oom", c->state->bundle);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		hull_log_warning("%s: %s", path, strerror(errno));
}
