/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that src/oci writes: exec's process, the default config, the features document. */
#include <linux/capability.h>

#include "oci_fixture.h"

#define BIT(n) (UINT64_C(1) << (n))

/* runc's default config, with exec's overrides. */
static struct hull_oci_process *exec_process(const struct hull_oci_exec_overrides *o)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_process *p = NULL;
	_cleanup_free_ char *config = hull_oci_default_config(), *json = NULL;
	if (hull_oci_exec_process(config, strlen(config), o, &json, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(hull_oci_process_parse(json, strlen(json), &p, &err), 0);
	return p;
}

static void exec_without_overrides_is_the_containers_process(void **state HULL_UNUSED)
{
	struct hull_oci_process *p = exec_process(&(struct hull_oci_exec_overrides){ .args = NULL });
	assert_string_equal(p->args.v[0], "sh");
	assert_string_equal(p->cwd, "/");
	assert_false(p->terminal);             /* only if asked for, whatever the config says */
	assert_true(p->no_new_privileges && p->env.n == 2 && p->n_rlimits == 1);
	hull_oci_process_free(p);
}

static void exec_overrides(void **state HULL_UNUSED)
{
	char *args_v[] = { (char *)"ls", (char *)"-l", NULL }, *env_v[] = { (char *)"A=b", NULL };
	char *caps_v[] = { (char *)"CAP_SYS_ADMIN", (char *)"net_raw", NULL };
	const struct hull_strv args = { args_v, 2 }, env = { env_v, 1 }, caps = { caps_v, 2 };
	const uint32_t gids[] = { 7, 8 };
	const struct hull_oci_exec_overrides o = {
		.args = &args, .env = &env, .caps = &caps, .cwd = "/tmp", .user = "1000:100", .additional_gids = gids,
		.n_additional_gids = 2, .terminal = true, .no_new_privileges = true,
	};
	struct hull_oci_process *p = exec_process(&o);
	const uint64_t added = BIT(CAP_SYS_ADMIN) | BIT(CAP_NET_RAW);

	assert_true(p->args.n == 2 && p->env.n == 3 && p->terminal && p->no_new_privileges);
	assert_string_equal(p->args.v[1], "-l");
	assert_string_equal(p->env.v[2], "A=b");
	assert_string_equal(p->cwd, "/tmp");
	assert_true(p->user.uid == 1000 && p->user.gid == 100 && p->user.n_additional_gids == 2 && p->user.additional_gids[1] == 8);
	assert_true((p->capabilities.bounding & added) == added && (p->capabilities.effective & added) == added);
	assert_true((p->capabilities.permitted & added) == added && (p->capabilities.ambient & added) == added);
	assert_true((p->capabilities.bounding & BIT(CAP_KILL)) && p->capabilities.inheritable == 0);
	hull_oci_process_free(p);
}

static void exec_user_without_group_keeps_the_group(void **state HULL_UNUSED)
{
	static const char config[] = "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],"
				     "\"user\":{\"uid\":5,\"gid\":6}}}";
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_free_ char *json = NULL;
	const struct hull_oci_exec_overrides o = { .user = "9" };
	assert_int_equal(hull_oci_exec_process(config, strlen(config), &o, &json, &err), 0);
	assert_string_equal(json, "{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"uid\":9,\"gid\":6},\"terminal\":false}");
}

static void exec_errors(void **state HULL_UNUSED)
{
	static const char no_process[] = "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}}";
	char *bad_cap[] = { (char *)"CAP_X", NULL }, *bad_utf8[] = { (char *)"\xff", NULL };
	const struct hull_strv none = { NULL, 0 }, caps = { bad_cap, 1 }, args = { bad_utf8, 1 };
	const struct { struct hull_oci_exec_overrides o; const char *expected; } cases[] = {
		{ { .args = &none }, "process.args: must not be empty" },
		{ { .args = &args }, "process: line 1" },
		{ { .cwd = "tmp" }, "process.cwd: expected an absolute path, found a string (\"tmp\")" },
		{ { .user = "root" }, "\"root\" is not a numeric user or group id" },
		{ { .user = "1:" }, "\"\" is not a numeric user or group id" },
		{ { .user = "1:2:3" }, "\"2:3\" is not a numeric" },
		{ { .user = "-1" }, "\"-1\" is not a numeric" },
		{ { .user = "4294967295" }, "\"4294967295\" is not a numeric" },
		{ { .caps = &caps }, "\"CAP_X\" is not a capability" },
	};
	_cleanup_free_ char *config = hull_oci_default_config();
	char *json = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		assert_int_equal(hull_oci_exec_process(config, strlen(config), &cases[i].o, &json, &err), -EINVAL);
		if (!strstr(err.message, cases[i].expected))
			fail_msg("expected \"%s\" in \"%s\"", cases[i].expected, err.message);
		assert_null(json);
	}
	assert_int_equal(hull_oci_exec_process(no_process, strlen(no_process), &cases[0].o, &json, &err), -EINVAL);
	assert_string_equal(err.message, "config.json: process: missing");
	assert_int_equal(hull_oci_exec_process("{", 1, &cases[0].o, &json, &err), -EINVAL);
}

