/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct hull_watch {
	uv_poll_t poll;
	int fd;
	int events;
	void (*fn)(void *data, int events);
	void *data;
};

struct hull_alarm {
	uv_timer_t timer;
	void (*fn)(void *data);
	void *data;
};

static void free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct hull_watch *watch = poll->data;
	watch->fn(watch->data, status < 0 ? UV_READABLE : events);
}

struct hull_watch *hull_watch_new(uv_loop_t *loop, int fd, void (*fn)(void *data, int events), void *data)
{
	struct hull_watch *watch = hull_new(struct hull_watch, 1);
	watch->fd = fd;
	watch->fn = fn;
	watch->data = data;
	/* uv_poll_init() fails only for descriptors that cannot be polled, which no caller has. */
	if (uv_poll_init(loop, &watch->poll, fd) < 0) {
		close(fd);
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	return watch;
}

void hull_watch_set(struct hull_watch *watch, int events)
{
	if (watch->events == events)
		return;
	watch->events = events;
	if (events)
		uv_poll_start(&watch->poll, events, on_poll);
	else
		uv_poll_stop(&watch->poll);
}

int hull_watch_fd(const struct hull_watch *watch)
{
	return watch->fd;
}

void hull_watch_free(struct hull_watch *watch)
{
	if (!watch)
		return;
	uv_close((uv_handle_t *)&watch->poll, free_handle);
	close(watch->fd);
}

static void on_timer(uv_timer_t *timer)
{
	struct hull_alarm *alarm = timer->data;
	alarm->fn(alarm->data);
}

struct hull_alarm *hull_alarm_new(uv_loop_t *loop, void (*fn)(void *data), void *data)
{
	struct hull_alarm *alarm = hull_new(struct hull_alarm, 1);
	alarm->fn = fn;
	alarm->data = data;
	uv_timer_init(loop, &alarm->timer);
	alarm->timer.data = alarm;
	return alarm;
}

void hull_alarm_set(struct hull_alarm *alarm, uint64_t ms)
{
	uv_timer_start(&alarm->timer, on_timer, ms, 0);
}

void hull_alarm_stop(struct hull_alarm *alarm)
{
	uv_timer_stop(&alarm->timer);
}

void hull_alarm_free(struct hull_alarm *alarm)
{
	if (alarm)
		uv_close((uv_handle_t *)&alarm->timer, free_handle);
}
