/* SPDX-License-Identifier: Apache-2.0 */
/* What of a guest's console explains its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pod/console.h"

static void say(struct hull_console *console, const char *text)
{
	hull_console_add(console, (const uint8_t *)text, strlen(text));
}

static void test_nothing_said(void **state)
{
	struct hull_console console = { 0 };
	char words[100];
	hull_console_last_words(&console, words, sizeof(words));
	assert_string_equal(words, "");
}

static void test_last_line(void **state)
{
	struct hull_console console = { 0 };
	char words[100];
	say(&console, "one\r\ntwo\x1b[0m\r\n\r\n");
	hull_console_last_words(&console, words, sizeof(words));
	assert_string_equal(words, "two[0m");
}

static void test_oops(void **state)
{
	struct hull_console console = { 0 };
	char words[400];
	say(&console, "[ 0.1] fine\r\n[ 0.2] BUG: kernel NULL pointer dereference, address: 0\r\n[ 0.2] Oops: 0000 [#1]\r\n"
		      "[ 0.2] RIP: 0010:f+0x1/0x2\r\n[ 0.2] RIP: 0010:g\r\n[ 0.3] Kernel panic - not syncing: Fatal exception\r\n[ 0.4] rebooting\r\n");
	hull_console_last_words(&console, words, sizeof(words));
	assert_string_equal(words, "BUG: kernel NULL pointer dereference, address: 0; RIP: 0010:f+0x1/0x2; "
				   "Kernel panic - not syncing: Fatal exception");
	char few[12];
	hull_console_last_words(&console, few, sizeof(few));
	assert_string_equal(few, "BUG: kernel");
}

static void test_ring(void **state)
{
	struct hull_console console = { 0 };
	char words[100];
	for (int i = 0; i < HULL_CONSOLE_KEEP_BYTES; i++)
		say(&console, "x\n");
	say(&console, "Kernel panic - not syncing: test\n");
	hull_console_last_words(&console, words, sizeof(words));
	assert_string_equal(words, "Kernel panic - not syncing: test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_oops),
		cmocka_unit_test(test_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
