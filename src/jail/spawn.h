/* SPDX-License-Identifier: Apache-2.0 */
/* The one way in which Hull starts another program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct hull_jail_bind {
	const char *source;            /* host path, file or directory */
	const char *target;            /* absolute path in the jail; created */
};

struct hull_spawn {
	const char *path;
	char *const *argv;
	char *const *envp;             /* NULL: an empty environment with a safe PATH */
	int stdin_fd, stdout_fd, stderr_fd;    /* -1: /dev/null */
	const int *keep_fds;           /* ascending; keep their numbers in the child; everything else is closed */
	size_t n_keep_fds;

	bool die_with_parent;          /* SIGKILL when the thread that spawned ends; survives the change of uid */
	bool new_session;
	bool ordinary_oom_score;       /* an engine's protection from the out-of-memory killer is not passed on */
	bool no_new_privs;             /* as drop_privileges does, without the rest of it */
	bool keep_caps_as_other_users;  /* a root process that changes its effective user for a moment keeps its capabilities */

	/* The jail; each part is off when its member is zero. */
	bool drop_privileges;          /* to uid/gid, no supplementary groups but `extra_gid`, no capabilities, no_new_privs */
	uid_t uid;
	gid_t gid;
	gid_t extra_gid;               /* 0: none; for example the group of /dev/kvm */
	bool new_net, new_ipc, new_uts;
	bool new_pid;                  /* the child is PID 1 of its own namespace: whatever it forks dies with it */
	const char *root_dir;          /* an empty directory: becomes a read-only tmpfs root that holds only `binds`, /dev/null & co. */
	const struct hull_jail_bind *binds;    /* bound read-only, nosuid, nodev */
	size_t n_binds;
	const char *const *device_nodes;       /* NULL-terminated, e.g. "/dev/kvm": bound with device access */
	size_t address_space_max, file_size_max, open_files_max;    /* rlimits; 0: unchanged; core dumps are always off */
	size_t threads_max;            /* of the child's user, whom it must not share; 0: unchanged */
};

/*
 * Forks and execs. Returns when exec happened: a failure of any step of the child comes back here, naming the step.
 * *ret_pidfd is owned by the caller, who also reaps.
 */
int hull_spawn(const struct hull_spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct hull_error *err);
