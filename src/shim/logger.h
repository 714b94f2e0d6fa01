/* SPDX-License-Identifier: Apache-2.0 */
/* Logging programs, which nerdctl uses: binary:///path?argument&argument=value. */
#pragma once

#include <uv.h>

#include "shim/child.h"

/* The program and its arguments. -EINVAL for what is no such URI. */
int shim_logger_parse(const char *uri, struct hull_strv *ret_argv, struct hull_error *err);

/*
 * Starts it with the read ends of two pipes as descriptors 3 and 4; the write ends are returned. It ends when they are closed.
 * Source: containerd, pkg/process/io.go: 5 is where it says that it is ready, for which nobody has to wait here.
 */
int shim_logger_start(uv_loop_t *loop, const struct shim_host *host, const char *uri, const char *id, const char *namespace,
		      int *ret_out, int *ret_err, struct hull_error *err);
