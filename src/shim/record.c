/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"

#define FILE_NAME "hull-shim"
#define MAX_BYTES (64u << 10)

/* Five lines; none of the strings can hold a newline that matters: ids are checked, paths are ours or an administrator's. */
int shim_record_write(int dirfd, const struct shim_record *r, struct hull_error *err)
{
	_cleanup_free_ char *text = hull_asprintf("%s\n%s\n%s\n%d\n%llu\n", r->root, r->pod_id, r->socket, (int)r->shim.pid,
						  (unsigned long long)r->shim.start_ticks);
	int result = hull_file_replace(dirfd, FILE_NAME, text, strlen(text), 0600);
	return result < 0 ? hull_error_errno(err, result, "write %s", FILE_NAME) : 0;
}

int shim_record_read(const char *dir, struct shim_record *ret)
{
	_cleanup_free_ char *path = hull_asprintf("%s/%s", dir, FILE_NAME);
	_cleanup_free_ char *text = NULL;
	char *lines[5] = { 0 }, *rest = NULL;
	int64_t pid, ticks;
	size_t n = 0;

	int r = hull_file_read(AT_FDCWD, path, MAX_BYTES, &text, NULL);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &rest); line && n < HULL_ARRAY_SIZE(lines); line = strtok_r(NULL, "\n", &rest))
		lines[n++] = line;
	if (n != HULL_ARRAY_SIZE(lines) || lines[0][0] != '/' || !hull_container_id_valid(lines[1]) || lines[2][0] != '/' ||
	    hull_parse_i64(lines[3], 1, INT32_MAX, &pid) < 0 || hull_parse_i64(lines[4], 0, INT64_MAX, &ticks) < 0)
		return -EBADMSG;
	*ret = (struct shim_record){
		.root = hull_strdup(lines[0]), .pod_id = hull_strdup(lines[1]), .socket = hull_strdup(lines[2]),
		.shim = { .pid = (pid_t)pid, .start_ticks = (uint64_t)ticks },
	};
	return 0;
}

void shim_record_clear(struct shim_record *r)
{
	free(r->root);
	free(r->pod_id);
	free(r->socket);
	*r = (struct shim_record){ 0 };
}
