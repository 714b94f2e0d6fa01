/* SPDX-License-Identifier: Apache-2.0 */
/* A process in the foreground: `hull run` and `hull exec` stand for it themselves, as a stand-in would. */
#pragma once

#include "base/error.h"
#include "pod/standin.h"

struct hull_session {
	int socket;                    /* our end of the stand-in's pair */
	int terminal;                  /* the user's terminal, or -1 */
	int signal_fd;
};

/* Blocks the signals that are to be forwarded from here on. `terminal`: stdin's descriptor when the process has a terminal, or -1. */
int hull_session_begin(struct hull_session *s, int socket, int terminal, struct hull_error *err);

/*
 * Forwards signals and window sizes until the process is over. Returns its exit code, 128 + signal for a death by signal. When the supervisor
 * vanishes: 137 and err set.
 */
int hull_session_run(struct hull_session *s, struct hull_error *err);
