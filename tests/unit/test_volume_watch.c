/* SPDX-License-Identifier: Apache-2.0 */
/* Needs root. A directory of the test's own is the volume; what this process does in it, the host does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "storage/volume_watch_internal.h"

#define DEADLINE_MS 10000
#define DIRECTORIES_MAX 16
/* More than that are not taken only to see them run out. */
#define GROUPS_MAX 512

static struct fx {
	uv_loop_t loop;
	struct hull_volume_watch *watch;
	char dir[40];
	int fd;
	char log[4096];                /* "path bits\n" for each change */
} fx;

static void on_changes(void *data, const struct hull_volume_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(fx.log);
		snprintf(fx.log + used, sizeof(fx.log) - used, "%s %x\n", changes[i].path, changes[i].mask & ~(uint32_t)IN_ISDIR);
	}
	hull_volume_watch_continue(fx.watch);
}

static int setup(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	memset(&fx, 0, sizeof(fx));
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/hull-watch-XXXXXX");
	if (!mkdtemp(fx.dir))
		return -1;
	fx.fd = open(fx.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uv_loop_init(&fx.loop);
	/* The first process of all is surely not this one. */
	if (hull_volume_watch_new(&fx.loop, DIRECTORIES_MAX, 1, on_changes, NULL, &fx.watch, &err) < 0) {
		fprintf(stderr, "skipped: %s\n", err.message);
		fx.watch = NULL;
	}
	return 0;
}

static int teardown(void **state)
{
	hull_volume_watch_free(fx.watch);
	uv_run(&fx.loop, UV_RUN_DEFAULT);
	close(fx.fd);
	hull_rmtree(AT_FDCWD, fx.dir);
	return uv_loop_close(&fx.loop);
}

static void begin(void)
{
	if (!fx.watch)
		skip();
	hull_volume_watch_add(fx.watch, "vol", fx.fd, false);
	while (fx.watch->unwatched)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
}

static void until_logged(const char *text)
{
	int64_t end = hull_now_ms() + DEADLINE_MS;
	while (!strstr(fx.log, text)) {
		assert_true(hull_now_ms() < end);
		uv_run(&fx.loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

static void make_file(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void test_changes_arrive(void **state)
{
	begin();
	make_file(fx.fd, "file");
	until_logged("file 100\n");            /* IN_CREATE */
	assert_int_equal(mkdirat(fx.fd, "dir", 0700), 0);
	until_logged("dir 100\n");
	while (fx.watch->unwatched)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	make_file(fx.fd, "dir/inner");
	until_logged("dir/inner 100\n");
}

/* A guest makes directories without end. */
static void test_queue_is_bounded(void **state)
{
	begin();
	for (int i = 0; i < 2000; i++) {
		_cleanup_free_ char *name = hull_asprintf("directory-%d", i);
		assert_int_equal(mkdirat(fx.fd, name, 0700), 0);
	}
	for (int i = 0; i < 200; i++) {
		size_t n = 0;
		uv_run(&fx.loop, UV_RUN_NOWAIT);
		for (const struct hull_unwatched *u = fx.watch->unwatched; u; u = u->next)
			n++;
		assert_int_equal(n, fx.watch->n_unwatched);
		assert_true(n <= DIRECTORIES_MAX);
		assert_true(fx.watch->directories <= DIRECTORIES_MAX);
	}
	hull_volume_watch_remove(fx.watch, "vol");
	assert_int_equal(fx.watch->n_unwatched, 0);
	assert_null(fx.watch->unwatched);
}

/* What lies behind a link that the guest has put in the place of a directory is nobody's business. */
static void test_links_are_not_followed(void **state)
{
	assert_int_equal(mkdirat(fx.fd, "a", 0700), 0);
	begin();
	_cleanup_free_ char *outside = hull_asprintf("%s.outside", fx.dir), *name = hull_asprintf("%s/f", outside);
	mkdir(outside, 0700);
	make_file(AT_FDCWD, name);

	make_file(fx.fd, "a/f");
	assert_int_equal(unlinkat(fx.fd, "a/f", 0), 0);
	assert_int_equal(renameat(fx.fd, "a", fx.fd, "b"), 0);
	assert_int_equal(symlinkat(outside, fx.fd, "a"), 0);
	until_logged("a/f 200\n");             /* IN_DELETE */
	/* It is gone, so the end comes last. */
	assert_true(strstr(fx.log, "a/f 100\n") < strstr(fx.log, "a/f 200\n"));
	hull_rmtree(AT_FDCWD, outside);
}

/* For a moment: pods that other processes start right now would do without. */
static void test_no_group_left(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_volume_watch *watch = NULL;
	uv_loop_t loop;
	int fds[GROUPS_MAX], n = 0;
	(void)state;
	uv_loop_init(&loop);
	while (n < GROUPS_MAX && (fds[n] = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY)) >= 0)
		n++;
	int last = errno, r = n < GROUPS_MAX ? hull_volume_watch_new(&loop, DIRECTORIES_MAX, 1, on_changes, NULL, &watch, &err) : 0;
	while (n > 0)
		close(fds[--n]);
	if (r == 0 || last != EMFILE)
		skip();
	assert_int_equal(r, -EMFILE);
	assert_non_null(strstr(err.message, "fs.fanotify.max_user_groups"));
	uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes_arrive, setup, teardown),
		cmocka_unit_test(test_no_group_left),
		cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
	};
	return cmocka_run_group_tests_name("volume watch", tests, NULL, NULL);
}
