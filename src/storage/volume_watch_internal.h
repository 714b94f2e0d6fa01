/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <fcntl.h>
#include <sys/fanotify.h>

#include "storage/volume_watch.h"

/* A file system's name for a file, as fanotify has it. Source: fanotify(7), struct fanotify_event_info_fid; name_to_handle_at(2). */
struct hull_file_id {
	__kernel_fsid_t fsid;
	int type;
	unsigned length;
	unsigned char bytes[MAX_HANDLE_SZ];
};

struct hull_watched_volume {
	struct hull_watched_volume *next;
	char *name;
	int root_fd;
	bool readonly;
};

/* A marked directory, or the single file that is a volume. */
struct hull_watched {
	struct hull_watched *next;
	struct hull_watched_volume *volume;
	char *path;                    /* below the volume */
	struct hull_file_id id;
};

/* A directory whose turn has not come. */
struct hull_unwatched {
	struct hull_unwatched *next;
	struct hull_watched_volume *volume;
	char *path;
};

struct hull_volume_watch {
	uv_loop_t *loop;
	int fd;
	uv_poll_t *poll;
	uv_idle_t *idle;
	uv_timer_t *timer;
	hull_volume_changes_fn fn;
	void *data;
	pid_t virtiofsd, worker;
	unsigned directories, directories_max;
	bool told_limit, waiting;      /* waiting: for hull_volume_watch_continue() */
	uint32_t cookie;
	struct hull_watched_volume *volumes;
	struct hull_watched *watched;
	struct hull_unwatched *unwatched, **unwatched_end;
	unsigned n_unwatched;
};

/*
 * volume_marks.c: adds `path` to those to be marked, if it could be: a guest makes directories faster than they are looked at, and for ever.
 */
void hull_volume_marks_queue(struct hull_volume_watch *watch, struct hull_watched_volume *volume, const char *path);

/* Marks the next queued directory and queues what is in it. False when there is none left. */
bool hull_volume_marks_step(struct hull_volume_watch *watch);

/* Whether there is something at `path` now. No link on the way is followed: the guest may have put it there. */
bool hull_volume_marks_exists(const struct hull_watched_volume *volume, const char *path);

/* Forgets the directory and what is below it; "" is all of the volume. */
void hull_volume_marks_forget(struct hull_volume_watch *watch, const struct hull_watched_volume *volume, const char *path);
