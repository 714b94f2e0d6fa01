/* SPDX-License-Identifier: Apache-2.0 */
#include "pod/config.h"

#include <fcntl.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "pod/paths.h"

#define DEFAULT_FILE "/etc/hull/hull.conf"
#define MIB (UINT64_C(1) << 20)

enum kind { KIND_STRING, KIND_PATH, KIND_SIZE, KIND_UINT, KIND_ACCEL, KIND_RATE, KIND_BOOL, KIND_CACHE, KIND_BANDWIDTH };

struct key {
	const char *section, *name;
	enum kind kind;
	size_t offset;
	int64_t min, max;              /* of KIND_UINT, and of KIND_SIZE in MiB */
};

#define AT(member) offsetof(struct hull_config, member)

static const struct key keys[] = {
	{ "vm", "accelerator", KIND_ACCEL, AT(accelerator), 0, 0 },
	{ "vm", "qemu", KIND_PATH, AT(vmm), 0, 0 },
	{ "vm", "virtiofsd", KIND_PATH, AT(virtiofsd), 0, 0 },
	{ "vm", "kernel", KIND_PATH, AT(kernel), 0, 0 },
	{ "vm", "kernel_kvm", KIND_PATH, AT(kernel_kvm), 0, 0 },
	{ "vm", "kernel_tcg", KIND_PATH, AT(kernel_tcg), 0, 0 },
	{ "vm", "initrd", KIND_PATH, AT(initrd), 0, 0 },
	{ "vm", "kernel_params", KIND_STRING, AT(kernel_params), 0, 0 },
	{ "vm", "memory", KIND_SIZE, AT(memory_bytes), 96, 1 << 20 },
	{ "vm", "memory_base", KIND_SIZE, AT(memory_base_bytes), 64, 1 << 20 },
	{ "vm", "memory_max", KIND_SIZE, AT(memory_max_bytes), 96, 1 << 20 },
	{ "vm", "vcpus", KIND_UINT, AT(vcpus), 1, 240 },
	{ "vm", "vcpus_max", KIND_UINT, AT(vcpus_max), 1, 240 },
	{ "vm", "hotplug_ports", KIND_UINT, AT(hotplug_ports), 0, 32 },
	{ "vm", "boot_timeout", KIND_UINT, AT(boot_timeout_s), 1, 3600 },
	{ "share", "watch_directories", KIND_UINT, AT(watch_directories), 0, 1000000 },
	{ "share", "read_bps", KIND_RATE, AT(share_limits.read_bps), 0, 0 },
	{ "share", "write_bps", KIND_RATE, AT(share_limits.write_bps), 0, 0 },
	{ "share", "read_iops", KIND_RATE, AT(share_limits.read_iops), 0, 0 },
	{ "share", "write_iops", KIND_RATE, AT(share_limits.write_iops), 0, 0 },
	{ "disk", "cache", KIND_CACHE, AT(disk_cache_none), 0, 0 },
	{ "disk", "discard", KIND_BOOL, AT(disk_discard), 0, 0 },
	{ "disk", "iothread", KIND_BOOL, AT(disk_iothread), 0, 0 },
	{ "disk", "volumes", KIND_STRING, AT(disk_volumes), 0, 0 },
	{ "disk", "read_bps", KIND_RATE, AT(disk_limits.read_bps), 0, 0 },
	{ "disk", "write_bps", KIND_RATE, AT(disk_limits.write_bps), 0, 0 },
	{ "disk", "read_iops", KIND_RATE, AT(disk_limits.read_iops), 0, 0 },
	{ "disk", "write_iops", KIND_RATE, AT(disk_limits.write_iops), 0, 0 },
	{ "network", "ingress_bandwidth", KIND_BANDWIDTH, AT(ingress_bps), 0, 0 },
	{ "network", "egress_bandwidth", KIND_BANDWIDTH, AT(egress_bps), 0, 0 },
	{ "security", "uid_base", KIND_UINT, AT(uid_base), 1000, 2000000000 },
};

