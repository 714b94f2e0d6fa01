/* SPDX-License-Identifier: Apache-2.0 */
#include "image/reference.h"

#include <string.h>

#include "base/cleanup.h"
#include "image/path.h"

static bool ends_with_name(const char *name, const char *reference)
{
	size_t n = strlen(name), m = strlen(reference);
	return m <= n && strcmp(name + n - m, reference) == 0 && (m == n || name[n - m - 1] == '/');
}

/* The colon before the tag, which a port number's colon is not. */
static const char *tag_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	return strchr(slash ? slash : name, ':');
}

bool hull_image_reference_matches(const char *name, const char *reference)
{
	if (!*reference)
		return false;
	if (ends_with_name(name, reference))
		return true;
	const char *tag = tag_of(name);
	if (tag && strcmp(tag + 1, reference) == 0)
		return true;
	if (tag_of(reference))
		return false;
	_cleanup_free_ char *latest = hull_asprintf("%s:latest", reference);
	return ends_with_name(name, latest);
}

int hull_image_reference_error(const char *reference, size_t matches, const struct hull_strv *names,
			       struct hull_error *err)
{
	_cleanup_free_ char *list = hull_strdup("");
	char shown[HULL_IMAGE_SHOW_MAX];
	for (size_t i = 0; i < names->n && strlen(list) < HULL_ERROR_MESSAGE_MAX; i++) {
		char *longer = hull_asprintf("%s%s%s", list, i > 0 ? ", " : "", hull_image_path_show(names->v[i], shown));
		free(list);
		list = longer;
	}
	const char *there = names->n > 0 ? list : "images without names";
	if (!reference)
		return hull_error_set(err, EINVAL, "there are several images, one must be named: %s", there);
	return hull_error_set(err, matches > 0 ? EINVAL : ENOENT, "%s images are called %s; there are: %s",
			      matches > 0 ? "several" : "no", hull_image_path_show(reference, shown), there);
}
