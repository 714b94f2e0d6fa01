/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The child reports what it found by its status: a thread cannot enter a namespace for a moment without risk. */
enum { FOUND_NOTHING = 0, FOUND_INTERFACES = 10, FAILED_TO_ENTER = 11 };

static _Noreturn void look(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		_exit(FAILED_TO_ENTER);
	struct if_nameindex *list = if_nameindex();
	for (struct if_nameindex *i = list; i && i->if_index; i++)
		if (strcmp(i->if_name, "lo") != 0)
			_exit(FOUND_INTERFACES);
	_exit(list ? FOUND_NOTHING : FAILED_TO_ENTER);
}

int hull_netns_check(const char *path, struct hull_error *err)
{
	int status = 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "config.json: linux.namespaces: network: %s", path);
	pid_t pid = fork();
	if (pid < 0)
		return hull_error_errno(err, errno, "fork");
	if (pid == 0)
		look(fd);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == FOUND_INTERFACES)
		return hull_error_set(err, EOPNOTSUPP, "config.json: linux.namespaces: network: %s has interfaces, and this version of Hull "
						       "cannot connect a pod to them yet; use no network (podman: --network none)", path);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != FOUND_NOTHING)
		return hull_error_set(err, EINVAL, "config.json: linux.namespaces: network: %s is not a network namespace", path);
	return 0;
}
