/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"
#include "base/units.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hull-base-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return hull_rmtree(AT_FDCWD, dir);
}

static void error_is_wrapped_on_the_way_up(void **state)
{
	(void)state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_error_errno(&err, -ENOENT, "open %s", "/x"), -ENOENT);
	assert_int_equal(hull_error_wrap(&err, "create %s", "web"), -ENOENT);
	assert_string_equal(err.message, "create web: open /x: No such file or directory");
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(hull_error_set(NULL, EPERM, "nobody listens"), -EPERM);
	hull_error_clear(&err);
	assert_int_equal(err.code, 0);
}

static void error_message_is_bounded(void **state)
{
	(void)state;
	struct hull_error err = HULL_ERROR_INIT;
	char long_text[2 * HULL_ERROR_MESSAGE_MAX];
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	hull_error_set(&err, EIO, "%s", long_text);
	hull_error_wrap(&err, "%s", long_text);
	assert_true(strlen(err.message) < HULL_ERROR_MESSAGE_MAX);
}

static void sizes_are_parsed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 }, { "1048576", 0, 1 << 20 }, { "512M", 0, 512u << 20 }, { "4g", 0, UINT64_C(4) << 30 },
		{ "64KiB", 0, 64 << 10 }, { "1b", 0, 1 }, { "", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "M", -EINVAL, 0 },
		{ "1X", -EINVAL, 0 }, { "1Mx", -EINVAL, 0 }, { "99999999999999999999", -ERANGE, 0 }, { "99999999P", -ERANGE, 0 },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 0;
		assert_int_equal(hull_parse_size(cases[i].text, &bytes), cases[i].r);
		if (cases[i].r == 0)
			assert_true(bytes == cases[i].bytes);
	}
}

