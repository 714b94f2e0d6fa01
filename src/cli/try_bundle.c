/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/try_bundle.h"

#include <fcntl.h>
#include <grp.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "image/image.h"
#include "oci/spec.h"
#include "pod/paths.h"

static void on_progress(void *data, const char *line)
{
	const struct hull_try_options *o = data;
	if (!o->quiet)
		fprintf(stderr, "hull: %s\n", line);
}

/* The rootfs' absolute path in *ret. */
static int prepare_rootfs(const struct hull_try_options *o, const char *work, struct hull_image_config *image, char **ret,
			  struct hull_error *err)
{
	_cleanup_free_ char *builtin = hull_path_data("try-rootfs.tar");
	const char *path = o->image ? o->image : builtin;
	enum hull_image_kind kind;

	if (!o->image && access(builtin, R_OK) < 0)
		return hull_error_set(err, ENOENT, "try: %s is missing: run `make guest install`, or name an image", builtin);
	int r = hull_image_detect(path, &kind, err);
	if (r < 0)
		return hull_error_wrap(err, "try");
	if (kind == HULL_IMAGE_ROOTFS_DIR) {
		*ret = realpath(path, NULL);
		return *ret ? 0 : hull_error_errno(err, errno, "try: %s", path);
	}
	_cleanup_free_ char *rootfs = hull_asprintf("%s/rootfs", work);
	if (mkdir(rootfs, 0755) < 0)
		return hull_error_errno(err, errno, "try: make %s", rootfs);
	r = hull_image_unpack(path, kind, o->reference, rootfs, NULL, o->image ? on_progress : NULL, (void *)(uintptr_t)o, image, err);
	if (r < 0)
		return hull_error_wrap(err, "try: unpack %s", path);
	*ret = TAKE_PTR(rootfs);
	return 0;
}

/* ---- users: numbers, or names of the image's own /etc/passwd and /etc/group */

