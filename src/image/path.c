/* SPDX-License-Identifier: Apache-2.0 */
#include "image/path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define SHOWN_BYTES 200

/* Deeper trees than any real image's, and shallow enough to be removed with one open directory for each level. */
#define HULL_IMAGE_DEPTH_MAX 256

static int refuse(struct hull_error *err, const char *name, const char *why)
{
	char shown[HULL_IMAGE_SHOW_MAX];
	return hull_error_set(err, EINVAL, "%s: %s", hull_image_path_show(name, shown), why);
}

int hull_image_path_clean(const char *name, char **ret, struct hull_error *err)
{
	if (name[0] == '/')
		return refuse(err, name, "absolute names are not allowed");
	if (strlen(name) >= PATH_MAX)
		return refuse(err, name, "the name is too long");

	_cleanup_free_ char *path = hull_calloc(strlen(name) + 1, 1);
	size_t len = 0;
	unsigned depth = 0;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return refuse(err, name, "\"..\" is not allowed in a name");
		if (n > NAME_MAX)
			return refuse(err, name, "a component of the name is too long");
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (++depth > HULL_IMAGE_DEPTH_MAX)
				return refuse(err, name, "the name has too many components");
			if (len > 0)
				path[len++] = '/';
			memcpy(path + len, p, n);
			len += n;
		}
		p += n;
		p += *p == '/';
	}
	*ret = TAKE_PTR(path);
	return 0;
}

int hull_image_path_follow(const char *link, const char *target, char **ret)
{
	if (target[0] == '/')
		return -EXDEV;

	_cleanup_free_ char *path = hull_calloc(strlen(link) + strlen(target) + 2, 1);
	size_t len = (size_t)(hull_image_path_base(link) - link);
	memcpy(path, link, len);
	len -= len > 0;        /* the slash */
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (len == 0)
				return -EXDEV;
			while (len > 0 && path[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (len > 0)
				path[len++] = '/';
			memcpy(path + len, p, n);
			len += n;
		}
		p += n;
		p += *p == '/';
	}
	path[len] = '\0';
	*ret = TAKE_PTR(path);
	return 0;
}

const char *hull_image_path_show(const char *name, char buf[static HULL_IMAGE_SHOW_MAX])
{
	size_t len = 0, i;
	for (i = 0; name[i] && i < SHOWN_BYTES; i++) {
		unsigned char c = (unsigned char)name[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '\\';
		len += (size_t)snprintf(buf + len, HULL_IMAGE_SHOW_MAX - len, plain ? "%c" : "\\x%02x", c);
	}
	snprintf(buf + len, HULL_IMAGE_SHOW_MAX - len, "%s", name[i] ? "..." : "");
	return buf;
}

const char *hull_image_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}
