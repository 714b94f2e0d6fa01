/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, which is containerd's protocol. Source: containerd, docs on "Runtime v2" and pkg/shim. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct shim_args {
	const char *namespace, *id, *bundle;
	const char *address;           /* containerd's gRPC socket; may be missing (iSulad) */
	const char *publish_binary;
	const char *action;            /* "start", "delete", "serve" (Hull's own), or NULL */
	bool debug, version, info;
	/* Of `serve`, given by `start`. */
	const char *root, *socket;     /* socket: the path that the task socket listens at */
	int pod_fd, task_fd;
};

/* Points into argv. Options are -name VALUE, -name=VALUE or --name, as Go's flag package takes them; those nobody knows are errors. */
int shim_args_parse(int argc, char **argv, struct shim_args *ret, struct hull_error *err);

/* "NS+ID": what Hull calls the container. New memory. */
char *shim_hull_id(const struct shim_args *args, const char *id);
