/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#define LIST_MAX_BYTES (256u << 10)
#define NAME_MAX_BYTES 64

int hull_module_parse(char **cursor, struct hull_module *ret)
{
	char *line = *cursor;
	while (*line == '\n')
		line++;
	if (*line == '\0') {
		*cursor = line;
		return 0;
	}
	char *end = strchrnul(line, '\n');
	*cursor = *end ? end + 1 : end;
	*end = '\0';

	char *field[4] = { NULL }, *save = NULL;
	size_t n = 0;
	for (char *p = strtok_r(line, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		if (n == HULL_ARRAY_SIZE(field))
			return -EINVAL;
		field[n++] = p;
	}
	if (n != HULL_ARRAY_SIZE(field) || strchr(field[2], '/'))
		return -EINVAL;
	if (strcmp(field[0], "boot") != 0 && strcmp(field[0], "late") != 0)
		return -EINVAL;

	ret->boot = field[0][0] == 'b';
	ret->name = field[1];
	ret->file = field[2];
	ret->deps = strcmp(field[3], "-") == 0 ? "" : field[3];
	return 1;
}

static int read_list(int dirfd, const char *name, char **ret_text)
{
	return hull_file_read(dirfd, name, LIST_MAX_BYTES, ret_text, NULL);
}

const char *hull_module_options(char *text, const char *name)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');
		if (space && (size_t)(space - line) == strlen(name) && strncmp(line, name, strlen(name)) == 0)
			return space + 1;
	}
	return "";
}

static int load_file(int dirfd, const char *name, const char *file)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	_cleanup_free_ char *text = NULL;
	bool has_options = read_list(dirfd, "options", &text) == 0;
	if (syscall(SYS_finit_module, fd, has_options ? hull_module_options(text, name) : "", 0) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int open_modules(void)
{
	int fd = open(HULL_MODULES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void hull_modules_load_boot(void)
{
	_cleanup_close_ int dirfd = open_modules();
	_cleanup_free_ char *text = NULL;
	if (dirfd < 0 || read_list(dirfd, "order", &text) < 0)
		return;

	struct hull_module module;
	char *cursor = text;
	int r;
	while ((r = hull_module_parse(&cursor, &module)) != 0) {
		/* The boot lines come first. */
		if (r > 0 && !module.boot)
			break;
		int error = r < 0 ? r : load_file(dirfd, module.name, module.file);
		if (error < 0)
			hull_log_warning("module %s: %s", r < 0 ? "order" : module.name, strerror(-error));
	}
}

/* "xt-mark" and "xt_mark" are the same module. */
static void canonical(const char *name, char out[static NAME_MAX_BYTES])
{
	size_t i = 0;
	for (; name[i] && i < NAME_MAX_BYTES - 1; i++)
		out[i] = name[i] == '-' ? '_' : name[i];
	out[i] = '\0';
}

/* Finds the module behind an alias. The name is copied out. */
static int resolve_alias(int dirfd, const char *alias, char out[static NAME_MAX_BYTES])
{
	_cleanup_free_ char *text = NULL;
	int r = read_list(dirfd, "aliases", &text);
	if (r < 0)
		return r;

	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');
		if (!space)
			continue;
		*space = '\0';
		if (strcmp(line, alias) == 0) {
			canonical(space + 1, out);
			return 0;
		}
	}
	return -ENOENT;
}

/* Loads one module of the list and what it depends on. `text` is cut up. */
static int load_named(int dirfd, char *text, const char *name)
{
	struct hull_module module;
	char *cursor = text;
	int r;
	while ((r = hull_module_parse(&cursor, &module)) != 0) {
		if (r < 0 || strcmp(module.name, name) != 0)
			continue;
		char dependency[NAME_MAX_BYTES], file[NAME_MAX_BYTES + 8];
		for (const char *dep = module.deps; *dep;) {
			size_t n = strcspn(dep, ",");
			snprintf(dependency, sizeof(dependency), "%.*s", (int)n, dep);
			snprintf(file, sizeof(file), "%s.ko", dependency);
			r = load_file(dirfd, dependency, file);
			if (r < 0)
				return r;
			dep += n + (dep[n] == ',');
		}
		return load_file(dirfd, module.name, module.file);
	}
	return -ENOENT;
}

int hull_modules_load(const char *name)
{
	char wanted[NAME_MAX_BYTES];
	_cleanup_close_ int dirfd = open_modules();
	_cleanup_free_ char *text = NULL;
	if (dirfd < 0)
		return dirfd;
	int r = read_list(dirfd, "order", &text);
	if (r < 0)
		return r;

	canonical(name, wanted);
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	r = load_named(dirfd, copy, wanted);
	if (r != -ENOENT)
		return r;
	r = resolve_alias(dirfd, name, wanted);
	return r < 0 ? r : load_named(dirfd, text, wanted);
}

int hull_modules_load_virtio(unsigned device_id)
{
	static const struct {
		unsigned id;
		const char *module;
	} drivers[] = {
		{ VIRTIO_ID_NET, "virtio_net" },
		{ VIRTIO_ID_BLOCK, "virtio_blk" },
		{ VIRTIO_ID_BALLOON, "virtio_balloon" },
		{ VIRTIO_ID_MEM, "virtio_mem" },
		{ VIRTIO_ID_FS, "virtiofs" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(drivers); i++) {
		if (drivers[i].id != device_id)
			continue;
		int r = hull_modules_load(drivers[i].module);
		return r == -ENOENT ? 0 : r;
	}
	return 0;
}

int hull_modprobe_main(int argc, char **argv)
{
	/* Source: linux kernel/kmod.c, call_modprobe(): argv is { modprobe, "-q", "--", name }. */
	if (argc < 2)
		return 1;
	return hull_modules_load(argv[argc - 1]) < 0 ? 1 : 0;
}
