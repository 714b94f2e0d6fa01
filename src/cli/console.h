/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals on the host's side. */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "base/error.h"

/*
 * Makes a pty, sends its master over the unix socket at `socket_path` (--console-socket) and returns the slave, in raw mode: the
 * guest's own pty does the line discipline. Source: runc's docs/terminals.md, "detached" mode.
 */
int hull_console_send(const char *socket_path, unsigned rows, unsigned columns, int *ret_slave, struct hull_error *err);

/* Puts the terminal `fd` into raw mode; false and nothing done when it is no terminal. */
bool hull_console_raw(int fd, struct termios *ret_saved);
void hull_console_restore(int fd, const struct termios *saved);
/* The size of the terminal behind `fd`, or 0 and 0. */
void hull_console_size(int fd, unsigned *ret_rows, unsigned *ret_columns);
