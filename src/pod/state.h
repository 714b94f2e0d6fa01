/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a container, kept in containers/<id>/state.json so that it outlives every process.
 *
 * One writer at a time: `hull create` until the supervisor took the container on, the supervisor afterwards. The file says what was
 * true when it was written; hull_state_effective() holds it against the processes that are alive now.
 *
 *     creating ──▶ created ──▶ running ◀──▶ paused
 *         └───────────┴───────────┴────────────┴──▶ stopped
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/process.h"
#include "resources/hostgroup.h"

enum hull_status {
	HULL_STATUS_CREATING,
	HULL_STATUS_CREATED,
	HULL_STATUS_RUNNING,
	HULL_STATUS_PAUSED,
	HULL_STATUS_STOPPED,
};

struct hull_state {
	char *id;
	char *pod_id;
	char *bundle;                  /* absolute */
	char *rootfs;                  /* absolute */
	char *oci_version;             /* config.json's */
	char *owner;                   /* name of the user who created it */
	char *created;                 /* RFC 3339, UTC */
	char *annotations_json;        /* an object as text, or NULL */
	enum hull_status status;
	struct hull_procref standin;   /* the host pid that stands for the container */
	struct hull_procref creator;   /* `hull create` while status is creating */
	struct hull_procref supervisor;
	bool keeps_serving;            /* the supervisor is a shim: it outlives its pod until containerd lets it go */
	bool has_exit;
	int exit_code, exit_signal;
	bool oom_killed;
	char *lost;                    /* why the container ended with its VM, or NULL */
	struct hull_hostgroup group;   /* on the host; n = 0: none */
};

/* "creating", "created", …, as in state.json and `hull state`. Parsing: 0 or -EINVAL. */
const char *hull_status_name(enum hull_status status);
int hull_status_parse(const char *name, enum hull_status *ret);

/* Writes state.json into the container's directory atomically. */
int hull_state_write(int container_dirfd, const struct hull_state *state, struct hull_error *err);

/* Reads and checks it. -ENOENT when there is none. */
int hull_state_read(int container_dirfd, struct hull_state **ret, struct hull_error *err);

/* The status now: a container whose supervisor (or, while creating, whose creator) is gone is stopped. */
enum hull_status hull_state_effective(const struct hull_state *state);

/* The container's ID as its engine knows it, for hooks: the shim puts containerd's namespace before it. Lives as long as the state. */
const char *hull_state_engine_id(const struct hull_state *state);

void hull_state_free(struct hull_state *state);

/* Opens containers/<id>. -ENOENT with runc's message when there is no such container. */
int hull_state_open_dir(const char *root, const char *id, struct hull_error *err);

/* Opens the directory and reads the state in one go; *ret_dirfd may be NULL. */
int hull_state_load(const char *root, const char *id, int *ret_dirfd, struct hull_state **ret, struct hull_error *err);
