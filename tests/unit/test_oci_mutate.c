/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full config.json, changed in every place: each value replaced by each wrong type, each member removed, set to null or
 * joined by an unknown one, the text cut at each byte. The errors have to name the place. Leaks are the sanitizer's to find.
 */
#include "oci_fixture.h"

/* Objects whose members are not looked at: the whole is ignored or refused. */
static const char *const opaque[] = {
	"linux.intelRdt.", "linux.resources.network.", "linux.resources.rdma.", "linux.resources.blockIO.weightDevice[",
};

/* Objects with free keys. */
static const char *const maps[] = { "annotations", "linux.sysctl", "linux.resources.unified", "linux.resources.network",
				    "linux.resources.rdma", "linux.intelRdt" };

static struct json_object *full;
static unsigned n_changes;

static bool is_opaque(const char *path)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(opaque); i++)
		if (strncmp(path, opaque[i], strlen(opaque[i])) == 0)
			return true;
	return false;
}

static bool is_map(const char *path)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(maps); i++)
		if (strcmp(path, maps[i]) == 0)
			return true;
	return false;
}

/* Parses what `full` is now. Returns whether it passed; the error must then be about `path` if that is not NULL. */
static bool parse_full(const char *path)
{
	const char *text = json_object_to_json_string_ext(full, JSON_C_TO_STRING_PLAIN);
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = parse_exact(text, strlen(text), &err);
	bool passed = spec != NULL;

	n_changes++;
	if (spec) {
		(void)hull_oci_spec_check_supported(spec, &err);
		(void)hull_oci_spec_check_own_network(spec, &err);
		hull_oci_spec_free(spec);
	} else if (path) {
		_cleanup_free_ char *start = hull_asprintf("config.json: %s: ", path);
		if (strncmp(err.message, start, strlen(start)) != 0)
			fail_msg("expected an error about %s, got: %s", path, err.message);
	}
	return passed;
}

/* Puts `value` (consumed) where `parent`'s member `key` or element `index` was. */
static void put(struct json_object *parent, const char *key, size_t index, struct json_object *value)
{
	if (key)
		json_object_object_add(parent, key, value);
	else
		json_object_array_put_idx(parent, index, value);
}

static void replace_by_wrong_types(struct json_object *parent, const char *key, size_t index, const char *path)
{
	struct json_object *old = key ? json_object_object_get(parent, key) : json_object_array_get_idx(parent, index);
	enum json_type type = json_object_get_type(old);
	static const char *const texts[] = { "\"text\"", "\"\"", "7", "1.5", "true", "[]", "[[]]", "{}", "{\"bogus\":1}" };

	json_object_get(old);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(texts); i++) {
		struct json_object *wrong = json_tokener_parse(texts[i]);
		if (json_object_get_type(wrong) == type) {
			json_object_put(wrong);
			continue;
		}
		put(parent, key, index, wrong);
		if (parse_full(path) && !is_opaque(path))
			fail_msg("%s: accepted %s", path, texts[i]);
	}
	put(parent, key, index, old);
}

/* null means the same as absent. */
static void remove_member(struct json_object *parent, const char *key)
{
	struct json_object *old = json_object_get(json_object_object_get(parent, key));
	json_object_object_add(parent, key, NULL);
	bool with_null = parse_full(NULL);
	json_object_object_del(parent, key);
	bool without = parse_full(NULL);
	if (with_null != without && json_object_get_type(old) != json_type_string)
		fail_msg("%s: null %s, none %s", key, with_null ? "passes" : "fails", without ? "passes" : "fails");
	json_object_object_add(parent, key, old);
}

static void add_unknown_member(struct json_object *object, const char *path)
{
	_cleanup_free_ char *bogus = hull_asprintf("%s%sbogus", path, *path ? "." : "");
	json_object_object_add(object, "bogus", json_object_new_int(1));
	bool passed = parse_full(bogus);
	if (passed && *path && !is_map(path) && !is_opaque(path))
		fail_msg("%s: accepted", bogus);
	json_object_object_del(object, "bogus");
}

static char *child_path(const char *path, const char *key, size_t index)
{
	if (!key)
		return hull_asprintf("%s[%zu]", path, index);
	if (strpbrk(key, "./"))
		return hull_asprintf("%s[\"%s\"]", path, key);
	return hull_asprintf("%s%s%s", path, *path ? "." : "", key);
}

static void mutate(struct json_object *value, const char *path)
{
	enum json_type type = json_object_get_type(value);

	if (type == json_type_object) {
		add_unknown_member(value, path);
		struct hull_strv keys = { NULL, 0 };
		json_object_object_foreach(value, key, member) {
			(void)member;
			hull_strv_add(&keys, key);
		}
		for (size_t i = 0; i < keys.n; i++) {
			_cleanup_free_ char *sub = child_path(path, keys.v[i], 0);
			replace_by_wrong_types(value, keys.v[i], 0, sub);
			remove_member(value, keys.v[i]);
			mutate(json_object_object_get(value, keys.v[i]), sub);
		}
		hull_strv_clear(&keys);
	} else if (type == json_type_array) {
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			_cleanup_free_ char *sub = child_path(path, NULL, i);
			replace_by_wrong_types(value, NULL, i, sub);
			mutate(json_object_array_get_idx(value, i), sub);
		}
	}
}

