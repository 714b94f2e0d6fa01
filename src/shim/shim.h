/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's own objects. Private to src/shim.
 *
 * The process is the pod's supervisor (pod/pod.h) and, in the same loop, a client of its own Pod service: what containerd asks for
 * through the Task service becomes calls of the Pod service over a socket pair. Creating and deleting are done by `hull`
 * in a child, in the host's mount namespace, exactly as under any other engine. A task outlives the pod: containerd asks about it until it
 * deletes it.
 *
 *   task      creating ─▶ created ─Start▶ running ⇄ paused ─▶ stopped ─Delete▶ gone
 *   exec      added    ─Start▶ running ─▶ stopped ─Delete▶ gone
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "pod/pod.h"
#include "rpc/pod.pb-c.h"
#include "rpc/rpc.h"
#include "shim/args.h"
#include "shim/bootstrap.h"
#include "shim/child.h"
#include "shim/containerd.pb-c.h"
#include "shim/events.h"
#include "shim/io.h"

struct shim;
struct shim_task;

struct shim_waiter {
	struct shim_waiter *next;
	struct shim_process *process;
	struct hull_rpc_request *request;
};

/* A task's own process (exec_id "") or an exec. */
struct shim_process {
	struct shim_process *next;     /* of the task's execs */
	struct shim_task *task;
	char *exec_id;
	struct shim_stdio stdio;
	struct shim_io *io;            /* from Create, or an exec's Start, to the end of the process' life here */
	uint8_t *spec;                 /* of an exec until it is started: the OCI process object */
	size_t spec_len;
	unsigned rows, columns;        /* of an exec that is not started yet */

	Hull__Containerd__Status status;
	bool starting;                 /* Start is under way: the end is told after it */
	bool over;                     /* the end is known; reported unless `starting` */
	uint64_t oom_kills;            /* in the task, until its end */
	uint32_t exit_status;
	int64_t exited_at_ns;          /* the host's clock */
	struct hull_rpc_call *wait;
	struct shim_waiter *waiters;
};

struct shim_task {
	struct shim_task *next;
	struct shim *shim;
	char *id, *hull_id, *bundle;
	uint32_t pid;                  /* the stand-in's */
	bool has_poststart;
	struct shim_process *init, *execs;
	uint8_t *created_event;        /* until created: TaskCreate, packed, without the pid */
	size_t created_event_len;
	struct shim_child *child;      /* `hull` at work: create, start or delete */
	struct hull_rpc_request *request;      /* whose answer waits for it */
	bool cancelled;                /* nobody waits for the create any more */
	uint64_t oom_kills;            /* that containerd was told of */
	struct hull_rpc_call *oom_call;
};

struct shim {
	uv_loop_t loop;
	const struct shim_args *args;
	char *hull_id;                 /* of the pod: its directory's name */
	struct shim_host host;
	struct hull_config *config;
	struct hull_pod *pod;          /* NULL when it is over */
	struct hull_rpc_client *self;  /* the client of its Pod service */
	struct hull_rpc_server *server;
	struct shim_events *events;
	struct shim_task *tasks;
	unsigned n_connections;
	uv_timer_t idle_timer;         /* ends a shim that has no task and no connection */
	uv_timer_t quit_timer;
	int64_t quit_deadline_ms;
	bool quitting, quit;
};

/* ---- daemon.c */

/* `serve`: runs until containerd lets the shim go. */
int shim_serve(const struct shim_args *args, struct hull_error *err);
/* Nothing is left to do here: ends the process once the last answers and events are out. */
void shim_quit(struct shim *shim);
/* A task or a connection came or went. */
void shim_check_idle(struct shim *shim);

/* ---- start.c, cleanup.c, info.c: the other actions */

/* 0, or an error for standard error and exit code 1. */
int shim_start(const struct shim_args *args, struct hull_error *err);
int shim_cleanup(const struct shim_args *args, struct hull_error *err);
int shim_info(struct hull_error *err);

/* ---- service.c */

extern const struct hull_rpc_service shim_services[];
extern const size_t shim_n_services;

/* ---- task.c */

/* NULL: no such task. A new one is in the list; a task of that id is not. */
struct shim_task *shim_task_find(struct shim *shim, const char *id);
struct shim_task *shim_task_new(struct shim *shim, const char *id, const char *bundle);
/* Takes it out of the list and frees it. */
void shim_task_free(struct shim_task *task);
struct shim_process *shim_task_process(struct shim_task *task, const char *exec_id);
/* NULL: the request was answered with NotFound. */
struct shim_process *shim_find_or_fail(struct shim *shim, const char *id, const char *exec_id, struct hull_rpc_request *request);

/* ---- create.c, delete.c, exec.c: the calls that take more than one step */

void shim_handle_create(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void shim_handle_delete(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void shim_handle_start(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void shim_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);

/* ---- process.c */

struct shim_process *shim_process_new(struct shim_task *task, const char *exec_id);
void shim_process_free(struct shim_process *p);
/* Waits for its end at the supervisor. At once with what starts it, so that no end can be missed. */
void shim_process_watch(struct shim_process *p);
/* Its Start was answered; an end that came meanwhile is told now. */
void shim_process_started(struct shim_process *p);
/* The end, seen from here; only the first counts. */
void shim_process_over(struct shim_process *p, uint32_t exit_status, uint64_t oom_kills);
void shim_process_add_waiter(struct shim_process *p, struct hull_rpc_request *request);

/* ---- oom.c */

/* Tells containerd from now on when the guest's out-of-memory killer ends a process of the task. */
void shim_oom_watch(struct shim_task *t);
/* So many have been ended: tells, if that is news. */
void shim_oom_tell(struct shim_task *t, uint64_t kills);

/* ---- a call of the Pod service on behalf of a request */

struct shim_call {
	struct shim *shim;
	struct hull_rpc_request *request;
	char *id, *exec_id;
	int number;                    /* for the caller */
};
struct shim_call *shim_call_new(struct shim *shim, struct hull_rpc_request *request, const char *id, const char *exec_id);
void shim_call_freep(struct shim_call **call);
/* Calls when there is a pod; otherwise answers the request, frees `call` and returns false. */
bool shim_call_pod(struct shim_call *call, const char *method, const ProtobufCMessage *message,
		   const ProtobufCMessageDescriptor *answer_type, int64_t timeout_ms, const int *fds, size_t n_fds, hull_rpc_reply_fn done);
