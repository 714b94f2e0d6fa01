/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes that the host makes in volumes, so that the guest can be told and inotify works across the border (docs/adr/0010).
 *
 * Directories are marked with fanotify, each volume's from its root down, as many as allowed; nothing is polled, and nothing that the
 * guest says plays a part. What the share's own virtiofsd does is left out: the guest has seen to that itself. A read-only volume
 * is told of that too, for it comes from another view of the same files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

#include "base/error.h"

struct hull_volume_watch;

struct hull_volume_change {
	const char *volume;            /* its place in the share */
	char *path;                    /* below the volume; "" is the volume itself */
	uint32_t mask;                 /* one of inotify's event bits, and IN_ISDIR */
	uint32_t cookie;               /* the same for both halves of a rename */
};

/* At most so many changes at once. The next ones come after hull_volume_watch_continue(). */
#define HULL_VOLUME_CHANGES_MAX 128

typedef void (*hull_volume_changes_fn)(void *data, const struct hull_volume_change *changes, size_t n);

/*
 * `directories_max` bounds the marks; `virtiofsd` is its first process. Fails where fanotify cannot be used: without CAP_SYS_ADMIN,
 * for one.
 */
int hull_volume_watch_new(uv_loop_t *loop, unsigned directories_max, pid_t virtiofsd, hull_volume_changes_fn fn, void *data,
			  struct hull_volume_watch **ret, struct hull_error *err);

/* Begins to watch a volume: its root is borrowed and must stay open. Its directories are looked through later, from the loop. */
void hull_volume_watch_add(struct hull_volume_watch *watch, const char *volume, int root_fd, bool readonly);

void hull_volume_watch_remove(struct hull_volume_watch *watch, const char *volume);

void hull_volume_watch_continue(struct hull_volume_watch *watch);

/* NULL is fine. */
void hull_volume_watch_free(struct hull_volume_watch *watch);