static void every_place_is_checked(void **state HULL_UNUSED)
{
	size_t len;
	_cleanup_free_ char *text = fixture("full.json", &len);
	full = json_tokener_parse(text);
	assert_true(parse_full(NULL));
	mutate(full, "");
	assert_true(parse_full(NULL));
	assert_true(n_changes > 1000);
	json_object_put(full);
}

static void every_truncation_is_an_error(void **state HULL_UNUSED)
{
	size_t len;
	_cleanup_free_ char *text = fixture("full.json", &len);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	for (size_t n = 0; n < len; n++) {
		struct hull_error err = HULL_ERROR_INIT;
		assert_null(parse_exact(text, n, &err));
		assert_non_null(strstr(err.message, "config.json: line "));
	}
}

/* Only that nothing breaks. */
static void every_byte_may_be_wrong(void **state HULL_UNUSED)
{
	static const char bytes[] = { '\0', '"', '{', '}', ',', ':', '0', '-', (char)0xff };
	size_t len;
	_cleanup_free_ char *text = fixture("full.json", &len);
	for (size_t n = 0; n < len; n++) {
		struct hull_error err = HULL_ERROR_INIT;
		char old = text[n];
		text[n] = bytes[n % sizeof(bytes)];
		hull_oci_spec_free(parse_exact(text, len, &err));
		text[n] = old;
	}
}

static void large_input_is_bounded(void **state HULL_UNUSED)
{
	struct hull_error err = HULL_ERROR_INIT;
	const size_t too_big = 4u << 20;
	_cleanup_free_ char *spaces = hull_calloc(too_big, 1);
	memset(spaces, ' ', too_big);
	assert_null(parse_exact(spaces, too_big, &err));
	assert_int_equal(err.code, EFBIG);

	/* Of the size that is allowed: many small elements, many keys, one long string. */
	static const char *const heads[] = {
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[\"\"",
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"mounts\":[{}",
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"maskedPaths\":[\"/\"",
	};
	static const char *const repeats[] = { ",\"\"", ",{}", ",\"/\"" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(heads); i++) {
		_cleanup_free_ char *text = hull_calloc(HULL_OCI_CONFIG_MAX_BYTES + 1, 1);
		char *p = stpcpy(text, heads[i]);
		while (p + strlen(repeats[i]) + 4 < text + HULL_OCI_CONFIG_MAX_BYTES)
			p = stpcpy(p, repeats[i]);
		snprintf(p, 4, "%s", i == 1 ? "]}" : "]}}");
		assert_null(parse_exact(text, strlen(text), &err));
		assert_int_equal(err.code, EINVAL);
	}
	assert_non_null(strstr(err.message, "config.json: linux.maskedPaths: "));
	assert_non_null(strstr(err.message, "elements are more than the 65536 allowed"));
}

static void real_configs_pass(void **state HULL_UNUSED)
{
	static const struct { const char *name; const char *refusal; } configs[] = {
		{ "runc-spec.json", NULL }, { "containerd-ctr.json", NULL }, { "containerd-cri-sandbox.json", NULL },
		{ "containerd-cri-container.json", NULL }, { "docker-default.json", NULL }, { "docker-limits.json", NULL },
		{ "docker-privileged.json", NULL }, { "podman-default.json", NULL }, { "podman-limits.json", NULL },
		{ "podman-privileged.json", NULL }, { "podman-userns.json", NULL }, { "podman-pod-infra.json", NULL },
		{ "podman-pod-service.json", NULL }, { "podman-hostnet.json", "no network namespace" },
		{ "docker-hostnet.json", "/proc/self/ns/net is the host's network namespace" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(configs); i++) {
		size_t len;
		struct hull_error err = HULL_ERROR_INIT;
		_cleanup_free_ char *text = fixture(configs[i].name, &len);
		struct hull_oci_spec *spec = must_parse(text);
		int r = hull_oci_spec_check_supported(spec, &err);
		if (r == 0)
			r = hull_oci_spec_check_own_network(spec, &err);
		if ((r < 0) != (configs[i].refusal != NULL) || (r < 0 && !strstr(err.message, configs[i].refusal)))
			fail_msg("%s: %s", configs[i].name, r < 0 ? err.message : "accepted");
		assert_true(spec->has_process && spec->process.args.n > 0 && spec->n_mounts > 0);
		hull_oci_spec_free(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_is_checked), cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(every_byte_may_be_wrong), cmocka_unit_test(large_input_is_bounded),
		cmocka_unit_test(real_configs_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
