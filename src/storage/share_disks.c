/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/share_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mountinfo.h"

#define TEXT_MAX_BYTES (4u << 20)
#define NUMBER_MAX_BYTES 32

static bool parse_number(const char *text, struct hull_disk_number *ret)
{
	return sscanf(text, "%u:%u", &ret->major, &ret->minor) == 2;
}

/* A partition's disk: throttles know no partitions. False when there is no such device. */
static bool find_whole(struct hull_disk_number *number)
{
	_cleanup_free_ char *dir = hull_asprintf("/sys/dev/block/%u:%u", number->major, number->minor), *text = NULL;
	_cleanup_free_ char *partition = hull_asprintf("%s/partition", dir), *parent = hull_asprintf("%s/../dev", dir);
	struct stat st;
	if (stat(dir, &st) < 0)
		return false;
	if (stat(partition, &st) < 0)
		return true;
	return hull_file_read(AT_FDCWD, parent, NUMBER_MAX_BYTES, &text, NULL) == 0 && parse_number(text, number);
}

static bool add(struct hull_share_disks *disks, struct hull_disk_number number)
{
	if (!find_whole(&number))
		return false;
	for (size_t i = 0; i < disks->n; i++)
		if (disks->v[i].major == number.major && disks->v[i].minor == number.minor)
			return true;
	disks->v = hull_reallocarray(disks->v, disks->n + 1, sizeof(*disks->v));
	disks->v[disks->n++] = number;
	return true;
}

static bool add_directory(struct hull_share_disks *disks, const char *path)
{
	struct stat st;
	return path[0] == '/' && stat(path, &st) == 0 && add(disks, (struct hull_disk_number){ major(st.st_dev), minor(st.st_dev) });
}

/* upperdir=/a,lowerdir=/b:/c. Commas and colons in names are escaped by who mounts; such a directory is not found. */
static bool add_overlay(struct hull_share_disks *disks, const struct hull_mountinfo *m)
{
	bool found = false;
	char *rest = NULL;
	for (char *option = strtok_r(m->options, ",", &rest); option; option = strtok_r(NULL, ",", &rest)) {
		char *path = strncmp(option, "upperdir=", 9) == 0 || strncmp(option, "lowerdir=", 9) == 0 ? option + 9 : NULL;
		if (!path)
			continue;
		path[strcspn(path, ":")] = '\0';
		hull_mountinfo_unescape(path);
		found |= add_directory(disks, path);
	}
	return found;
}

static bool add_source(struct hull_share_disks *disks, const char *source)
{
	struct stat st;
	return source[0] == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode) &&
	       add(disks, (struct hull_disk_number){ major(st.st_rdev), minor(st.st_rdev) });
}

static void take(struct hull_share_disks *disks, const struct hull_mountinfo *m)
{
	struct hull_disk_number number;
	if (strcmp(m->type, "tmpfs") == 0 || strcmp(m->type, "ramfs") == 0)
		return;
	if (strcmp(m->type, "overlay") == 0 ? add_overlay(disks, m) :
	    (parse_number(m->device, &number) && add(disks, number)) || add_source(disks, m->source))
		return;
	if (!disks->other)
		disks->other = hull_asprintf("%s (%s)", m->root, m->type);
}

void hull_share_disks_find(const char *mountinfo, const char *dir, struct hull_share_disks *ret)
{
	_cleanup_free_ char *text = hull_strdup(mountinfo);
	size_t len = strlen(dir);
	char *rest = NULL;
	struct hull_mountinfo m;

	*ret = (struct hull_share_disks){ 0 };
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (hull_mountinfo_parse(line, &m) && strncmp(m.point, dir, len) == 0 && (m.point[len] == '/' || m.point[len] == '\0'))
			take(ret, &m);
}

int hull_share_disks_now(const char *dir, struct hull_share_disks *ret, struct hull_error *err)
{
	_cleanup_free_ char *text = NULL, *real = realpath(dir, NULL);
	if (!real)
		return hull_error_errno(err, errno, "%s", dir);
	int r = hull_file_read(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX_BYTES, &text, NULL);
	if (r < 0)
		return hull_error_errno(err, r, "read /proc/self/mountinfo");
	hull_share_disks_find(text, real, ret);
	return 0;
}

void hull_share_disks_clear(struct hull_share_disks *disks)
{
	free(disks->v);
	free(disks->other);
	*disks = (struct hull_share_disks){ 0 };
}