struct reading {
	struct hull_config *config;
	struct hull_error *err;
	int r;
};

static int set_key(struct reading *rd, const struct key *key, const char *value)
{
	void *at = (char *)rd->config + key->offset;
	uint64_t size;
	int64_t number;

	switch (key->kind) {
	case KIND_PATH:
		if (*value && *value != '/')
			return hull_error_set(rd->err, EINVAL, "%s: expected an absolute path", key->name);
		/* fall through */
	case KIND_STRING:
		free(*(char **)at);
		*(char **)at = hull_strdup(value);
		return 0;
	case KIND_SIZE:
		if (hull_parse_size(value, &size) < 0 || size < (uint64_t)key->min * MIB || size > (uint64_t)key->max * MIB)
			return hull_error_set(rd->err, EINVAL, "%s: expected a size from %lldM to %lldM, such as 512M", key->name,
					      (long long)key->min, (long long)key->max);
		*(uint64_t *)at = size & ~(2 * MIB - 1);
		return 0;
	case KIND_UINT:
		if (hull_parse_i64(value, key->min, key->max, &number) < 0)
			return hull_error_set(rd->err, EINVAL, "%s: expected a number from %lld to %lld", key->name,
					      (long long)key->min, (long long)key->max);
		*(unsigned *)at = (unsigned)number;
		return 0;
	case KIND_RATE:
		if (hull_parse_size(value, &size) < 0 || size > INT64_MAX)
			return hull_error_set(rd->err, EINVAL, "%s: expected a number a second, such as 500 or 20M; 0 is no limit", key->name);
		*(uint64_t *)at = size;
		return 0;
	case KIND_BOOL:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return hull_error_set(rd->err, EINVAL, "%s: expected yes or no", key->name);
		*(bool *)at = strcmp(value, "yes") == 0;
		return 0;
	case KIND_CACHE:
		if (strcmp(value, "none") != 0 && strcmp(value, "writeback") != 0)
			return hull_error_set(rd->err, EINVAL, "%s: expected writeback or none", key->name);
		*(bool *)at = strcmp(value, "none") == 0;
		return 0;
	case KIND_ACCEL:
		if (hull_accel_parse(value, (enum hull_accel *)at) < 0)
			return hull_error_set(rd->err, EINVAL, "%s: expected auto, kvm or tcg", key->name);
		return 0;
	case KIND_BANDWIDTH:
		if (*value && hull_bandwidth_parse(value, at) < 0)
			return hull_error_set(rd->err, EINVAL, "%s: expected bits per second from 1k to 1P, such as 10M", key->name);
		return 0;
	}
	return 0;
}

/* inih: non-zero is success. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *rd = user;
	for (size_t i = 0; i < HULL_ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
			continue;
		rd->r = set_key(rd, &keys[i], value);
		return rd->r == 0;
	}
	rd->r = hull_error_set(rd->err, EINVAL, "unknown key \"%s\" in section [%s]; see hull.conf(5)", name, section);
	return 0;
}

static struct hull_config *defaults(void)
{
	struct hull_config *c = hull_new(struct hull_config, 1);
	c->accelerator = HULL_ACCEL_AUTO;
	c->vmm = hull_strdup("/usr/bin/qemu-system-x86_64");
	c->virtiofsd = hull_strdup("/usr/lib/qemu/virtiofsd");
	c->kernel = hull_strdup("");
	c->kernel_kvm = hull_strdup("");
	c->kernel_tcg = hull_strdup("");
	c->initrd = hull_strdup("");
	c->kernel_params = hull_strdup("");
	c->memory_bytes = 512 * MIB;
	c->memory_base_bytes = 128 * MIB;
	c->vcpus = 1;
	c->hotplug_ports = 4;
	c->boot_timeout_s = 60;
	c->watch_directories = 1024;
	c->disk_discard = true;
	c->disk_volumes = hull_strdup("");
	c->uid_base = 0x70000000;
	return c;
}

/* The two homes of virtiofsd: QEMU's C one up to QEMU 7.2, the Rust one afterwards. */
static void find_virtiofsd(struct hull_config *c)
{
	static const char *const places[] = { "/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/bin/virtiofsd" };
	for (size_t i = 0; i < HULL_ARRAY_SIZE(places); i++) {
		if (access(places[i], X_OK) == 0) {
			free(c->virtiofsd);
			c->virtiofsd = hull_strdup(places[i]);
			return;
		}
	}
}

