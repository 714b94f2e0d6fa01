/* SPDX-License-Identifier: Apache-2.0 */
/* What the test_oci_* programs share: fixtures, and parsing text that is expected to pass or fail. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "oci/json.h"
#include "oci/spec.h"

#ifndef HULL_TEST_FIXTURES
#define HULL_TEST_FIXTURES "tests/fixtures"
#endif

/* The text of tests/fixtures/oci/NAME. Caller frees. */
static inline char *fixture(const char *name, size_t *ret_len)
{
	_cleanup_free_ char *path = hull_asprintf("%s/oci/%s", HULL_TEST_FIXTURES, name);
	char *text = NULL;
	int r = hull_file_read(AT_FDCWD, path, 16u << 20, &text, ret_len);
	if (r < 0)
		fail_msg("%s: %s (run from the source root)", path, strerror(-r));
	return text;
}

/* Parses a copy of exactly `len` bytes, so that a sanitizer sees every read behind it. */
static inline struct hull_oci_spec *parse_exact(const char *text, size_t len, struct hull_error *err)
{
	_cleanup_free_ char *copy = hull_memdup(text, len);
	struct hull_oci_spec *spec = NULL;
	int r = hull_oci_spec_parse(copy, len, &spec, err);
	assert_true((r == 0) == (spec != NULL));
	if (r < 0)
		assert_true(err->code > 0 && err->message[0] != '\0');
	return spec;
}

static inline struct hull_oci_spec *must_parse(const char *text)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = parse_exact(text, strlen(text), &err);
	if (!spec)
		fail_msg("refused: %s", err.message);
	return spec;
}

/* Whether `text` is refused with a message that holds `expected`. */
static inline void must_refuse(const char *text, const char *expected)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = parse_exact(text, strlen(text), &err);
	if (spec)
		fail_msg("accepted: %s", text);
	if (!strstr(err.message, expected))
		fail_msg("expected \"%s\" in \"%s\"", expected, err.message);
}
