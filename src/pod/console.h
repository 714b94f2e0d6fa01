/* SPDX-License-Identifier: Apache-2.0 */
/* The last of what a guest's console said. The guest chose the bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HULL_CONSOLE_KEEP_BYTES 8192

/* A longer line is logged in pieces. */
#define HULL_CONSOLE_LINE_MAX 256

/* A ring; all zero is an empty one. */
struct hull_console {
	char bytes[HULL_CONSOLE_KEEP_BYTES];
	size_t at;
	bool full;
	char line[HULL_CONSOLE_LINE_MAX]; /* the last line, until its end */
	size_t line_length;
};

/* Adds what was said, and logs each full line for debugging; what is older than HULL_CONSOLE_KEEP_BYTES is forgotten. */
void hull_console_add(struct hull_console *console, const uint8_t *bytes, size_t n);

/*
 * Writes what explains the guest's end into `out` as one printable line of at most `room` - 1 bytes: what the kernel said of an oops and
 * where it was, its words on a panic, and without any of them the last line. Empty when nothing was said.
 */
void hull_console_last_words(const struct hull_console *console, char *out, size_t room);

/* Logs all that is kept as errors, a printable line each: for whoever looks for the reason of a panic. */
void hull_console_log(const struct hull_console *console);
