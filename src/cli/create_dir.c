/* SPDX-License-Identifier: Apache-2.0 */
/* A new container's state and directory. */
#include <fcntl.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/creation.h"
#include "pod/paths.h"

static char *now_rfc3339(void)
{
	struct timespec now;
	struct tm tm;
	char text[40];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return hull_asprintf("%s.%09ldZ", text, now.tv_nsec);
}

static char *annotations_text(const struct hull_oci_spec *spec)
{
	if (spec->annotations.n == 0)
		return NULL;
	json_object *obj = json_object_new_object();
	for (size_t i = 0; i < spec->annotations.n; i++)
		json_object_object_add(obj, spec->annotations.v[i].key, json_object_new_string(spec->annotations.v[i].value));
	char *text = hull_strdup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
	return text;
}

struct hull_state *hull_creation_first_state(const struct hull_creation *c)
{
	struct hull_state *s = hull_new(struct hull_state, 1);
	struct passwd *user = getpwuid(getuid());
	s->id = hull_strdup(c->id);
	s->pod_id = hull_strdup(c->pod_id);
	s->bundle = hull_strdup(c->bundle.path);
	s->rootfs = hull_strdup(c->bundle.rootfs);
	s->oci_version = hull_strdup(c->bundle.spec->oci_version);
	s->owner = hull_strdup(user ? user->pw_name : "");
	s->created = now_rfc3339();
	s->annotations_json = annotations_text(c->bundle.spec);
	s->status = HULL_STATUS_CREATING;
	s->keeps_serving = c->options->supervised;
	hull_procref_get(getpid(), &s->creator);
	return s;
}

int hull_creation_make_dir(struct hull_creation *c, struct hull_error *err)
{
	_cleanup_free_ char *final = hull_path_container(c->cli->root, c->id);
	_cleanup_free_ char *temp = hull_path_passing(c->cli->root, c->id);
	struct stat st;

	/* Asked first for the sake of the common mistake; the rename below is what decides. */
	if (lstat(final, &st) == 0)
		return hull_error_set(err, EEXIST, "container with given ID already exists");
	hull_paths_sweep(c->cli->root);
	hull_rmtree(AT_FDCWD, temp);
	if (mkdir(temp, 0700) < 0)
		return hull_error_errno(err, errno, "make %s", temp);
	c->dirfd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = c->dirfd < 0 ? hull_error_errno(err, errno, "open %s", temp) : hull_state_write(c->dirfd, c->state, err);
	if (r == 0) {
		r = hull_file_replace(c->dirfd, "config.json", c->bundle.text, c->bundle.len, 0600);
		if (r < 0)
			hull_error_errno(err, r, "write config.json in %s", temp);
	}
	/* Until the state names the supervisor no delete may look at it. */
	if (r == 0 && flock(c->dirfd, LOCK_EX | LOCK_NB) < 0)
		r = hull_error_errno(err, errno, "lock %s", temp);
	if (r == 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, final, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST ? hull_error_set(err, EEXIST, "container with given ID already exists")
				    : hull_error_errno(err, errno, "make %s", final);
	if (r < 0)
		hull_rmtree(AT_FDCWD, temp);
	else
		c->made_dir = true;
	return r;
}
