/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and timers on the loop as plain owned objects: free means stopped, closed and never called again,
 * also from inside their own callback.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

struct hull_watch;

/* Takes `fd` over. `fn` gets the UV_… events that are ready; an error counts as UV_READABLE, for the read to find. */
struct hull_watch *hull_watch_new(uv_loop_t *loop, int fd, void (*fn)(void *data, int events), void *data);

/* Which events to wait for; 0 pauses the watch. Cheap when nothing changes. */
void hull_watch_set(struct hull_watch *watch, int events);

/* Stays the watch's. */
int hull_watch_fd(const struct hull_watch *watch);

/* Closes the descriptor too. NULL is fine. */
void hull_watch_free(struct hull_watch *watch);

struct hull_alarm;

/* Silent until it is set. */
struct hull_alarm *hull_alarm_new(uv_loop_t *loop, void (*fn)(void *data), void *data);

/* Rings once in `ms` from now, replacing an earlier setting. */
void hull_alarm_set(struct hull_alarm *alarm, uint64_t ms);
void hull_alarm_stop(struct hull_alarm *alarm);

/* NULL is fine. */
void hull_alarm_free(struct hull_alarm *alarm);
