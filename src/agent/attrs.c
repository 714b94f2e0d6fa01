/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/attrs.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/affinity.h"
#include "agent/lookup.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define PASSWD_MAX_BYTES (1u << 20)
/* Source: linux/ioprio.h */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13

/* Source: linux/sched/types.h, struct sched_attr, first version. */
struct sched_attr_v0 {
	uint32_t size, sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
};

static int join_keyring(const char *id, struct hull_error *err)
{
	char name[300];
	/* Source: runc keys.JoinSessionKeyring("_ses." + container id). */
	snprintf(name, sizeof(name), "_ses.%s", id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS)
		return hull_error_errno(err, errno, "unable to join session keyring");
	return 0;
}

int hull_attrs_set_rlimits(const struct hull_oci_process *process, struct hull_error *err)
{
	for (size_t i = 0; i < process->n_rlimits; i++) {
		const struct hull_oci_rlimit *limit = &process->rlimits[i];
		struct rlimit64 value = { .rlim_cur = limit->soft, .rlim_max = limit->hard };
		if (prlimit64(0, (__rlimit_resource_t)limit->resource, &value, NULL) < 0)
			return hull_error_errno(err, errno, "error setting rlimit type %d", limit->resource);
	}
	return 0;
}

static int set_scheduling(const struct hull_oci_process *process, struct hull_error *err)
{
	const struct hull_oci_scheduler *s = &process->scheduler;
	if (s->present) {
		struct sched_attr_v0 attr = {
			.size = sizeof(attr), .sched_policy = s->policy, .sched_flags = s->flags, .sched_nice = s->nice,
			.sched_priority = (uint32_t)s->priority, .sched_runtime = s->runtime,
			.sched_deadline = s->deadline, .sched_period = s->period,
		};
		if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
			return hull_error_errno(err, errno, "error setting scheduler");
	}
	if (process->has_io_priority) {
		int value = process->io_class << IOPRIO_CLASS_SHIFT | process->io_priority;
		if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) < 0)
			return hull_error_errno(err, errno, "failed to set io priority");
	}
	/* exec_cpu_affinity is [initial, final]; the set-up is too short for the first to matter. */
	for (size_t i = 0; i < process->exec_cpu_affinity.n; i++) {
		int r = *process->exec_cpu_affinity.v[i] ? hull_affinity_set(process->exec_cpu_affinity.v[i]) : 0;
		if (r < 0)
			return hull_error_errno(err, r, "process.execCPUAffinity");
	}
	return 0;
}

static int drop_bounding(const struct hull_oci_capabilities *c, struct hull_error *err)
{
	uint64_t keep = c->present ? c->bounding : 0;
	for (int cap = 0; cap < 64; cap++) {
		if (keep & (1ull << cap))
			continue;
		/* EINVAL: the kernel has no more capabilities. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break;
			return hull_error_errno(err, errno, "unable to apply bounding set");
		}
	}
	return 0;
}

static void cap_freep(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

static int fill_set(cap_t caps, cap_flag_t flag, uint64_t set)
{
	for (int cap = 0; cap < cap_max_bits(); cap++) {
		cap_value_t value = cap;
		if ((set & (1ull << cap)) && cap_set_flag(caps, flag, 1, &value, CAP_SET) < 0)
			return -errno;
	}
	return 0;
}

static int apply_capabilities(const struct hull_oci_capabilities *c, struct hull_error *err)
{
	_cleanup_(cap_freep) cap_t caps = cap_init();
	if (!caps)
		return hull_error_errno(err, ENOMEM, "unable to apply caps");
	if (c->present) {
		if (fill_set(caps, CAP_EFFECTIVE, c->effective) < 0 || fill_set(caps, CAP_PERMITTED, c->permitted) < 0 ||
		    fill_set(caps, CAP_INHERITABLE, c->inheritable) < 0)
			return hull_error_errno(err, EINVAL, "unable to apply caps");
	}
	if (cap_set_proc(caps) < 0)
		return hull_error_errno(err, errno, "unable to apply caps");

	cap_reset_ambient();
	for (int cap = 0; c->present && cap < cap_max_bits(); cap++) {
		/* runc ignores an ambient capability that is not permitted and inheritable. */
		if (c->ambient & (1ull << cap))
			cap_set_ambient(cap, CAP_SET);
	}
	return 0;
}

/* The text is runc's. */
static int cannot_become(struct hull_error *err, const char *what, unsigned id)
{
	if (errno == EINVAL)
		return hull_error_set(err, EINVAL, "cannot set %s to unmapped user in user namespace", what);
	return hull_error_errno(err, errno, "set%s %u", what, id);
}

