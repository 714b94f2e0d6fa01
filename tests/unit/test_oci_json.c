/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON: what is let through, what is not, and what the errors say. */
#include "oci_fixture.h"

static int parse(const char *text, size_t len, struct json_object **ret, struct hull_error *err)
{
	_cleanup_free_ char *copy = hull_memdup(text, len);
	return hull_json_parse("doc", copy, len, 1 << 20, ret, err);
}

static void accepts_what_rfc_8259_does(void **state HULL_UNUSED)
{
	static const char *const texts[] = {
		"{}", "[]", "0", "-0", "1.5e+3", "\"\"", "true", "null", " [ 1 , 2 ] ", "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"",
		"18446744073709551615", "-9223372036854775808", "{\"a\\u0062\":1,\"ac\":2}", "123456789.123e-7", "{\"\":1}",
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(texts); i++) {
		_cleanup_json_ struct json_object *value = NULL;
		struct hull_error err = HULL_ERROR_INIT;
		if (parse(texts[i], strlen(texts[i]), &value, &err) < 0)
			fail_msg("%s: %s", texts[i], err.message);
		/* What was let through means the same to json-c. */
		_cleanup_json_ struct json_object *same = json_tokener_parse(texts[i]);
		assert_true(json_object_equal(value, same));
	}
}

#define TEXT(s) s, sizeof(s) - 1
static const struct { const char *text; size_t len; const char *expected; } refused[] = {
	{ TEXT(""), "found the end of the text" },
	{ TEXT("{"), "expected a key, found the end" },
	{ TEXT("{\"a\":1,}"), "expected a key, found '}'" },
	{ TEXT("[1,]"), "expected a value, found ']'" },
	{ TEXT("[1 2]"), "expected ',' or ']', found '2'" },
	{ TEXT("{\"a\" 1}"), "expected ':', found '1'" },
	{ TEXT("{\"a\":1 \"b\":2}"), "expected ',' or '}'" },
	{ TEXT("{'a':1}"), "expected a key, found '''" },
	{ TEXT("{a:1}"), "expected a key, found 'a'" },
	{ TEXT("{} {}"), "expected the end of the text, found '{'" },
	{ TEXT("{}\0"), "expected the end of the text, found byte 0x00" },
	{ TEXT("// x\n{}"), "expected a value, found '/'" },
	{ TEXT("{} /* x */"), "expected the end of the text, found '/'" },
	{ TEXT("NaN"), "expected a value" },
	{ TEXT("Infinity"), "expected a value" },
	{ TEXT("-Infinity"), "expected a digit" },
	{ TEXT("TRUE"), "expected a value" },
	{ TEXT("nul"), "expected a value" },
	{ TEXT("truex"), "expected the end of the text, found 'x'" },
	{ TEXT("01"), "expected the end of the text, found '1'" },
	{ TEXT("+1"), "expected a value" },
	{ TEXT("1."), "expected a digit" },
	{ TEXT(".5"), "expected a value" },
	{ TEXT("1e"), "expected a digit" },
	{ TEXT("0x10"), "expected the end of the text" },
	{ TEXT("18446744073709551616"), "a number is out of range" },
	{ TEXT("-9223372036854775809"), "a number is out of range" },
	{ TEXT("[123456789012345678901234567890]"), "a number is out of range" },
	{ TEXT("\"a"), "a string does not end" },
	{ TEXT("\"a\nb\""), "control character 0x0a" },
	{ TEXT("\"a\0b\""), "control character 0x00" },
	{ TEXT("\"a\\u0000b\""), "holds a NUL" },
	{ TEXT("{\"a\\u0000\":1}"), "holds a NUL" },
	{ TEXT("\"\\x41\""), "expected an escape, found 'x'" },
	{ TEXT("\"\\u12\""), "expected a hexadecimal digit" },
	{ TEXT("\"\\u00g0\""), "expected a hexadecimal digit, found 'g'" },
	{ TEXT("\"\\ud83d\""), "lone surrogate (\\ud83d)" },
	{ TEXT("\"\\ude00\""), "lone surrogate" },
	{ TEXT("\"\\ud83dx\""), "lone surrogate" },
	{ TEXT("\"\\ud83d\\n\""), "lone surrogate" },
	{ TEXT("\"\\ud83d\\u0041\""), "lone surrogate" },
	{ TEXT("\"\xff\""), "invalid UTF-8 (byte 0xff)" },
	{ TEXT("\"\x80\""), "invalid UTF-8" },
	{ TEXT("\"\xc0\x80\""), "invalid UTF-8" },
	{ TEXT("\"\xe0\x80\x80\""), "invalid UTF-8" },
	{ TEXT("\"\xed\xa0\x80\""), "invalid UTF-8" },
	{ TEXT("\"\xf4\x90\x80\x80\""), "invalid UTF-8" },
	{ TEXT("\"\xe2\x82\""), "invalid UTF-8" },
	{ TEXT("\"\xf0\x9f\x98\""), "invalid UTF-8" },
	{ TEXT("\"\xc3"), "invalid UTF-8" },
	{ TEXT("\xef\xbb\xbf{}"), "found byte 0xef" },
	{ TEXT("{\"a\":1,\"a\":2}"), "key \"a\" occurs twice in one object" },
	{ TEXT("{\"a\":1,\"\\u0061\":2}"), "key \"a\" occurs twice" },
	{ TEXT("[{\"x\":{\"k\":1,\"b\":{},\"k\":1}}]"), "key \"k\" occurs twice" },
	{ TEXT("{\n \"a\": 1,\n \"b\" 2\n}"), "doc: line 3, column 6: expected ':', found '2'" },
};

