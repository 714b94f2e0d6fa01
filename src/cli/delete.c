/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/client.h"
#include "cli/create.h"
#include "cli/hooks.h"
#include "net/net.h"
#include "net/netns.h"
#include "pod/group.h"
#include "pod/paths.h"
#include "pod/state.h"

#define LOCK_TIMEOUT_MS 60000
#define DELETE_TIMEOUT_MS 10000
/* A supervisor that was told that its pod is over needs some milliseconds; one that hangs is killed. */
#define SUPERVISOR_EXIT_MS 5000

/* Waits for the lock on the container's directory. 0, 1 when somebody else deleted it meanwhile, -errno. */
static int lock_dir(int dirfd, const char *path, struct hull_error *err)
{
	struct stat locked, there;
	int64_t deadline = hull_now_ms() + LOCK_TIMEOUT_MS;
	while (flock(dirfd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return hull_error_errno(err, errno, "lock %s", path);
		if (hull_now_ms() > deadline)
			return hull_error_set(err, ETIMEDOUT, "another `hull delete` of the container does not end");
		usleep(5000);
	}
	if (fstat(dirfd, &locked) < 0)
		return hull_error_errno(err, errno, "%s", path);
	if (stat(path, &there) < 0 || there.st_ino != locked.st_ino || there.st_dev != locked.st_dev)
		return 1;
	return 0;
}

/* Asks the supervisor to drop the container, killing it first. */
static int ask_supervisor(const struct hull_cli *cli, const struct hull_state *state, struct hull_error *err)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	Hull__Pod__V1__DeleteRequest m = HULL__POD__V1__DELETE_REQUEST__INIT;
	int r = hull_client_connect(cli->root, state->pod_id, &client, err);
	if (r < 0)
		return r;
	m.container_id = state->id;
	m.force = true;
	return hull_client_call(client, "Delete", &m.base, &hull__pod__v1__empty__descriptor, DELETE_TIMEOUT_MS, NULL, 0, NULL, err);
}

/* Makes sure that the process is gone when this returns. */
static void end_process(const struct hull_procref *ref, int patience_ms)
{
	_cleanup_close_ int fd = hull_procref_open(ref);
	if (fd < 0)
		return;
	if (hull_pidfd_wait(fd, patience_ms) == 0)
		return;
	hull_pidfd_kill(fd, SIGKILL);
	hull_pidfd_wait(fd, SUPERVISOR_EXIT_MS);
}

/*
 * Whether the supervisor is gone, or goes by itself. One that ends just now, for its sandbox container was deleted, hangs up on who
 * deletes another of the pod's containers: `podman play kube --down` deletes them all at once.
 */
static bool ends(const struct hull_procref *ref, int patience_ms)
{
	_cleanup_close_ int fd = hull_procref_open(ref);
	return fd < 0 ? fd == -ESRCH : hull_pidfd_wait(fd, patience_ms) == 0;
}

/* `r`: how the shim answered. */
static int end_at_shim(const struct hull_state *state, bool own_pod, int r)
{
	if (r == -ETIMEDOUT && !own_pod)
		return r;
	if (r == -ETIMEDOUT)
		end_process(&state->supervisor, 0);
	end_process(&state->standin, SUPERVISOR_EXIT_MS);
	return 0;
}

static int end_container(const struct hull_cli *cli, const struct hull_state *state)
{
	struct hull_error err = HULL_ERROR_INIT;
	bool own_pod = strcmp(state->pod_id, state->id) == 0;

	if (hull_procref_alive(&state->supervisor)) {
		int r = ask_supervisor(cli, state, &err);
		if (r < 0)
			hull_log_info("the supervisor of %s: %s", state->id, err.message);
		if (state->keeps_serving)
			/* It lives on to answer containerd, unless it does not answer at all. Refused: its pod is over already. */
			return end_at_shim(state, own_pod, r);
		if (own_pod)
			end_process(&state->supervisor, r < 0 ? 0 : SUPERVISOR_EXIT_MS);
		else if (r < 0 && !ends(&state->supervisor, r == -ETIMEDOUT ? 0 : SUPERVISOR_EXIT_MS))
			return -ETIMEDOUT;
	}
	/*
	 * The stand-in follows its supervisor; this only waits for it, so that no process is left behind a delete. A `hull run` in the
	 * foreground made the container and stands for it: it ends by itself, after a delete of its own that waits for this one.
	 */
	if (state->standin.pid != state->creator.pid)
		end_process(&state->standin, SUPERVISOR_EXIT_MS);
	return 0;
}

/* What a pod that was killed could not take away from an engine's namespace; with a namespace of Hull's own it went. */
static void clean_network(const struct hull_oci_spec *spec)
{
	struct hull_error err = HULL_ERROR_INIT;
	const char *path = spec->namespaces[HULL_NS_NETWORK].path;
	_cleanup_close_ int fd = path ? hull_netns_open(path, &err) : -1;
	if (fd >= 0 && hull_netns_check_foreign(fd, &err) == 0 && hull_net_clean(fd, &err) < 0)
		hull_log_info("clean %s: %s", path, err.message);
}