static void numbers_are_parsed(void **state)
{
	(void)state;
	int64_t n = 7;
	assert_int_equal(hull_parse_i64("12", 0, 20, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(hull_parse_i64("21", 0, 20, &n), -ERANGE);
	assert_int_equal(hull_parse_i64("", 0, 20, &n), -EINVAL);
	assert_int_equal(hull_parse_i64(" 1", 0, 20, &n), -EINVAL);
	assert_int_equal(hull_parse_i64("1x", 0, 20, &n), -EINVAL);
	assert_int_equal(n, 12);
}

static void signals_are_parsed(void **state)
{
	(void)state;
	assert_int_equal(hull_parse_signal("9"), 9);
	assert_int_equal(hull_parse_signal("KILL"), SIGKILL);
	assert_int_equal(hull_parse_signal("SIGTERM"), SIGTERM);
	assert_int_equal(hull_parse_signal("sigusr1"), SIGUSR1);
	assert_int_equal(hull_parse_signal("RTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(hull_parse_signal("SIGRTMAX-1"), SIGRTMAX - 1);
	assert_int_equal(hull_parse_signal("0"), -EINVAL);
	assert_int_equal(hull_parse_signal("65"), -EINVAL);
	assert_int_equal(hull_parse_signal("RTMIN-1"), -EINVAL);
	assert_int_equal(hull_parse_signal("NOPE"), -EINVAL);
}

static void container_ids_are_checked(void **state)
{
	(void)state;
	char long_id[257];
	memset(long_id, 'a', 256);
	long_id[256] = '\0';
	assert_true(hull_container_id_valid("web_1.x-y+z"));
	assert_false(hull_container_id_valid(""));
	assert_false(hull_container_id_valid("."));
	assert_false(hull_container_id_valid(".."));
	assert_false(hull_container_id_valid("a/b"));
	assert_false(hull_container_id_valid("a b"));
	assert_false(hull_container_id_valid(long_id));
	long_id[255] = '\0';
	assert_true(hull_container_id_valid(long_id));
}

static void file_is_read_within_its_bound(void **state)
{
	(void)state;
	_cleanup_free_ char *path = hull_asprintf("%s/file", dir);
	_cleanup_free_ char *data = NULL;
	size_t len;
	assert_int_equal(hull_file_replace(AT_FDCWD, path, "hello", 5, 0600), 0);
	assert_int_equal(hull_file_read(AT_FDCWD, path, 4, &data, &len), -EFBIG);
	assert_int_equal(hull_file_read(AT_FDCWD, path, 5, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(data, "hello");
	assert_int_equal(hull_file_read(AT_FDCWD, "/nowhere/at/all", 5, &data, &len), -ENOENT);
}

static void tree_is_removed_without_following_links(void **state)
{
	(void)state;
	_cleanup_free_ char *tree = hull_asprintf("%s/tree", dir);
	_cleanup_free_ char *deep = hull_asprintf("%s/a/b/c", tree);
	_cleanup_free_ char *link = hull_asprintf("%s/a/link", tree);
	_cleanup_free_ char *outside = hull_asprintf("%s/outside", dir);
	_cleanup_free_ char *precious = hull_asprintf("%s/precious", outside);
	assert_int_equal(hull_mkdir_p(deep, 0700), 0);
	assert_int_equal(hull_mkdir_p(outside, 0700), 0);
	assert_int_equal(hull_file_replace(AT_FDCWD, precious, "x", 1, 0600), 0);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(hull_rmtree(AT_FDCWD, tree), 0);
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(precious, F_OK), 0);
	assert_int_equal(hull_rmtree(AT_FDCWD, tree), 0);
}

static void open_in_root_stays_inside(void **state)
{
	(void)state;
	_cleanup_free_ char *root = hull_asprintf("%s/root", dir);
	_cleanup_free_ char *etc = hull_asprintf("%s/etc", root);
	_cleanup_free_ char *link = hull_asprintf("%s/escape", root);
	assert_int_equal(hull_mkdir_p(root, 0700), 0);
	assert_int_equal(symlink("/etc", link), 0);
	_cleanup_close_ int rootfd = open(root, O_PATH | O_CLOEXEC);
	assert_int_equal(hull_open_in_root(rootfd, "escape/passwd", O_RDONLY, 0), -ENOENT);
	assert_int_equal(hull_open_in_root(rootfd, "../../etc/passwd", O_RDONLY, 0), -ENOENT);
	assert_int_equal(hull_mkdir_p(etc, 0700), 0);
	_cleanup_close_ int fd = hull_open_in_root(rootfd, "escape", O_PATH, 0);
	assert_true(fd >= 0);
}

static void procref_knows_a_process_from_its_successor(void **state)
{
	(void)state;
	struct hull_procref ref;
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(hull_procref_get(pid, &ref), 0);
	assert_true(hull_procref_alive(&ref));
	struct hull_procref other = { .pid = pid, .start_ticks = ref.start_ticks + 1 };
	assert_false(hull_procref_alive(&other));
	assert_int_equal(hull_procref_kill(&other, SIGKILL), -ESRCH);
	_cleanup_close_ int fd = hull_procref_open(&ref);
	assert_true(fd >= 0);
	assert_int_equal(hull_pidfd_wait(fd, 10), -ETIMEDOUT);
	assert_int_equal(hull_procref_kill(&ref, SIGKILL), 0);
	assert_int_equal(hull_pidfd_wait(fd, 5000), 0);
	/* A zombie is not alive. */
	assert_false(hull_procref_alive(&ref));
	waitpid(pid, NULL, 0);
}

static void log_lines_are_json_and_bounded(void **state)
{
	(void)state;
	_cleanup_free_ char *path = hull_asprintf("%s/log", dir);
	_cleanup_free_ char *data = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	hull_log_setup(fd, HULL_LOG_JSON, HULL_LOG_INFO, 400);
	hull_log_info("a \"quoted\" text\nwith control \x01");
	hull_log_debug("not shown");
	for (int i = 0; i < 100; i++)
		hull_log_info("filler %d", i);
	hull_log_setup(STDERR_FILENO, HULL_LOG_TEXT, HULL_LOG_WARNING, 0);
	size_t len;
	assert_int_equal(hull_file_read(AT_FDCWD, path, 1 << 16, &data, &len), 0);
	assert_true(len < 800);
	assert_non_null(strstr(data, "{\"level\":\"info\",\"msg\":\"a \\\"quoted\\\" text\\nwith control \\u0001\",\"time\":\""));
	assert_null(strstr(data, "not shown"));
	assert_non_null(strstr(data, "log is full"));
}

static void text_of_others_is_cleaned(void **state)
{
	static const struct {
		const char *in, *out, *line;
	} cases[] = {
		{ "plain", "plain", "plain" },
		{ NULL, "", "" },
		{ "two\nlines\tand a tab", "two\nlines\tand a tab", "two?lines?and a tab" },
		{ "\x1b[31mred", "?[31mred", "?[31mred" },
		{ "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x90\xa7", "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x90\xa7", NULL },
		{ "\xc2\x9b" "1m", "?1m", "?1m" },
		{ "\xff\xfe", "??", "??" },
		{ "\xc0\xaf", "??", "??" },
		{ "\xed\xa0\x80", "???", "???" },
		{ "\xf4\x90\x80\x80", "????", "????" },
		{ "cut\xe2\x82", "cut??", "cut??" },
	};
	char out[64];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(hull_text_clean(out, sizeof(out), cases[i].in), cases[i].out);
		assert_string_equal(hull_text_clean_line(out, sizeof(out), cases[i].in),
				    cases[i].line ? cases[i].line : cases[i].in);
	}
	/* A character that does not fit is left out whole. */
	assert_string_equal(hull_text_clean(out, 6, "aaaa\xe2\x82\xac"), "aaaa");
	assert_string_equal(hull_text_clean(out, 8, "aaaa\xe2\x82\xac"), "aaaa\xe2\x82\xac");
	assert_string_equal(hull_text_clean(out, 1, "a"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_is_wrapped_on_the_way_up),
		cmocka_unit_test(error_message_is_bounded),
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(numbers_are_parsed),
		cmocka_unit_test(signals_are_parsed),
		cmocka_unit_test(container_ids_are_checked),
		cmocka_unit_test(file_is_read_within_its_bound),
		cmocka_unit_test(tree_is_removed_without_following_links),
		cmocka_unit_test(open_in_root_stays_inside),
		cmocka_unit_test(procref_knows_a_process_from_its_successor),
		cmocka_unit_test(log_lines_are_json_and_bounded),
		cmocka_unit_test(text_of_others_is_cleaned),
	};
	return cmocka_run_group_tests_name("base", tests, make_dir, remove_dir);
}
