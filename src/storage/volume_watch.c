/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/volume_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/volume_watch_internal.h"

#define GATHER_MS 10
#define BUFFER_BYTES 4096
/* In one turn of the loop: a guest that makes and removes directories without pause must not hold it. */
#define READS_MAX 16
/* An event may have several bits, each of which is a change; so may a name have several volumes. */
#define BITS_MAX 7

struct batch {
	struct hull_volume_change v[HULL_VOLUME_CHANGES_MAX];
	size_t n;
};

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* ---- whose doing it is */

/* virtiofsd works in a process that it forks once it serves. */
static bool is_virtiofsd(struct hull_volume_watch *watch, pid_t pid)
{
	if (watch->worker == 0) {
		char path[64];
		_cleanup_free_ char *text = NULL;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)watch->virtiofsd, (int)watch->virtiofsd);
		if (hull_file_read(AT_FDCWD, path, 4096, &text, NULL) == 0)
			watch->worker = (pid_t)strtol(text, NULL, 10);
	}
	return pid == watch->virtiofsd || (watch->worker > 0 && pid == watch->worker);
}

/* ---- from events to changes */

static void add_change(struct batch *batch, const struct hull_watched *w, const char *name, uint32_t mask, uint32_t cookie)
{
	if (batch->n == HULL_VOLUME_CHANGES_MAX)
		return;
	struct hull_volume_change *c = &batch->v[batch->n++];
	c->volume = w->volume->name;
	c->path = *name ? hull_asprintf("%s%s%s", w->path, *w->path ? "/" : "", name) : hull_strdup(w->path);
	c->mask = mask;
	c->cookie = cookie;
}

/* The kernel puts bits of one name together, and their order is gone: what is there now tells which kind came last. */
static void split_mask(struct hull_volume_watch *watch, struct batch *batch, const struct hull_watched *w, const char *name,
		       uint32_t mask)
{
	static const uint32_t appearing[] = { IN_MOVED_FROM, IN_DELETE, IN_CREATE, IN_MOVED_TO, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE };
	static const uint32_t vanishing[] = { IN_CREATE, IN_MOVED_TO, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_DELETE };
	_cleanup_free_ char *path = hull_asprintf("%s%s%s", w->path, *w->path && *name ? "/" : "", name);
	bool exists = *path == '\0' || hull_volume_marks_exists(w->volume, path);
	const uint32_t *order = exists ? appearing : vanishing;

	for (size_t i = 0; i < BITS_MAX; i++) {
		if (!(mask & order[i]))
			continue;
		uint32_t cookie = 0;
		if (order[i] == IN_MOVED_FROM)
			cookie = ++watch->cookie;
		if (order[i] == IN_MOVED_TO)
			cookie = watch->cookie;
		add_change(batch, w, name, order[i] | (mask & IN_ISDIR), cookie);
	}
}

/* Directories that come and go. */
static void follow(struct hull_volume_watch *watch, const struct hull_watched *w, const char *name, uint32_t mask)
{
	if (!(mask & FAN_ONDIR) || !*name || strcmp(name, ".") == 0)
		return;
	_cleanup_free_ char *path = hull_asprintf("%s%s%s", w->path, *w->path ? "/" : "", name);
	struct hull_watched_volume *volume = w->volume;
	if (mask & (FAN_DELETE | FAN_MOVED_FROM))
		hull_volume_marks_forget(watch, volume, path);
	if (mask & (FAN_CREATE | FAN_MOVED_TO))
		hull_volume_marks_queue(watch, volume, path);
}

static bool is_id(const struct hull_file_id *id, const struct fanotify_event_info_fid *info, const struct file_handle *handle)
{
	return id->type == handle->handle_type && id->length == handle->handle_bytes &&
	       memcmp(&id->fsid, &info->fsid, sizeof(id->fsid)) == 0 && memcmp(id->bytes, handle->f_handle, id->length) == 0;
}

static bool on_file(struct hull_volume_watch *watch, struct batch *batch, const struct fanotify_event_info_fid *info,
		    const char *name, const struct fanotify_event_metadata *event)
{
	const struct file_handle *handle = (const struct file_handle *)info->handle;
	bool own = is_virtiofsd(watch, event->pid), found = false;
	/* "." is the directory itself. */
	const char *inner = strcmp(name, ".") == 0 ? "" : name;

	for (struct hull_watched *w = watch->watched, *next; w; w = next) {
		next = w->next;
		if (!is_id(&w->id, info, handle))
			continue;
		found = true;
		if (!own || w->volume->readonly)
			split_mask(watch, batch, w, inner, (uint32_t)event->mask);
	}
	if (!found)
		return false;
	/* May change the list. */
	for (struct hull_watched *w = watch->watched; w; w = w->next) {
		if (is_id(&w->id, info, handle)) {
			follow(watch, w, inner, (uint32_t)event->mask);
			break;
		}
	}
	return true;
}

/* Source: fanotify(7), "Additional information records". The kernel wrote these bytes. */
static void on_event(struct hull_volume_watch *watch, struct batch *batch, const struct fanotify_event_metadata *event,
		     const char *bytes)
{
	const char *at = bytes + event->metadata_len, *end = bytes + event->event_len;

	if (event->mask & FAN_Q_OVERFLOW) {
		hull_log_warning("inotify: more changes on the host than can be followed; some wake nobody in the guest");
		return;
	}
	while (at + sizeof(struct fanotify_event_info_fid) + sizeof(struct file_handle) <= end) {
		const struct fanotify_event_info_fid *info = (const struct fanotify_event_info_fid *)at;
		const struct file_handle *handle = (const struct file_handle *)info->handle;
		const char *name = info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME ?
			(const char *)handle->f_handle + handle->handle_bytes : "";
		if (on_file(watch, batch, info, name, event))
			return;
		at += info->hdr.len;
	}
}