static int remove_dirs(const struct hull_cli *cli, const char *id, const char *container_dir, struct hull_error *err)
{
	/* Only the pod of this container has its name; another pod's directory belongs to its sandbox container. */
	_cleanup_free_ char *pod_dir = hull_path_pod(cli->root, id);
	int r = hull_rmtree(AT_FDCWD, pod_dir);
	if (r < 0)
		return hull_error_errno(err, r, "remove %s", pod_dir);
	/* The name goes at once, with all that was known: nobody sees half a container. */
	_cleanup_free_ char *passing = hull_path_passing(cli->root, id);
	hull_rmtree(AT_FDCWD, passing);
	if (renameat(AT_FDCWD, container_dir, AT_FDCWD, passing) < 0)
		return hull_error_errno(err, errno, "remove %s", container_dir);
	r = hull_rmtree(AT_FDCWD, passing);
	return r < 0 ? hull_error_errno(err, r, "remove %s", passing) : 0;
}

/* A supervisor of which state.json knows nothing: its creator died before it could take the container on. */
static void end_unknown_supervisor(const struct hull_cli *cli, const char *pod_id)
{
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_procref ref;
	pid_t pid = hull_client_connect(cli->root, pod_id, &client, &err) < 0 ? 0 : hull_client_peer_pid(client);
	if (pid > 0 && pid != getpid() && hull_procref_get(pid, &ref) == 0)
		end_process(&ref, 0);
}

/* The container's configuration, or NULL when it cannot be read any more. */
static struct hull_oci_spec *read_spec(int dirfd)
{
	_cleanup_free_ char *text = NULL;
	struct hull_oci_spec *spec = NULL;
	struct hull_error err = HULL_ERROR_INIT;
	size_t len;
	if (hull_file_read(dirfd, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &text, &len) < 0)
		return NULL;
	if (hull_oci_spec_parse(text, len, &spec, &err) < 0)
		hull_log_warning("%s", err.message);
	return spec;
}

/* With `force` a group that somebody else put a process into stays, and the container goes. Without it the user decides. */
static int remove_group(const struct hull_state *state, const char *id, const struct hull_oci_spec *spec, bool force,
			struct hull_error *err)
{
	int r = hull_group_end(state, id, spec, err);
	if (r < 0 && force) {
		hull_log_warning("%s", err->message);
		hull_error_clear(err);
		return 0;
	}
	return r;
}

/* Its processes are gone: its group and its name follow. The hooks' failures are logged, as the specification asks. */
static int remove_rest(const struct hull_cli *cli, const struct hull_state *state, bool force, int dirfd, const char *path,
		       struct hull_error *err)
{
	struct hull_oci_spec *spec = read_spec(dirfd);
	if (spec && strcmp(state->pod_id, state->id) == 0)
		clean_network(spec);
	int r = remove_group(state, state->id, spec, force, err);
	if (r == 0) {
		if (spec)
			hull_hooks_run_each(&spec->poststop, "poststop", state, HULL_STATUS_STOPPED, state->bundle);
		r = remove_dirs(cli, state->id, path, err);
	}
	hull_oci_spec_free(spec);
	return r;
}

/* Nobody knows any more who belongs to it. */
static int remove_damaged(const struct hull_cli *cli, const char *id, int dirfd, const char *path, struct hull_error *err)
{
	struct hull_oci_spec *spec = read_spec(dirfd);
	hull_error_clear(err);
	end_unknown_supervisor(cli, id);
	int r = remove_group(NULL, id, spec, true, err);
	hull_oci_spec_free(spec);
	return r < 0 ? r : remove_dirs(cli, id, path, err);
}

/* Whether the container may go without --force. Source: runc deletes created containers too. */
static int check_deletable(const struct hull_state *state, struct hull_error *err)
{
	enum hull_status status = hull_state_effective(state);
	if (status == HULL_STATUS_STOPPED || status == HULL_STATUS_CREATED)
		return 0;
	return hull_error_set(err, EBUSY, "cannot delete container %s that is not stopped: %s", state->id, hull_status_name(status));
}

static int delete_locked(const struct hull_cli *cli, const char *id, bool force, int dirfd, const char *path,
			 struct hull_error *err)
{
	struct hull_state *state = NULL;
	int r = hull_state_read(dirfd, &state, err);
	if (r < 0) {
		return force ? remove_damaged(cli, id, dirfd, path, err) : r;
	}
	r = force ? 0 : check_deletable(state, err);
	if (r == 0 && end_container(cli, state) < 0)
		r = hull_error_set(err, ETIMEDOUT, "the supervisor of pod %s does not answer; `hull delete --force %s` ends the whole pod",
				   state->pod_id, state->pod_id);
	if (r == 0 && state->supervisor.pid == 0 && strcmp(state->pod_id, id) == 0)
		end_unknown_supervisor(cli, id);
	if (r == 0)
		r = remove_rest(cli, state, force, dirfd, path, err);
	hull_state_free(state);
	return r;
}

static int delete_dir(const struct hull_cli *cli, const char *id, bool force, int dirfd, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_path_container(cli->root, id);
	int r = lock_dir(dirfd, path, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return delete_locked(cli, id, force, dirfd, path, err);
}

int hull_delete_own(const struct hull_cli *cli, const char *id, int dirfd, struct hull_error *err)
{
	return delete_dir(cli, id, true, dirfd, err);
}

int hull_delete(const struct hull_cli *cli, const char *id, bool force, struct hull_error *err)
{
	hull_paths_sweep(cli->root);
	_cleanup_close_ int dirfd = hull_state_open_dir(cli->root, id, err);
	if (dirfd < 0) {
		if (dirfd == -ENOENT && force) {
			hull_error_clear(err);
			return 0;
		}
		return dirfd;
	}
	return delete_dir(cli, id, force, dirfd, err);
}
