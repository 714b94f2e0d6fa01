/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into a connection, in pieces, with the loop turning in between. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

/* Makes a socketpair whose second end, *ret_peer, does not block. Returns the first. */
int feed_open(int *ret_peer);

/*
 * Writes the bytes in pieces of at most `piece`, turns the loop after each, and reads and forgets what comes back.
 * Stops early when the other side has closed.
 */
void feed_bytes(uv_loop_t *loop, int peer, const uint8_t *data, size_t size, size_t piece);

/* Turns the loop until all that was freed is gone; ends the process if that does not happen. */
void feed_settle(uv_loop_t *loop);
