/* SPDX-License-Identifier: Apache-2.0 */
/* One-shot timers. libuv frees a handle only from the loop; here the owner forgets it at once. */
#include <stdlib.h>

#include "base/mem.h"
#include "rpc/internal.h"

struct hull_timer {
	uv_timer_t uv;
	void (*fn)(void *data);
	void *data;
};

static void on_timer(uv_timer_t *uv)
{
	struct hull_timer *timer = uv->data;
	timer->fn(timer->data);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* The loop's time is brought up to date first: it is old when the caller was busy outside of the loop. */
struct hull_timer *hull_timer_start(uv_loop_t *loop, uint64_t ms, void (*fn)(void *data), void *data)
{
	struct hull_timer *timer = hull_new(struct hull_timer, 1);

	timer->fn = fn;
	timer->data = data;
	uv_timer_init(loop, &timer->uv);
	timer->uv.data = timer;
	uv_update_time(loop);
	uv_timer_start(&timer->uv, on_timer, ms, 0);
	return timer;
}

/* Also from within the timer's own function. */
void hull_timer_stop(struct hull_timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}
