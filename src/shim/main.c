/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd-shim-hull-v2: what containerd, Docker, iSulad and CRI start for a container whose runtime is io.containerd.hull.v2.
 *
 * Usage: containerd-shim-hull-v2 -namespace NS -id ID [-address A] [-publish-binary B] [-bundle D] [-debug] start|delete
 *        containerd-shim-hull-v2 -info | -v
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "shim/shim.h"

static int run(const struct shim_args *args, struct hull_error *err)
{
	if (args->version) {
		printf("containerd-shim-hull-v2 %s\n", HULL_VERSION);
		return 0;
	}
	if (args->info)
		return shim_info(err);
	if (strcmp(args->action, "start") == 0)
		return shim_start(args, err);
	if (strcmp(args->action, "delete") == 0)
		return shim_cleanup(args, err);
	if (strcmp(args->action, "serve") == 0)
		return shim_serve(args, err);
	return hull_error_set(err, EINVAL, "unknown action %.32s: expected start or delete", args->action);
}

int main(int argc, char **argv)
{
	struct shim_args args;
	struct hull_error err = HULL_ERROR_INIT;

	signal(SIGPIPE, SIG_IGN);
	/* Until `start` has found the engine's log: its warnings would become part of the answer, which containerd reads from stdout and stderr together. */
	hull_log_setup(STDERR_FILENO, HULL_LOG_TEXT, HULL_LOG_ERROR, 0);
	int r = shim_args_parse(argc, argv, &args, &err);
	if (r == 0)
		r = run(&args, &err);
	if (r < 0)
		fprintf(stderr, "containerd-shim-hull-v2: %s\n", err.message);
	return r < 0 ? 1 : 0;
}
