/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` and `exec` lend to a process: their own stdio, or a terminal's slave, and further descriptors. */
#pragma once

#include "cli/cli.h"
#include "oci/spec.h"
#include "rpc/pod.pb-c.h"

#define HULL_LEND_STDIO_MAX 3
#define HULL_LEND_PRESERVED_MAX 64
/* The stand-in's socket lies between the two. */
#define HULL_LEND_FDS_MAX (HULL_LEND_STDIO_MAX + 1 + HULL_LEND_PRESERVED_MAX)

/*
 * Fills `stdio` and the descriptors that go with it, in the order of pod.proto's Stdio. With a console socket a pty is made, its master
 * sent, and *ret_terminal is the slave, the caller's to close; -1 otherwise. Other descriptors are the process' own.
 */
int hull_lend_stdio(const struct hull_oci_process *process, const char *console_socket, Hull__Pod__V1__Stdio *stdio,
		    int fds[static HULL_LEND_STDIO_MAX], size_t *ret_n, int *ret_terminal, struct hull_error *err);

/* --preserve-fds: this process' descriptors 3, 4, …, each a stream of bytes. */
struct hull_lend_preserved {
	Hull__Agent__V1__Preserved messages[HULL_LEND_PRESERVED_MAX], *pointers[HULL_LEND_PRESERVED_MAX];
	size_t n;
};

/*
 * Looks at the first `n` of them. What cannot be carried into a VM byte by byte is an error that names the descriptor and what it is.
 * LISTEN_FDS in the environment, if it is meant for this process, too.
 */
int hull_lend_preserved(const struct hull_cli *cli, int64_t n, struct hull_lend_preserved *ret, struct hull_error *err);

/* Adds them to `stdio` and to the descriptors of a request, of which there are *n. */
void hull_lend_add_preserved(struct hull_lend_preserved *preserved, Hull__Pod__V1__Stdio *stdio, int *fds, size_t *n);