static int open_config(const char *file, FILE **ret, struct hull_error *err)
{
	struct stat st;
	/* Not blocking: a fifo in this place must not hang an engine. */
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return hull_error_errno(err, errno, "open configuration %s", file);
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)))
		return hull_error_set(err, EINVAL, "configuration %s: not a regular file", file);
	*ret = fdopen(fd, "r");
	if (!*ret)
		return hull_error_errno(err, errno, "open configuration %s", file);
	fd = -1;
	return 0;
}

int hull_config_load(struct hull_config **ret, struct hull_error *err)
{
	const char *file = getenv("HULL_CONFIG");
	bool named = file && *file;
	struct hull_config *c = defaults();
	find_virtiofsd(c);

	if (!named)
		file = DEFAULT_FILE;
	_cleanup_fclose_ FILE *f = NULL;
	int r = open_config(file, &f, err);
	if (r < 0) {
		if (!named && r == -ENOENT) {
			hull_error_clear(err);
			*ret = c;
			return 0;
		}
		hull_config_free(c);
		return r;
	}

	struct reading rd = { .config = c, .err = err };
	int line = ini_parse_file(f, on_key, &rd);
	if (line != 0) {
		hull_config_free(c);
		if (rd.r == 0)
			return hull_error_set(err, EINVAL, "%s: line %d: not a `key = value` line", file, line);
		return hull_error_wrap(err, "%s: line %d", file, line);
	}
	c->file = hull_strdup(file);
	*ret = c;
	return 0;
}

uint64_t hull_host_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

int hull_config_check(const struct hull_config *c, struct hull_error *err)
{
	const struct { const char *key, *path; int mode; const char *hint; } files[] = {
		{ "qemu", c->vmm, X_OK, "install QEMU (Debian: qemu-system-x86) or name it in hull.conf" },
		{ "virtiofsd", c->virtiofsd, X_OK, "install virtiofsd (Debian: qemu-system-common or virtiofsd) or name it in hull.conf" },
		{ "kernel", c->kernel, R_OK, "correct hull.conf" },
		{ "kernel_kvm", c->kernel_kvm, R_OK, "correct hull.conf" },
		{ "kernel_tcg", c->kernel_tcg, R_OK, "correct hull.conf" },
		{ "initrd", c->initrd, R_OK, "correct hull.conf" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(files); i++) {
		struct stat st;
		if (!*files[i].path)
			continue;
		if (access(files[i].path, files[i].mode) < 0 || stat(files[i].path, &st) < 0)
			return hull_error_set(err, errno, "configuration: [vm] %s: %s: %s; %s", files[i].key, files[i].path,
					      strerror(errno), files[i].hint);
		if (!S_ISREG(st.st_mode))
			return hull_error_set(err, EINVAL, "configuration: [vm] %s: %s: not a file; %s", files[i].key, files[i].path,
					      files[i].hint);
	}
	uint64_t host = hull_host_memory_bytes();
	if (host > 0 && c->memory_bytes > host)
		return hull_error_set(err, ENOMEM, "configuration: [vm] memory: %llu MiB, but the host has %llu MiB in all; correct hull.conf",
				      (unsigned long long)(c->memory_bytes / MIB), (unsigned long long)(host / MIB));
	return 0;
}

void hull_config_free(struct hull_config *c)
{
	if (!c)
		return;
	free(c->file);
	free(c->vmm);
	free(c->virtiofsd);
	free(c->kernel);
	free(c->kernel_kvm);
	free(c->kernel_tcg);
	free(c->initrd);
	free(c->kernel_params);
	free(c->disk_volumes);
	free(c);
}