static void capability_names(void **state HULL_UNUSED)
{
	assert_int_equal(hull_oci_capability_parse("CAP_NET_RAW"), CAP_NET_RAW);
	assert_int_equal(hull_oci_capability_parse("net_raw"), CAP_NET_RAW);
	assert_int_equal(hull_oci_capability_parse("Cap_Chown"), 0);
	assert_int_equal(hull_oci_capability_parse("CAP_LAST_CAP"), -EINVAL);
	assert_int_equal(hull_oci_capability_parse("CAP_"), -EINVAL);
	assert_int_equal(hull_oci_capability_parse(""), -EINVAL);
}

static void default_config_is_runcs(void **state HULL_UNUSED)
{
	size_t len;
	_cleanup_free_ char *runc_text = fixture("runc-spec.json", &len), *text = hull_oci_default_config();
	_cleanup_json_ struct json_object *runc = json_tokener_parse(runc_text), *ours = json_tokener_parse(text);

	assert_string_equal(json_object_get_string(json_object_object_get(ours, "ociVersion")), HULL_OCI_VERSION);
	json_object_object_add(runc, "ociVersion", json_object_new_string(HULL_OCI_VERSION));
	assert_true(json_object_equal(runc, ours));

	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = must_parse(text);
	assert_int_equal(hull_oci_spec_check_supported(spec, &err), 0);
	assert_true(spec->process.terminal && spec->ignored.n == 0);
	hull_oci_spec_free(spec);
}

static bool array_has(struct json_object *array, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(array, i)), name) == 0)
			return true;
	return false;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no %s", key);
	return value;
}

static void features_document(void **state HULL_UNUSED)
{
	_cleanup_free_ char *text = hull_oci_features("1.2.3");
	_cleanup_json_ struct json_object *features = json_tokener_parse(text);
	struct json_object *linux_object = member(features, "linux"), *seccomp = member(linux_object, "seccomp");

	assert_string_equal(json_object_get_string(member(features, "ociVersionMin")), "1.0.0");
	assert_string_equal(json_object_get_string(member(features, "ociVersionMax")), HULL_OCI_VERSION);
	assert_int_equal(json_object_array_length(member(features, "hooks")), 6);
	assert_true(array_has(member(features, "mountOptions"), "rro") && array_has(member(features, "mountOptions"), "acl"));
	assert_true(array_has(member(linux_object, "namespaces"), "network"));
	assert_int_equal(json_object_array_length(member(linux_object, "capabilities")), CAP_LAST_CAP + 1);
	assert_true(array_has(member(seccomp, "actions"), "SCMP_ACT_ERRNO"));
	assert_false(array_has(member(seccomp, "actions"), "SCMP_ACT_NOTIFY"));
	assert_true(array_has(member(seccomp, "supportedFlags"), "SECCOMP_FILTER_FLAG_LOG"));
	assert_true(json_object_get_boolean(member(member(linux_object, "cgroup"), "v2")));
	assert_false(json_object_get_boolean(member(member(linux_object, "intelRdt"), "enabled")));
	assert_string_equal(json_object_get_string(member(member(features, "annotations"), "run.hull.version")), "1.2.3");
	assert_true(array_has(member(features, "potentiallyUnsafeConfigAnnotations"), "io.katacontainers."));

	struct json_object *options = member(features, "mountOptions");
	for (size_t i = 1; i < json_object_array_length(options); i++)
		assert_true(strcmp(json_object_get_string(json_object_array_get_idx(options, i - 1)),
				   json_object_get_string(json_object_array_get_idx(options, i))) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_without_overrides_is_the_containers_process), cmocka_unit_test(exec_overrides),
		cmocka_unit_test(exec_user_without_group_keeps_the_group), cmocka_unit_test(exec_errors),
		cmocka_unit_test(capability_names), cmocka_unit_test(default_config_is_runcs), cmocka_unit_test(features_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