static FILE *open_in_rootfs(const char *rootfs, const char *path)
{
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1 : hull_open_in_root(root, path, O_RDONLY | O_NONBLOCK, 0);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

static int find_user(const char *rootfs, const char *name, uint32_t *uid, uint32_t *gid)
{
	int64_t number = -1;
	bool numeric = hull_parse_i64(name, 0, UINT32_MAX - 1, &number) == 0;
	_cleanup_fclose_ FILE *f = open_in_rootfs(rootfs, "/etc/passwd");
	struct passwd *p;
	while (f && (p = fgetpwent(f)) != NULL) {
		if (numeric ? p->pw_uid == (uid_t)number : strcmp(p->pw_name, name) == 0) {
			*uid = p->pw_uid;
			*gid = p->pw_gid;
			return 0;
		}
	}
	*uid = (uint32_t)number;
	*gid = 0;
	return numeric ? 0 : -ENOENT;
}

static int find_group(const char *rootfs, const char *name, uint32_t *gid)
{
	int64_t number;
	if (hull_parse_i64(name, 0, UINT32_MAX - 1, &number) == 0) {
		*gid = (uint32_t)number;
		return 0;
	}
	_cleanup_fclose_ FILE *f = open_in_rootfs(rootfs, "/etc/group");
	struct group *g;
	while (f && (g = fgetgrent(f)) != NULL) {
		if (strcmp(g->gr_name, name) == 0) {
			*gid = g->gr_gid;
			return 0;
		}
	}
	return -ENOENT;
}

static int set_user(json_object *process, const char *rootfs, const char *user, struct hull_error *err)
{
	_cleanup_free_ char *name = hull_strdup(user);
	char *group = strchr(name, ':');
	uint32_t uid, gid;
	if (group)
		*group++ = '\0';
	if (find_user(rootfs, name, &uid, &gid) < 0)
		return hull_error_set(err, ENOENT, "try: the image has no user \"%s\"", name);
	if (group && find_group(rootfs, group, &gid) < 0)
		return hull_error_set(err, ENOENT, "try: the image has no group \"%s\"", group);
	json_object *obj = json_object_new_object();
	json_object_object_add(obj, "uid", json_object_new_int64(uid));
	json_object_object_add(obj, "gid", json_object_new_int64(gid));
	json_object_object_add(process, "user", obj);
	return 0;
}

/* ---- config.json */

static json_object *string_array(const struct hull_strv *sv)
{
	json_object *array = json_object_new_array();
	for (size_t i = 0; i < sv->n; i++)
		json_object_array_add(array, json_object_new_string(sv->v[i]));
	return array;
}

/* As engines do: entrypoint and command of the image; arguments replace the command. */
static void choose_args(char **args, const struct hull_image_config *image, struct hull_strv *ret)
{
	hull_strv_copy(ret, &image->entrypoint);
	if (*args)
		for (; *args; args++)
			hull_strv_add(ret, *args);
	else
		hull_strv_copy(ret, &image->cmd);
	if (ret->n == 0)
		hull_strv_add(ret, "sh");
}

static void choose_env(const struct hull_try_options *o, const struct hull_image_config *image, struct hull_strv *ret)
{
	const char *term = getenv("TERM");
	if (image->env.n == 0)
		hull_strv_add(ret, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	hull_strv_copy(ret, &image->env);
	if (o->tty)
		hull_strv_addf(ret, "TERM=%s", term ? term : "xterm");
	hull_strv_copy(ret, &o->env);
}

static int set_memory(json_object *spec, const char *text, struct hull_error *err)
{
	uint64_t bytes;
	json_object *linux_, *resources, *memory = json_object_new_object();
	if (hull_parse_size(text, &bytes) < 0 || bytes < (4 << 20) || bytes > INT64_MAX) {
		json_object_put(memory);
		return hull_error_set(err, EINVAL, "try: --memory: expected a size from 4M on, found \"%.32s\"", text);
	}
	json_object_object_get_ex(spec, "linux", &linux_);
	json_object_object_get_ex(linux_, "resources", &resources);
	json_object_object_add(memory, "limit", json_object_new_int64((int64_t)bytes));
	json_object_object_add(resources, "memory", memory);
	return 0;
}

static int fill_spec(json_object *spec, const struct hull_try_options *o, const char *rootfs, char **args,
		     const struct hull_image_config *image, struct hull_error *err)
{
	struct hull_strv words = { 0 }, env = { 0 };
	json_object *process, *root;
	const char *cwd = o->cwd ? o->cwd : image->working_dir && *image->working_dir ? image->working_dir : "/";
	const char *user = o->user ? o->user : image->user && *image->user ? image->user : "0";

	choose_args(args, image, &words);
	choose_env(o, image, &env);
	json_object_object_get_ex(spec, "process", &process);
	json_object_object_get_ex(spec, "root", &root);
	json_object_object_add(process, "args", string_array(&words));
	json_object_object_add(process, "env", string_array(&env));
	json_object_object_add(process, "cwd", json_object_new_string(cwd));
	json_object_object_add(process, "terminal", json_object_new_boolean(o->tty));
	json_object_object_add(root, "path", json_object_new_string(rootfs));
	json_object_object_add(root, "readonly", json_object_new_boolean(false));
	json_object_object_add(spec, "hostname", json_object_new_string("hull"));
	hull_strv_clear(&words);
	hull_strv_clear(&env);
	int r = set_user(process, rootfs, user, err);
	return r == 0 && o->memory ? set_memory(spec, o->memory, err) : r;
}

static int write_config(const char *work, json_object *spec, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_asprintf("%s/config.json", work);
	const char *text = json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = hull_file_replace(AT_FDCWD, path, text, strlen(text), 0600);
	return r < 0 ? hull_error_errno(err, r, "try: write %s", path) : 0;
}

int hull_try_bundle(const struct hull_try_options *o, const char *work, char **args, struct hull_error *err)
{
	struct hull_image_config image = { 0 };
	_cleanup_free_ char *rootfs = NULL;
	_cleanup_free_ char *text = hull_oci_default_config();

	int r = prepare_rootfs(o, work, &image, &rootfs, err);
	if (r == 0) {
		json_object *spec = json_tokener_parse(text);
		r = fill_spec(spec, o, rootfs, args, &image, err);
		if (r == 0)
			r = write_config(work, spec, err);
		json_object_put(spec);
	}
	hull_image_config_clear(&image);
	if (r == 0 && !o->interactive && !o->tty) {
		_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null >= 0)
			dup2(null, STDIN_FILENO);
	}
	return r;
}
