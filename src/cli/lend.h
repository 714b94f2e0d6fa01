/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` and `exec` lend to a process: their own stdio, or a terminal's slave. */
#pragma once

#include "oci/spec.h"
#include "rpc/pod.pb-c.h"

#define HULL_LEND_FDS_MAX 3

/*
 * Fills `stdio` and the descriptors that go with it, in the order of pod.proto's Stdio. With a console socket a pty is made, its master
 * sent, and *ret_terminal is the slave, the caller's to close; -1 otherwise. Other descriptors are the process' own.
 */
int hull_lend_stdio(const struct hull_oci_process *process, const char *console_socket, Hull__Pod__V1__Stdio *stdio,
		    int fds[static HULL_LEND_FDS_MAX], size_t *ret_n, int *ret_terminal, struct hull_error *err);
