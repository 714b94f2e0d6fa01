/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `delete`: containerd has lost the shim, or could not use it. Takes away what is left of the container, and of the whole pod when it is
 * the pod's own. Works when nothing is left, and again. Prints a DeleteResponse.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "jail/spawn.h"
#include "pod/paths.h"
#include "rpc/rpc.h"
#include "shim/any.h"
#include "shim/connect.h"
#include "shim/record.h"
#include "shim/shim.h"

/* containerd gives the whole command 5 s. Source: containerd, io.containerd.timeout.shim.cleanup. */
#define DELETE_MS 4500
#define KILL_MS 2000
#define CALL_MS 1000
#define STATUS_KILLED 137

static int delete_container(const char *root, const char *hull_id, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_path_bin("hull");
	char *argv[] = { path, (char *)(uintptr_t)"--root", (char *)(uintptr_t)root, (char *)(uintptr_t)"delete",
			 (char *)(uintptr_t)"--force", (char *)(uintptr_t)hull_id, NULL };
	const struct hull_spawn spawn = { .path = path, .argv = argv, .envp = environ, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = STDERR_FILENO };
	_cleanup_close_ int pidfd = -1;
	siginfo_t info = { 0 };
	pid_t pid;

	int r = hull_spawn(&spawn, &pid, &pidfd, err);
	if (r < 0)
		return r;
	if (hull_pidfd_wait(pidfd, DELETE_MS) < 0)
		/* It goes on by itself. */
		return hull_error_set(err, ETIMEDOUT, "hull delete does not end");
	waitid(P_PID, (id_t)pid, &info, WEXITED);
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : hull_error_set(err, EIO, "hull delete failed");
}

/* How it ended, if that is known. */
static void find_exit(const char *root, const char *hull_id, Hull__Containerd__DeleteResponse *ret)
{
	struct hull_state *state = NULL;
	ret->exit_status = STATUS_KILLED;
	if (hull_state_load(root, hull_id, NULL, &state, NULL) < 0)
		return;
	ret->pid = (uint32_t)state->standin.pid;
	if (state->has_exit)
		ret->exit_status = (uint32_t)state->exit_code & 0xff;
	hull_state_free(state);
}

/* One call of the Task service of a shim that may hang. 0 or -errno. */
static int call_shim(const struct shim_record *record, const char *method, const char *id, int timeout_ms)
{
	Hull__Containerd__ProcessRequest m = HULL__CONTAINERD__PROCESS_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	uv_loop_t loop;
	int fd = shim_connect(record->socket);
	if (fd < 0)
		return fd;
	m.id = (char *)(uintptr_t)id;
	uv_loop_init(&loop);
	struct hull_rpc_client *client = hull_rpc_client_new(&loop, fd, NULL, NULL, NULL);
	int r = client ? hull_rpc_call_sync(client, "containerd.task.v2.Task", method, &m.base, &hull__containerd__empty__descriptor, timeout_ms,
					    NULL, 0, &response, NULL)
		       : -errno;
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
	hull_rpc_client_free(client);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return r;
}

/*
 * It may well live: containerd 1.6 runs `delete` after every task that it has deleted itself, while the other tasks of the pod are still
 * there. Then it only lets go of this one, and ends by itself when that was the last.
 */
static void leave_shim(const struct shim_record *record, const char *id)
{
	call_shim(record, "Delete", id, CALL_MS);
	call_shim(record, "Shutdown", id, CALL_MS);
}

/* One that does not answer any more. The pod is this container's own. */
static void end_shim(const struct shim_record *record)
{
	_cleanup_free_ char *dir = hull_path_pod(record->root, record->pod_id);
	_cleanup_close_ int fd = hull_procref_open(&record->shim);
	if (fd >= 0) {
		hull_pidfd_kill(fd, SIGKILL);
		hull_pidfd_wait(fd, KILL_MS);
	}
	unlink(record->socket);
	hull_rmtree(AT_FDCWD, dir);
}

int shim_cleanup(const struct shim_args *args, struct hull_error *err)
{
	Hull__Containerd__DeleteResponse reply = HULL__CONTAINERD__DELETE_RESPONSE__INIT;
	Hull__Containerd__Timestamp at;
	_cleanup_free_ char *hull_id = shim_hull_id(args, args->id);
	struct shim_record record = { 0 };
	bool known = shim_record_read(args->bundle ? args->bundle : ".", &record) == 0;
	const char *root = known ? record.root : hull_default_root();

	find_exit(root, hull_id, &reply);
	bool alive = known && hull_procref_alive(&record.shim) && call_shim(&record, "Connect", args->id, CALL_MS) == 0;
	if (known && !alive && strcmp(record.pod_id, hull_id) == 0)
		/* First, for a shim that hangs would hold everything up. */
		end_shim(&record);
	int r = delete_container(root, hull_id, err);
	if (alive)
		leave_shim(&record, args->id);
	shim_record_clear(&record);
	if (r < 0)
		return r;
	shim_timestamp(shim_now_ns(), &at);
	reply.exited_at = &at;
	size_t len;
	_cleanup_free_ uint8_t *data = shim_pack(&reply.base, &len);
	r = hull_fd_write_all(STDOUT_FILENO, data, len);
	return r < 0 ? hull_error_errno(err, r, "write the answer") : 0;
}
