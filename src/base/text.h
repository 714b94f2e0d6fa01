/* SPDX-License-Identifier: Apache-2.0 */
/* Text of others on its way to people: a guest, a container or a peer chose it, and a terminal or a log shows it. */
#pragma once

#include <stddef.h>

/*
 * Copies `text` (NULL counts as "") to `out`, which has `room` bytes, at least one, and is always terminated. What does not fit is
 * cut off at a character's border. Each byte that is not well-formed UTF-8, and each control character but newline and tab, becomes a
 * question mark: nobody steers a reader's terminal, and readers that insist on UTF-8 get it. Returns `out`.
 */
char *hull_text_clean(char *out, size_t room, const char *text);

/* The same for one line of a table: newlines and tabs become question marks too. */
char *hull_text_clean_line(char *out, size_t room, const char *text);
