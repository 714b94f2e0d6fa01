/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: everything that reads config.json or a part of it. Besides memory errors and leaks it finds disagreement:
 * text that parses as a spec must be JSON by the strict checker, and what exec makes of it must parse as a process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void fuzz_exec(const char *text, size_t size)
{
	char *args_v[] = { (char *)"ls", NULL }, *env_v[] = { (char *)"A=b", NULL }, *caps_v[] = { (char *)"NET_RAW", NULL };
	const struct hull_strv args = { args_v, 1 }, env = { env_v, 1 }, caps = { caps_v, 1 };
	const uint32_t gid = 7;
	const struct hull_oci_exec_overrides o = {
		.args = &args, .env = &env, .caps = &caps, .cwd = "/", .user = "1:2", .additional_gids = &gid, .n_additional_gids = 1,
	};
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_process *p = NULL;
	char *json = NULL;

	if (hull_oci_exec_process(text, size, &o, &json, &err) < 0)
		return;
	require(hull_oci_process_parse(json, strlen(json), &p, &err) == 0);
	require(p->args.n == 1 && p->user.uid == 1 && p->user.gid == 2);
	hull_oci_process_free(p);
	free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = NULL;
	struct hull_oci_process *p = NULL;
	struct hull_oci_resources *r = NULL;
	const char *text = size ? (const char *)data : "";

	if (hull_oci_spec_parse(text, size, &spec, &err) == 0) {
		require(hull_json_check("fuzz", text, size, &err) == 0);
		(void)hull_oci_spec_check_supported(spec, &err);
		fuzz_exec(text, size);
	} else {
		require(err.code != 0 && err.message[0] != '\0' && !spec);
	}
	(void)hull_oci_process_parse(text, size, &p, &err);
	(void)hull_oci_resources_parse(text, size, &r, &err);
	hull_oci_spec_free(spec);
	hull_oci_process_free(p);
	hull_oci_resources_free(r);
	return 0;
}
