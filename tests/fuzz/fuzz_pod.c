/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor reads beside messages. The first byte says what the rest is: the bytes of a guest's console, a config.json
 * whose annotations say which pod and how large, or a container's state.json.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "oci/spec.h"
#include "pod/config.h"
#include "pod/console.h"
#include "pod/iolimits.h"
#include "pod/network.h"
#include "pod/role.h"
#include "pod/size.h"
#include "pod/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void console(const uint8_t *data, size_t size)
{
	static struct hull_console c;
	char words[200];
	memset(&c, 0, sizeof(c));
	hull_console_add(&c, data, size);
	hull_console_last_words(&c, words, sizeof(words));
	for (const char *p = words; *p; p++)
		require(*p >= ' ' && *p < 0x7f);
	hull_console_log(&c);
}

static void annotations(const uint8_t *data, size_t size)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_spec *spec = NULL;
	struct hull_pod_size pod = { 0 };
	struct hull_pod_io io = { 0 };
	struct hull_net_limits net = { 0 };
	const struct hull_config config = { 0 };
	enum hull_role role;
	_cleanup_free_ char *pod_id = NULL;

	if (hull_oci_spec_parse((const char *)data, size, &spec, &err) < 0)
		return;
	if (hull_role_find(spec, "ns.id", &role, &pod_id, &err) == 0)
		require(pod_id && *pod_id);
	(void)hull_pod_size_parse(spec, &pod, &err);
	(void)hull_pod_io_parse(spec, &io, &err);
	(void)hull_network_limits(&config, spec, &net, &err);
	hull_oci_spec_free(spec);
}

static char dir[] = "/tmp/hull-fuzz-XXXXXX";

static void remove_dir(void)
{
	hull_rmtree(AT_FDCWD, dir);
}

/* What was read and is written again reads as the same. */
static void state(const uint8_t *data, size_t size)
{
	static int dirfd = -1;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_state *s = NULL, *again = NULL;

	if (dirfd < 0) {
		require(mkdtemp(dir) != NULL);
		require(atexit(remove_dir) == 0);
		dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	require(hull_file_replace(dirfd, "state.json", (const char *)data, size, 0600) == 0);
	if (hull_state_read(dirfd, &s, &err) < 0) {
		require(err.code != 0 && !s);
		return;
	}
	(void)hull_state_effective(s);
	require(hull_state_write(dirfd, s, &err) == 0);
	require(hull_state_read(dirfd, &again, &err) == 0);
	require(again->status == s->status && strcmp(again->id, s->id) == 0);
	hull_state_free(s);
	hull_state_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	hull_log_setup(-1, HULL_LOG_TEXT, HULL_LOG_ERROR, 1);
	switch (data[0] % 3) {
	case 0: console(data + 1, size - 1); break;
	case 1: annotations(data + 1, size - 1); break;
	default: state(data + 1, size - 1); break;
	}
	return 0;
}
