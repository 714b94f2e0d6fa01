/* SPDX-License-Identifier: Apache-2.0 */
/* A further process in a running container. */
#include "agent/child.h"

#include <sched.h>
#include <unistd.h>

#include "agent/attrs.h"
#include "agent/dev_nodes.h"
#include "agent/sync.h"
#include "base/cleanup.h"

static int join(const struct hull_child *child, struct hull_error *err)
{
	/* Resource limits may go up here; inside a user namespace they may not. */
	if (child->user_namespace && hull_attrs_set_rlimits(child->process, err) < 0)
		return -err->code;
	if (setns(child->target, child->target_namespaces) < 0)
		return hull_error_errno(err, errno, "join the container's namespaces");
	return hull_child_split(child, 0, err);
}

static int connect_terminal(const struct hull_child *child, struct hull_error *err)
{
	_cleanup_close_ int master = -1, slave = -1;
	if (hull_pty_open(-1, child->process, &master, &slave, err) < 0 ||
	    hull_pty_adopt(slave, child->process, err) < 0)
		return -err->code;
	int r = hull_sync_send(child->sync, HULL_SYNC_TTY, 0, NULL, master);
	return r < 0 ? hull_error_errno(err, r, "pass the terminal") : 0;
}

void hull_child_exec(struct hull_child *child)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_attrs_program program;
	struct hull_attrs attrs = {
		.process = child->process, .container_id = child->container_id, .filter = child->filter,
		.new_keyring = child->new_keyring, .user_namespace = child->user_namespace,
		.has_personality = child->has_personality, .personality = child->personality, .n_preserved = child->n_preserved,
	};

	if (hull_child_prologue(child, &err) < 0 || join(child, &err) < 0)
		hull_child_fail(child, &err);

	/* From here on in the process proper. */
	if (hull_child_settle(child, &err) < 0)
		hull_child_fail(child, &err);
	if (child->process->terminal && connect_terminal(child, &err) < 0)
		hull_child_fail(child, &err);
	if (hull_attrs_apply(&attrs, &program, &err) < 0)
		hull_child_fail(child, &err);
	hull_attrs_execute(&program, &err);
	hull_child_fail(child, &err);
}
