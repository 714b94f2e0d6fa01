/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"

const char *hull_lookup_env(const struct hull_strv *env, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = env->n; i-- > 0;) {
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	}
	return NULL;
}

/* 0, or the errno of what is wrong; *ret_stat tells whether stat() itself failed. */
static int check_executable(const char *path, bool *ret_stat)
{
	struct stat st;
	*ret_stat = true;
	if (stat(path, &st) < 0)
		return errno;
	*ret_stat = false;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 && errno != ENOSYS && errno != EPERM)
		return errno;
	return st.st_mode & 0111 ? 0 : EACCES;
}

const char *hull_lookup_strerror(int code, char *buf, size_t size)
{
	const char *text = strerror_r(code, buf, size);
	if (text != buf)
		snprintf(buf, size, "%s", text);
	if (buf[0] >= 'A' && buf[0] <= 'Z' && buf[1] >= 'a' && buf[1] <= 'z')
		buf[0] = (char)(buf[0] - 'A' + 'a');
	return buf;
}

char *hull_lookup_executable(const char *file, const struct hull_strv *env, struct hull_error *err)
{
	bool stat_failed;
	char text[128];

	if (strchr(file, '/')) {
		int code = check_executable(file, &stat_failed);
		if (code == 0)
			return hull_strdup(file);
		if (stat_failed)
			hull_error_set(err, code, "exec: \"%s\": stat %s: %s", file, file,
				       hull_lookup_strerror(code, text, sizeof(text)));
		else
			hull_error_set(err, code == EISDIR ? EACCES : code, "exec: \"%s\": %s", file,
				       hull_lookup_strerror(code, text, sizeof(text)));
		return NULL;
	}

	const char *path = hull_lookup_env(env, "PATH");
	for (const char *p = path; *file && p && *p;) {
		size_t n = strcspn(p, ":");
		_cleanup_free_ char *candidate = n ? hull_asprintf("%.*s/%s", (int)n, p, file) : hull_asprintf("./%s", file);
		if (check_executable(candidate, &stat_failed) == 0)
			return TAKE_PTR(candidate);
		p += n + (p[n] == ':');
	}
	hull_error_set(err, ENOENT, "exec: \"%s\": executable file not found in $PATH", file);
	return NULL;
}

/* The nth colon-separated field of a line, as a new string. */
static char *field(const char *line, size_t length, unsigned index)
{
	const char *end = line + length;
	while (index-- > 0) {
		line = memchr(line, ':', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	const char *stop = memchr(line, ':', (size_t)(end - line));
	return hull_strndup(line, (size_t)((stop ? stop : end) - line));
}

char *hull_lookup_home(const char *passwd, unsigned uid)
{
	for (const char *line = passwd; *line;) {
		size_t n = strcspn(line, "\n");
		_cleanup_free_ char *id = field(line, n, 2);
		int64_t value;
		if (id && hull_parse_i64(id, 0, UINT32_MAX, &value) == 0 && value == uid)
			return field(line, n, 5);
		line += n + (line[n] == '\n');
	}
	return NULL;
}