static void refuses_the_rest(void **state HULL_UNUSED)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(refused); i++) {
		struct json_object *value = NULL;
		struct hull_error err = HULL_ERROR_INIT;
		if (parse(refused[i].text, refused[i].len, &value, &err) == 0)
			fail_msg("accepted: %s", refused[i].text);
		if (!strstr(err.message, refused[i].expected))
			fail_msg("%s: expected \"%s\" in \"%s\"", refused[i].text, refused[i].expected, err.message);
		assert_null(value);
		assert_int_equal(err.code, EINVAL);
	}
}

static char *nested(char open, char close, const char *middle, unsigned depth)
{
	char *text = hull_calloc(2 * depth + strlen(middle) + 1, 1);
	memset(text, open, depth);
	memcpy(text + depth, middle, strlen(middle));
	memset(text + depth + strlen(middle), close, depth);
	return text;
}

static void bounds_depth(void **state HULL_UNUSED)
{
	static const unsigned too_deep[] = { HULL_JSON_DEPTH_MAX + 1, 1000, 500000 };

	_cleanup_json_ struct json_object *value = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_free_ char *deepest = nested('[', ']', "{\"a\":1}", HULL_JSON_DEPTH_MAX - 1);
	assert_int_equal(parse(deepest, strlen(deepest), &value, &err), 0);

	for (size_t i = 0; i < HULL_ARRAY_SIZE(too_deep); i++) {
		_cleanup_free_ char *text = nested('[', ']', "", too_deep[i]);
		struct json_object *none = NULL;
		assert_int_equal(parse(text, strlen(text), &none, &err), -EINVAL);
		assert_non_null(strstr(err.message, "nested deeper than 32"));
	}
}

static void bounds_size(void **state HULL_UNUSED)
{
	struct json_object *value = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(hull_json_parse("doc", "[1,2]", 5, 4, &value, &err), -EFBIG);
	assert_string_equal(err.message, "doc: 5 bytes are more than the 4 allowed");
	assert_int_equal(hull_json_parse("doc", "[1,2]", 5, 5, &value, &err), 0);
	json_object_put(value);
}

static void numbers_keep_their_range(void **state HULL_UNUSED)
{
	static const char text[] = "[18446744073709551615, -1, 9223372036854775807, 9223372036854775808, 1.0, \"1\"]";
	_cleanup_json_ struct json_object *array = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(parse(text, strlen(text), &array, &err), 0);

	const struct hull_json_doc doc = { .name = "doc", .err = &err };
	struct hull_json root = hull_json_root(&doc, NULL, array), v[6];
	for (size_t i = 0; i < 6; i++)
		v[i] = hull_json_element(&root, i);
	uint64_t u = 0;
	int64_t s = 0;
	assert_int_equal(hull_json_get_u64(&v[0], UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(hull_json_get_i64(&v[0], INT64_MIN, INT64_MAX, &s), -EINVAL);
	assert_int_equal(hull_json_get_u64(&v[1], UINT64_MAX, &u), -EINVAL);
	assert_string_equal(err.message, "doc: [1]: expected a number from 0 to 18446744073709551615, found a number (-1)");
	assert_int_equal(hull_json_get_i64(&v[1], -1, 5, &s), 0);
	assert_true(s == -1);
	assert_int_equal(hull_json_get_i64(&v[2], INT64_MIN, INT64_MAX, &s), 0);
	assert_true(s == INT64_MAX);
	assert_int_equal(hull_json_get_i64(&v[3], INT64_MIN, INT64_MAX, &s), -EINVAL);
	assert_int_equal(hull_json_get_i64(&v[4], 0, 5, &s), -EINVAL);
	assert_int_equal(hull_json_get_i64(&v[5], 0, 5, &s), -EINVAL);
	assert_int_equal(hull_json_get_u64(&v[2], 100, &u), -EINVAL);
}

static void errors_show_safe_text(void **state HULL_UNUSED)
{
	static const char text[] = "{\"a b\":{\"\\u001b[31m\":[\"\\u001b[2J\\u009b\\\"x\"]}}";
	_cleanup_json_ struct json_object *object = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(parse(text, strlen(text), &object, &err), 0);

	const struct hull_json_doc doc = { .err = &err };
	struct hull_json root = hull_json_root(&doc, "top", object);
	struct hull_json a = hull_json_member(&root, "a b"), b = hull_json_member(&a, "\x1b[31m"), c = hull_json_element(&b, 0);
	hull_json_unexpected(&c, "nothing");
	assert_string_equal(err.message, "top[\"a b\"][\"\\x1b[31m\"][0]: expected nothing, found a string "
			    "(\"\\x1b[2J\\xc2\\x9b\\x22x\")");

	_cleanup_free_ char *cut = hull_json_quote("abcdef", 3);
	assert_string_equal(cut, "\"abc…\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_rfc_8259_does), cmocka_unit_test(refuses_the_rest), cmocka_unit_test(bounds_depth),
		cmocka_unit_test(bounds_size), cmocka_unit_test(numbers_keep_their_range), cmocka_unit_test(errors_show_safe_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
