/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine sends to the shim: the first byte says what the rest is. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/rpc.h"
#include "shim/any.h"
#include "shim/bootstrap.h"
#include "shim/logger.h"
#include "shim/rootfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void options(const Hull__Containerd__Any *any)
{
	struct shim_options o = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	shim_options_add(&o, any, &err);
	shim_options_clear(&o);
}

static void create_request(const uint8_t *data, size_t size)
{
	Hull__Containerd__CreateTaskRequest *m = (void *)hull_rpc_unpack(&hull__containerd__create_task_request__descriptor, size, data);
	if (!m)
		return;
	for (size_t i = 0; i < m->n_rootfs; i++) {
		struct shim_mount_options o;
		char *shorter = NULL;
		shim_mount_options_parse(m->rootfs[i]->options, m->rootfs[i]->n_options, &o);
		free(shim_overlay_shorten(o.data, &shorter));
		free(shorter);
		free(o.data);
	}
	options(m->options);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

static void bootstrap(const uint8_t *data, size_t size)
{
	struct shim_options o = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	bool modern;
	shim_bootstrap_decode(data, size, "n", "i", &o, &modern, &err);
	shim_options_clear(&o);
}

static void texts(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = hull_strndup((const char *)data, size);
	struct hull_strv argv = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	char *shorter = NULL;
	shim_logger_parse(text, &argv, &err);
	hull_strv_clear(&argv);
	free(shim_overlay_shorten(text, &shorter));
	free(shorter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	hull_log_setup(-1, HULL_LOG_TEXT, HULL_LOG_ERROR, 1);
	if (data[0] % 3 == 0)
		create_request(data + 1, size - 1);
	else if (data[0] % 3 == 1)
		bootstrap(data + 1, size - 1);
	else
		texts(data + 1, size - 1);
	return 0;
}
