/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "base/cleanup.h"
#include "image/image.h"
#include "image/job.h"

int hull_image_config_parse(const struct hull_image_json *document, struct hull_image_config *ret,
			    struct hull_error *err)
{
	static const struct {
		const char *key;
		size_t offset;
	} strings[] = {
		{ "WorkingDir", offsetof(struct hull_image_config, working_dir) },
		{ "User", offsetof(struct hull_image_config, user) },
		{ "StopSignal", offsetof(struct hull_image_config, stop_signal) },
	}, arrays[] = {
		{ "Entrypoint", offsetof(struct hull_image_config, entrypoint) },
		{ "Cmd", offsetof(struct hull_image_config, cmd) },
		{ "Env", offsetof(struct hull_image_config, env) },
	};
	struct hull_image_json config;
	const char *text;

	int r = hull_image_json_string(document, "architecture", &text, err);
	if (r == 0 && text)
		ret->architecture = hull_strdup(text);
	if (r == 0)
		r = hull_image_json_get(document, "config", json_type_object, &config, err);
	if (r < 0 || !config.v)
		return r;

	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(strings); i++) {
		r = hull_image_json_string(&config, strings[i].key, &text, err);
		if (r == 0 && text)
			*(char **)((char *)ret + strings[i].offset) = hull_strdup(text);
	}
	for (size_t i = 0; r == 0 && i < HULL_ARRAY_SIZE(arrays); i++)
		r = hull_image_json_strings(&config, arrays[i].key,
					    (struct hull_strv *)((char *)ret + arrays[i].offset), err);
	return r;
}

void hull_image_config_clear(struct hull_image_config *config)
{
	hull_strv_clear(&config->entrypoint);
	hull_strv_clear(&config->cmd);
	hull_strv_clear(&config->env);
	free(config->working_dir);
	free(config->user);
	free(config->stop_signal);
	free(config->architecture);
	*config = (struct hull_image_config){ 0 };
}
