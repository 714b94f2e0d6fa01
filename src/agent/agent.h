/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's state: containers, their processes, and who waits for what. One thread, one loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <uv.h>

#include "agent/filter.h"
#include "agent/watch.h"
#include "oci/spec.h"
#include "rpc/agent.pb-c.h"
#include "rpc/rpc.h"

/* Records that the host may make the agent keep. */
#define HULL_AGENT_CONTAINERS_MAX 256
#define HULL_AGENT_PROCESSES_MAX 4096

struct hull_container;
struct hull_process;
struct hull_streams;
struct hull_agent_net;
struct hull_names;

LIST_HEAD(hull_container_list, hull_container);
LIST_HEAD(hull_process_list, hull_process);
LIST_HEAD(hull_waiter_list, hull_waiter);

struct hull_agent {
	uv_loop_t *loop;
	struct hull_rpc_server *server;
	struct hull_container_list containers;
	unsigned n_containers, n_processes, n_forwards;
	char *pod_container;           /* id of the first container: its pid and user namespaces are the pod's */
	bool sandbox_created;
	uint64_t started_ns, ready_ns; /* CLOCK_BOOTTIME */
	uv_signal_t sigchld;
	struct hull_watch *events;     /* hotplug.c */
	struct hull_agent_net *net;    /* net.c; NULL until the first ConfigureNetwork */
	struct hull_names *names;      /* names.c; NULL: nobody on the host answers */
};

/*
 * LAUNCHING  on its way (child.h); requests on it are refused
 * CREATED    a container's first process that waits for StartContainer
 * STARTING   StartContainer was called, the program is not yet executed
 * RUNNING    executes its program
 * EXITED     reaped; the status is kept until the process is deleted
 */
enum hull_process_state {
	HULL_PROCESS_LAUNCHING, HULL_PROCESS_CREATED, HULL_PROCESS_STARTING, HULL_PROCESS_RUNNING, HULL_PROCESS_EXITED,
};

struct hull_process {
	LIST_ENTRY(hull_process) link;
	struct hull_container *container;
	char *exec_id;                 /* "" for the container's first process */
	enum hull_process_state state;
	pid_t pid;                     /* 0 until it is known */
	int pidfd;
	bool terminal;
	struct hull_streams *streams;
	struct hull_streams **preserved;       /* of the descriptors 3, 4, … */
	size_t n_preserved;

	/* LAUNCHING and STARTING: the channel, the deadline and the caller who waits. */
	struct hull_watch *sync;
	struct hull_alarm *deadline;
	struct hull_rpc_request *request;

	uint64_t oom_kills_before, oom_kills;  /* of the container, when it began and when it ended */
	int exit_code, exit_signal;
	bool oom_killed;
	int64_t exited_at_ns;          /* CLOCK_REALTIME */
	struct hull_waiter_list waiters;
};

struct hull_container {
	LIST_ENTRY(hull_container) link;
	struct hull_agent *agent;
	char *id;
	int cgroup_fd;
	struct hull_process_list processes;
	struct hull_process *init;     /* also on the list */
	bool paused, deleting;

	/* What exec needs to know. */
	bool user_namespace, shares_pid, new_keyring, has_personality;
	unsigned long personality;
	int own_namespaces;            /* CLONE_NEW… of network, IPC, UTS: those that are not the VM's own */
	int exec_namespaces;           /* CLONE_NEW… that exec joins */
	struct hull_oci_id_mapping *uid_map, *gid_map;
	size_t n_uid_map, n_gid_map;
	struct hull_filter filter;

	struct hull_oci_spec *spec;    /* until the container is created */
	bool on_share;                 /* its root is on the share, and not a disk */
	struct hull_keep *keep;        /* keep.h; NULL until the container is created */

	struct hull_watch *oom_watch;  /* oom.c: AwaitOom, at most one */
	struct hull_rpc_request *oom_request;
	uint64_t oom_known;

	/* PauseContainer waits for the kernel; DeleteContainer for the last process. */
	struct hull_alarm *tick;
	int64_t tick_deadline_ms;
	struct hull_rpc_request *tick_request;
	struct hull_error *delete_error;       /* why a failed create is being undone; NULL for DeleteContainer */
};

/* ------------------------------------------------------------- container.c */

/* NULL: there is none. The empty exec_id is the container's own process. */
struct hull_container *hull_container_find(struct hull_agent *agent, const char *id);
struct hull_process *hull_process_find(struct hull_container *container, const char *exec_id);

/* Adds a process in state LAUNCHING. */
struct hull_process *hull_process_new(struct hull_container *container, const char *exec_id, bool terminal);

/* It has ended: its streams end with what it left. */
void hull_process_end_streams(struct hull_process *process);

/* Answers who waits, closes everything, forgets it. Does not kill. */
void hull_process_free(struct hull_process *process);

/* Adds a container with its control group and no process. NULL with err set. */
struct hull_container *hull_container_new(struct hull_agent *agent, const char *id, struct hull_error *err);

/* Forgets a container whose processes are all gone, its control group included. */
void hull_container_free(struct hull_container *container);

/*
 * Kills what is left and frees the container when it is empty, then answers `request`: with `error` (a failed create) or
 * OK (NULL).
 */
void hull_container_destroy(struct hull_container *container, struct hull_rpc_request *request,
			    const struct hull_error *error);

/* The id in the VM of a container's user or group id. */
uint32_t hull_container_map_id(const struct hull_oci_id_mapping *map, size_t n, uint32_t id);

/* ---------------------------------------------------------------- launch.c */

struct hull_child;

/*
 * Forks the launcher and follows the process until it runs. `child` is complete but for sync and stdio. `request` is answered with
 * ProcessStarted when a container's first process is set up, or when an exec'ed one runs, or with the error.
 */
struct hull_launch_streams {
	bool connected[3];
	Hull__Agent__V1__Preserved *const *preserved;
	size_t n_preserved;
};
int hull_launch(struct hull_process *process, struct hull_child *child, void (*main)(struct hull_child *),
		const struct hull_launch_streams *streams, struct hull_rpc_request *request, struct hull_error *err);

/* StartContainer: lets the process go and answers `request` when it executes its program. */
void hull_launch_release(struct hull_process *process, struct hull_rpc_request *request);

/* ------------------------------------------------------------------ reap.c */

/* Watches for ended children. */
int hull_reap_start(struct hull_agent *agent);

/* Answers with the status, now or when the process has ended. */
void hull_reap_wait(struct hull_process *process, struct hull_rpc_request *request);

/* Fails those who wait with ABORTED. */
void hull_reap_forget(struct hull_process *process);

/* ------------------------------------------------------------------- oom.c */

/* Nobody will be told any more: ends a pending AwaitOom with ABORTED. */
void hull_oom_forget(struct hull_container *container);

/* --------------------------------------------------- handlers of the service */

/* What they do is in agent.proto; `data` is the struct hull_agent. */
void hull_handle_get_info(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_create_sandbox(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_configure_network(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_create_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_start_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_delete_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_pause_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_resume_container(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_exec(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_signal(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_wait(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_delete_process(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_resize_terminal(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_list_processes(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_await_oom(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_online_cpus(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_shutdown(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
void hull_handle_stdio(struct hull_rpc_stream *stream, const ProtobufCMessage *message, void *data);
