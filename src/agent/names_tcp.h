/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the pod's name server: each asks one thing at a time, a message with its length in front. Source: RFC 1035, 4.2.2.
 *
 *   connection   reading ─whole query▶ asked ─answer▶ writing ─all written▶ reading    (any ─silence, end, error▶ closed)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Of all kinds, on their way at once; the host allows as many. */
#define HULL_NAMES_QUERIES_MAX 64
#define HULL_NAMES_CONNECTIONS_MAX 32

struct hull_names_tcp;
struct hull_names_connection;

struct hull_names_tcp_ops {
	/* A whole query; answered with hull_names_tcp_answer(). Called only while there is room. */
	void (*ask)(void *data, struct hull_names_connection *connection, const uint8_t *message, size_t length);
	/* The connection is gone and awaits no answer. */
	void (*forget)(void *data, const struct hull_names_connection *connection);
};

/* Takes the listening socket over. NULL if it cannot be watched; it is closed then. */
struct hull_names_tcp *hull_names_tcp_new(uv_loop_t *loop, int listener, const struct hull_names_tcp_ops *ops, void *data);

/* Whether another query may be asked. */
void hull_names_tcp_room(struct hull_names_tcp *tcp, bool room);

/* `length` 0: there is no answer, and the connection is closed. */
void hull_names_tcp_answer(struct hull_names_connection *connection, const uint8_t *message, size_t length);

/* Closes everything. NULL is fine. */
void hull_names_tcp_free(struct hull_names_tcp *tcp);
