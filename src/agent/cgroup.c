/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup_convert.h"
#include "agent/devices.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/units.h"

#define AGENT_GROUP HULL_CGROUP_MOUNT "/init"
#define PIDS_FILE "pids.max"
#define AGENT_MEMORY_MIN "16777216"

/* "+cpu +memory …" from the list that the kernel offers. */
static int enable_controllers(const char *group)
{
	char path[128], text[512];
	_cleanup_free_ char *list = NULL;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", group);
	int r = hull_file_read(AT_FDCWD, path, 256, &list, NULL);
	if (r < 0)
		return r;

	size_t n = 0;
	char *save = NULL;
	for (char *p = strtok_r(list, " \n", &save); p && n < sizeof(text) - 64; p = strtok_r(NULL, " \n", &save))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "+%.32s ", p);
	if (n == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group);
	return hull_file_write(AT_FDCWD, path, text);
}

int hull_cgroup_setup(struct hull_error *err)
{
	if ((mkdir(AGENT_GROUP, 0755) < 0 && errno != EEXIST) || (mkdir(HULL_CGROUP_POD, 0755) < 0 && errno != EEXIST))
		return hull_error_errno(err, errno, "mkdir");
	int r = hull_file_write(AT_FDCWD, AGENT_GROUP "/cgroup.procs", "0");
	if (r == 0)
		r = enable_controllers(HULL_CGROUP_MOUNT);
	if (r == 0)
		r = enable_controllers(HULL_CGROUP_POD);
	if (r < 0)
		return hull_error_errno(err, r, "enable controllers");

	hull_file_write(AT_FDCWD, AGENT_GROUP "/memory.min", AGENT_MEMORY_MIN);
	hull_file_write(AT_FDCWD, AGENT_GROUP "/cpu.weight", "10000");
	return 0;
}

void hull_cgroup_limit_pod(uint64_t memory_bytes, uint64_t pids)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRIu64, memory_bytes);
	hull_file_write(AT_FDCWD, HULL_CGROUP_POD "/memory.max", text);
	snprintf(text, sizeof(text), "%" PRIu64, pids);
	hull_file_write(AT_FDCWD, HULL_CGROUP_POD "/pids.max", text);
}

int hull_cgroup_create(const char *id, struct hull_error *err)
{
	char path[320];
	snprintf(path, sizeof(path), HULL_CGROUP_POD "/%s", id);
	if (mkdir(path, 0755) < 0)
		return hull_error_errno(err, errno, "create control group");
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return hull_error_errno(err, errno, "open control group");
	return fd;
}

/*
 * A container without a limit may not take all processes that the pod can have: there is always room for exec into the
 * others. Seven eighths of the pod's limit.
 */
static void write_default_pids(int cgroup_fd)
{
	_cleanup_free_ char *text = NULL;
	int64_t pod;
	char value[32];
	if (hull_file_read(AT_FDCWD, HULL_CGROUP_POD "/pids.max", 64, &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (hull_parse_i64(text, 1, INT64_MAX / 8, &pod) < 0)
		return;
	snprintf(value, sizeof(value), "%" PRId64, pod - pod / 8);
	hull_file_write(cgroup_fd, PIDS_FILE, value);
}

/* linux.resources.unified has the last word. */
static const char *unified_pids(const struct hull_oci_resources *resources)
{
	const char *value = NULL;
	for (size_t i = 0; i < resources->unified.n; i++) {
		if (strcmp(resources->unified.v[i].key, PIDS_FILE) == 0)
			value = resources->unified.v[i].value;
	}
	return value;
}

static int apply_pids(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err)
{
	const char *unified = unified_pids(resources);
	/* Source: runc: 0 means not set, a negative number no limit. */
	bool limited = resources->has_pids_limit && resources->pids_limit > 0;
	char text[32];
	if (!unified && !limited) {
		write_default_pids(cgroup_fd);
		return 0;
	}
	snprintf(text, sizeof(text), "%" PRId64, resources->pids_limit);
	int r = hull_file_write(cgroup_fd, PIDS_FILE, unified ? unified : text);
	return r < 0 ? hull_error_errno(err, r, "linux.resources.%s: write %s to " PIDS_FILE,
					unified ? "unified." PIDS_FILE : "pids.limit", unified ? unified : text) : 0;
}

static int write_settings(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err)
{
	struct hull_cgroup_settings settings;
	int r = hull_cgroup_convert(resources, &settings, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < settings.n; i++) {
		const struct hull_cgroup_setting *s = &settings.v[i];
		if (strcmp(s->file, PIDS_FILE) == 0)
			continue;
		r = hull_file_write(cgroup_fd, s->file, s->value);
		if (r < 0 && s->optional) {
			hull_log_info("%s: %s not set in the guest: %s", s->field, s->file, strerror(-r));
			r = 0;
		}
		if (r < 0)
			hull_error_errno(err, r, "%s: write %s to %s", s->field, s->value, s->file);
	}
	hull_cgroup_settings_clear(&settings);
	return r;
}

int hull_cgroup_apply(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err)
{
	return write_settings(cgroup_fd, resources, err);
}

int hull_cgroup_seal(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err)
{
	int r = apply_pids(cgroup_fd, resources, err);
	return r == 0 ? hull_devices_apply(cgroup_fd, resources->devices, resources->n_devices, err) : r;
}

int hull_cgroup_update(int cgroup_fd, const struct hull_oci_resources *resources, struct hull_error *err)
{
	int r = write_settings(cgroup_fd, resources, err);
	bool pids = unified_pids(resources) || (resources->has_pids_limit && resources->pids_limit != 0);
	return r == 0 && pids ? apply_pids(cgroup_fd, resources, err) : r;
}

int hull_cgroup_kill(int cgroup_fd)
{
	return hull_file_write(cgroup_fd, "cgroup.kill", "1");
}

/* The number behind `key` in a flat keyed file, or 0. */
static uint64_t read_keyed(int cgroup_fd, const char *file, const char *key)
{
	_cleanup_free_ char *text = NULL;
	if (hull_file_read(cgroup_fd, file, 4096, &text, NULL) < 0)
		return 0;
	size_t n = strlen(key);
	for (char *line = text; *line;) {
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return strtoull(line + n + 1, NULL, 10);
		line = strchrnul(line, '\n');
		line += *line == '\n';
	}
	return 0;
}

bool hull_cgroup_populated(int cgroup_fd)
{
	return read_keyed(cgroup_fd, "cgroup.events", "populated") != 0;
}

int hull_cgroup_freeze(int cgroup_fd, bool freeze)
{
	return hull_file_write(cgroup_fd, "cgroup.freeze", freeze ? "1" : "0");
}

bool hull_cgroup_frozen(int cgroup_fd)
{
	return read_keyed(cgroup_fd, "cgroup.events", "frozen") != 0;
}

uint64_t hull_cgroup_oom_kills(int cgroup_fd)
{
	return read_keyed(cgroup_fd, "memory.events", "oom_kill");
}