static void start_idle(struct hull_volume_watch *watch);

/* Events are only aligned to four bytes, what they begin with wants eight: hence the copy. */
static void on_events(struct hull_volume_watch *watch, struct batch *batch, const char *bytes, size_t n)
{
	struct fanotify_event_metadata event;
	for (; n >= sizeof(event); bytes += event.event_len, n -= event.event_len) {
		memcpy(&event, bytes, sizeof(event));
		if (event.event_len < sizeof(event) || event.event_len > n)
			return;
		on_event(watch, batch, &event, bytes);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_gathered(uv_timer_t *timer)
{
	struct hull_volume_watch *watch = timer->data;
	_Alignas(struct fanotify_event_metadata) char buffer[BUFFER_BYTES];
	struct batch batch = { .n = 0 };

	for (int i = 0; i < READS_MAX && batch.n + BITS_MAX * 2 <= HULL_VOLUME_CHANGES_MAX; i++) {
		ssize_t n = read(watch->fd, buffer, sizeof(buffer));
		if (n <= 0)
			break;
		on_events(watch, &batch, buffer, (size_t)n);
	}
	start_idle(watch);
	if (batch.n > 0) {
		watch->waiting = true;
		watch->fn(watch->data, batch.v, batch.n);
	} else {
		uv_poll_start(watch->poll, UV_READABLE, on_readable);
	}
	for (size_t i = 0; i < batch.n; i++)
		free(batch.v[i].path);
}

/*
 * Every write of the guest comes by here, too. Read a little later, the kernel has put them together: else a busy volume would
 * keep this process as busy as virtiofsd.
 */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct hull_volume_watch *watch = poll->data;
	(void)status;
	(void)events;
	uv_poll_stop(poll);
	uv_timer_start(watch->timer, on_gathered, GATHER_MS, 0);
}

void hull_volume_watch_continue(struct hull_volume_watch *watch)
{
	if (!watch->waiting)
		return;
	watch->waiting = false;
	uv_poll_start(watch->poll, UV_READABLE, on_readable);
}

/* ---- volumes */

static void on_idle(uv_idle_t *idle)
{
	struct hull_volume_watch *watch = idle->data;
	if (!hull_volume_marks_step(watch))
		uv_idle_stop(idle);
}

static void start_idle(struct hull_volume_watch *watch)
{
	if (watch->unwatched)
		uv_idle_start(watch->idle, on_idle);
}

void hull_volume_watch_add(struct hull_volume_watch *watch, const char *volume, int root_fd, bool readonly)
{
	struct hull_watched_volume *v = hull_new(struct hull_watched_volume, 1);
	*v = (struct hull_watched_volume){ .next = watch->volumes, .name = hull_strdup(volume), .root_fd = root_fd, .readonly = readonly };
	watch->volumes = v;
	hull_volume_marks_queue(watch, v, "");
	start_idle(watch);
}

void hull_volume_watch_remove(struct hull_volume_watch *watch, const char *volume)
{
	for (struct hull_watched_volume **at = &watch->volumes; *at; at = &(*at)->next) {
		struct hull_watched_volume *v = *at;
		if (strcmp(v->name, volume) != 0)
			continue;
		hull_volume_marks_forget(watch, v, "");
		*at = v->next;
		free(v->name);
		free(v);
		return;
	}
}

int hull_volume_watch_new(uv_loop_t *loop, unsigned directories_max, pid_t virtiofsd, hull_volume_changes_fn fn, void *data,
			  struct hull_volume_watch **ret, struct hull_error *err)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DFID_NAME, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EMFILE)
		return hull_error_set(err, EMFILE, "no fanotify group is left, of which each pod with volumes takes one: raise "
				      "fs.fanotify.max_user_groups (sysctl)");
	if (fd < 0)
		return hull_error_errno(err, errno, "fanotify_init");
	struct hull_volume_watch *watch = hull_new(struct hull_volume_watch, 1);
	*watch = (struct hull_volume_watch){ .loop = loop, .fd = fd, .directories_max = directories_max, .virtiofsd = virtiofsd,
					     .fn = fn, .data = data };
	watch->unwatched_end = &watch->unwatched;
	watch->poll = hull_new(uv_poll_t, 1);
	watch->idle = hull_new(uv_idle_t, 1);
	watch->timer = hull_new(uv_timer_t, 1);
	uv_timer_init(loop, watch->timer);
	watch->timer->data = watch;
	uv_idle_init(loop, watch->idle);
	watch->idle->data = watch;
	uv_poll_init(loop, watch->poll, fd);
	watch->poll->data = watch;
	uv_poll_start(watch->poll, UV_READABLE, on_readable);
	*ret = watch;
	return 0;
}

void hull_volume_watch_free(struct hull_volume_watch *watch)
{
	if (!watch)
		return;
	while (watch->volumes)
		hull_volume_watch_remove(watch, watch->volumes->name);
	uv_close((uv_handle_t *)watch->poll, free_handle);
	uv_close((uv_handle_t *)watch->idle, free_handle);
	uv_close((uv_handle_t *)watch->timer, free_handle);
	close(watch->fd);
	free(watch);
}
