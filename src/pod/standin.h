/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a pod's supervisor and a stand-in: the host process whose pid an engine is given for a
 * container or a detached exec. A SOCK_SEQPACKET pair, one struct a packet, a closed set of types. The end of the
 * pair is a message too: a stand-in that is gone means "kill the process", a supervisor that is gone means "it is dead".
 */
#pragma once

#include <stdint.h>

enum hull_standin_type {
	/* stand-in → supervisor */
	HULL_STANDIN_SIGNAL = 1,       /* a: signal number */
	HULL_STANDIN_RESIZE = 2,       /* a: rows, b: columns */
	/* supervisor → stand-in */
	HULL_STANDIN_EXITED = 3,       /* a: exit code, b: signal or 0 */
};

struct hull_standin_message {
	uint32_t type;
	int32_t a, b;
};
