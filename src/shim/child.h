/* SPDX-License-Identifier: Apache-2.0 */
/* Running `hull`, and other programs of the host, in a child: in the host's mount namespace, without waiting for it. */
#pragma once

#include <stdbool.h>

#include <uv.h>

#include "base/error.h"
#include "base/mem.h"
#include "shim/containerd.pb-c.h"

/* The host as it was before the shim went into a mount namespace of its own. */
struct shim_host {
	int mount_ns;                  /* -1: this process is still in it */
	int root;                      /* its root directory */
	char *state_root;              /* Hull's state directory */
};

struct shim_child;

struct shim_child_spec {
	const char *path;
	char *const *argv;
	char *const *env;              /* NULL: the shim's */
	int stdio[3];                  /* borrowed; -1: /dev/null, or closed with `closed_stdio` */
	bool closed_stdio;
	int keep_fds[3];               /* become 3, 4 and 5; -1: not */
	/* Mounted at `rootfs`, one upon the other, in a mount namespace that only the child has. */
	Hull__Containerd__Mount **mounts;
	size_t n_mounts;
	const char *rootfs;
};

/*
 * `message` is NULL when the program ended with status 0; otherwise why not: the last error of its log, or how it ended. The child
 * object is freed after this returns.
 */
typedef void (*shim_child_fn)(void *data, const char *message);

/*
 * Starts `hull --root … --log … ARGS`. The log is read back when it ends. `done` is called from the loop, once.
 */
struct shim_child *shim_child_hull(uv_loop_t *loop, const struct shim_host *host, struct hull_strv *args,
				   const struct shim_child_spec *spec, shim_child_fn done, void *data, struct hull_error *err);

/* Starts any program of the host. What it says on stderr is its error message, unless spec->stdio[2] is given. */
struct shim_child *shim_child_program(uv_loop_t *loop, const struct shim_host *host, const struct shim_child_spec *spec,
				      shim_child_fn done, void *data, struct hull_error *err);

/* Sends SIGKILL; `done` still follows. */
void shim_child_kill(struct shim_child *child);

/* `done` will not be called any more; the program is left to itself. NULL is fine. */
void shim_child_forget(struct shim_child *child);