static int set_user(const struct hull_oci_user *user, struct hull_error *err)
{
	umask(user->has_umask ? (mode_t)user->umask : 022);
	if (setgroups(user->n_additional_gids, user->additional_gids) < 0)
		return hull_error_errno(err, errno, "setgroups");
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return cannot_become(err, "gid", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return cannot_become(err, "uid", user->uid);
	return 0;
}

static int change_directory(const char *cwd, bool *ret_denied, struct hull_error *err)
{
	*ret_denied = false;
	if (chdir(*cwd ? cwd : "/") < 0) {
		int code = errno;
		char text[128];
		*ret_denied = code == EACCES || code == EPERM;
		return hull_error_set(err, code, "chdir to cwd (\"%s\") set in config.json failed: %s", cwd,
				      hull_lookup_strerror(code, text, sizeof(text)));
	}
	/* A directory outside of the root has a path that does not begin with a slash. */
	char path[4096];
	long n = syscall(SYS_getcwd, path, sizeof(path));
	if (n < 0 || path[0] != '/')
		return hull_error_set(err, EPERM, "current working directory is outside of container mount namespace root"
				      " -- possible container breakout detected");
	return 0;
}

/* The directory may need the user's rights, or root's: tried with both, as runc does. */
static int become_user(const struct hull_oci_process *process, struct hull_error *err)
{
	bool denied;
	int r = change_directory(process->cwd, &denied, err);
	if (r < 0 && !denied)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return hull_error_errno(err, errno, "unable to set keep caps");
	if (set_user(&process->user, err) < 0)
		return hull_error_wrap(err, "unable to setup user");
	if (denied) {
		r = change_directory(process->cwd, &denied, err);
		if (r < 0)
			return r;
	}
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return apply_capabilities(&process->capabilities, err);
}

/* HOME from the container's own /etc/passwd, which may be anything. */
static char *find_home(unsigned uid)
{
	_cleanup_close_ int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	char *home = NULL;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    hull_fd_read_all(fd, PASSWD_MAX_BYTES, &text, NULL) == 0)
		home = hull_lookup_home(text, uid);
	if (home && *home)
		return home;
	free(home);
	return hull_strdup("/");
}

/* A variable of the environment, and where in it. */
struct variable {
	const char *text;
	size_t index;
};

static size_t name_length(const char *variable)
{
	return strcspn(variable, "=");
}

/* By name; of the same name the last one comes first. */
static int compare_variables(const void *left, const void *right)
{
	const struct variable *a = left, *b = right;
	size_t n_a = name_length(a->text), n_b = name_length(b->text);
	int order = strncmp(a->text, b->text, n_a < n_b ? n_a : n_b);
	if (order == 0 && n_a != n_b)
		order = n_a < n_b ? -1 : 1;
	return order != 0 ? order : a->index > b->index ? -1 : 1;
}

/* Of a variable that is there twice only the last one counts, as with runc: getenv() would find the first. */
static bool *find_overridden(const struct hull_strv *env)
{
	_cleanup_free_ struct variable *sorted = hull_new(struct variable, env->n);
	bool *overridden = hull_new(bool, env->n);
	for (size_t i = 0; i < env->n; i++)
		sorted[i] = (struct variable){ env->v[i], i };
	if (env->n)
		qsort(sorted, env->n, sizeof(*sorted), compare_variables);
	for (size_t i = 1; i < env->n; i++) {
		size_t n = name_length(sorted[i].text);
		if (n == name_length(sorted[i - 1].text) && strncmp(sorted[i].text, sorted[i - 1].text, n) == 0)
			overridden[sorted[i].index] = true;
	}
	return overridden;
}

static void fill_environment(const struct hull_oci_process *process, struct hull_strv *env)
{
	const char *home = hull_lookup_env(&process->env, "HOME");
	bool known = home && *home;
	_cleanup_free_ bool *overridden = find_overridden(&process->env);
	for (size_t i = 0; i < process->env.n; i++) {
		if (!overridden[i] && (known || strncmp(process->env.v[i], "HOME=", 5) != 0))
			hull_strv_add(env, process->env.v[i]);
	}
	if (known)
		return;
	_cleanup_free_ char *found = find_home(process->user.uid);
	hull_strv_addf(env, "HOME=%s", found);
}

int hull_attrs_apply(const struct hull_attrs *attrs, struct hull_attrs_program *ret, struct hull_error *err)
{
	const struct hull_oci_process *process = attrs->process;
	struct hull_strv env = { 0 };

	if (process->args.n == 0)
		return hull_error_set(err, EINVAL, "process.args: nothing to execute");
	if (attrs->new_keyring && join_keyring(attrs->container_id, err) < 0)
		return -err->code;
	fill_environment(process, &env);
	if (attrs->has_personality && personality(attrs->personality) < 0)
		return hull_error_errno(err, errno, "linux.personality");
	if (set_scheduling(process, err) < 0)
		return -err->code;
	if (!attrs->user_namespace && hull_attrs_set_rlimits(process, err) < 0)
		return -err->code;

	/* The image gets none of our descriptors, whatever they were opened with. Its filter may not know the call. */
	close_range(3 + (unsigned)attrs->n_preserved, ~0U, CLOSE_RANGE_CLOEXEC);
	bool late = process->no_new_privileges;
	if (late && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return hull_error_errno(err, errno, "error setting no_new_privs");
	if (!late && hull_filter_install(attrs->filter, err) < 0)
		return -err->code;
	if (drop_bounding(&process->capabilities, err) < 0 || become_user(process, err) < 0)
		return -err->code;

	char *path = hull_lookup_executable(process->args.v[0], &env, err);
	if (!path && (!attrs->program_may_follow || err->code != ENOENT))
		return -err->code;
	hull_error_clear(err);
	if (late && hull_filter_install(attrs->filter, err) < 0)
		return -err->code;

	ret->path = path;
	ret->args = process->args.v;
	ret->env = env.v;
	return 0;
}

int hull_attrs_execute(const struct hull_attrs_program *program, struct hull_error *err)
{
	char text[128], *path = program->path;
	if (!path) {
		struct hull_strv env = { .v = program->env };
		while (env.v[env.n])
			env.n++;
		path = hull_lookup_executable(program->args[0], &env, err);
		if (!path)
			return -err->code;
	}
	execve(path, program->args, program->env);
	int code = errno;
	return hull_error_set(err, code, "exec %s: %s", path, hull_lookup_strerror(code, text, sizeof(text)));
}
