/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's own objects: a pod, its containers, their processes. Private to src/pod.
 *
 * A pod owns one VM and lives as long as it. Legal moves:
 *
 *   pod        empty ─Create▶ booting ─ready▶ up ─▶ ending          (any state ─VM lost▶ ending)
 *   container  creating ─▶ created ─Start▶ running ⇄ paused ─▶ stopped   (any state ─VM lost▶ stopped)
 *   process    attached ─exit▶ exited ─output drained▶ reported
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "pod/config.h"
#include "pod/forward.h"
#include "pod/iolimits.h"
#include "pod/names.h"
#include "pod/network.h"
#include "pod/role.h"
#include "pod/filter.h"
#include "pod/size.h"
#include "pod/state.h"
#include "pod/relay.h"
#include "pod/vm.h"
#include "rpc/agent.pb-c.h"
#include "rpc/pod.pb-c.h"
#include "rpc/rpc.h"

struct hull_pod;
struct hull_container;

struct hull_exit {
	int code, signal;
	bool oom_killed;
	uint64_t oom_kills;            /* in the container, until then */
	int64_t at_ns;                 /* CLOCK_REALTIME; the host's when the VM was lost */
	char *lost;                    /* NULL, or why the process ended with its VM */
};

/* A descriptor beside stdio. */
struct hull_preserved {
	struct hull_preserved_fd fd;   /* until attached */
	struct hull_stdio *stdio;
};

/* A container's init (exec_id "") or an exec. */
struct hull_process {
	struct hull_process *next;     /* of the container's execs */
	struct hull_container *container;
	char *exec_id;
	bool terminal;
	unsigned rows, columns;        /* the first size of the terminal; 0: not known */

	int standin_fd;                /* pod/standin.h; -1 when gone */
	uv_poll_t standin_poll;
	bool standin_watched;
	struct hull_stdio_fds fds;     /* until attached */
	struct hull_stdio *stdio;
	struct hull_preserved *preserved;      /* 3, 4, … in the container */
	size_t n_preserved;
	struct hull_rpc_call *wait;

	bool attached, exited, reported, freed;
	bool killed;                   /* its end does not wait for readers */
	struct hull_exit exit;
	struct hull_waiter *waiters;
	uv_timer_t drain_timer;        /* bounds the end after a SIGKILL, then the draining of the output */
	uint64_t drain_progress;
	unsigned drain_idle, drain_steps;
};

struct hull_container {
	struct hull_container *next;
	struct hull_pod *pod;
	char *id;
	enum hull_role role;
	int dirfd;                     /* containers/<id>; -1 when the directory is gone */
	struct hull_state *state;
	int guest_pid;                 /* for people */
	struct hull_demand demand;     /* what the VM has to be large enough for */
	struct hull_pod_fit *fitting;  /* waits for the VM to grow */
	bool awaits_departed;          /* one of the same name is not out of the guest yet */

	struct hull_process *init;
	struct hull_process *execs;
	struct hull_rpc_request *create;       /* until it is answered */
	struct hull_rpc_request *delete;       /* a forced delete that waits for the end */
	struct hull_rpc_call *creating;        /* CreateContainer at the agent, until it is answered */
	bool in_guest;                 /* the agent knows it */
	struct hull_oom *oom;          /* oom.c; NULL: nobody has asked */
	bool network_pending;          /* created but for the pod's network */
	bool host_memory_limited;      /* its group on the host has a limit for the VM */

	struct hull_oci_spec *spec;    /* until the agent has made the container */

	/* Kept until the VM is up. */
	Hull__Agent__V1__LocalVolume *locals;  /* locals.c */
	size_t n_locals;
	char *spec_json;
	struct hull_seccomp_program seccomp;
	bool rootfs_readonly, no_pivot, no_new_keyring;
};

struct hull_pod {
	uv_loop_t *loop;
	struct hull_config *config;
	const struct hull_vmm_ops *vmm_ops;
	char *root, *id, *dir;
	char *hostname, *domainname;   /* of the first container's configuration, or NULL */
	int64_t started_ns;
	struct hull_pod_size size;     /* what its first container's annotations say */

	struct hull_rpc_server *server;
	const struct hull_rpc_conn *creator;   /* the first connection; only compared */
	struct hull_vm *vm;
	struct hull_network *network;  /* NULL: the pod has no network namespace on the host */
	struct hull_forward *forward;  /* or NULL */
	struct hull_names *names;      /* or NULL */
	bool up, winding_down, ending;
	char *lost;                    /* why the VM is gone */
	struct hull_container *containers;
	struct departed *departed;     /* containers that the agent takes down; container.c */
	struct hull_pod_disk *disks;   /* disks.c */
	struct hull_seccomp_cache seccomp;
	unsigned disk_number;          /* of the last one */
	struct hull_pod_io io;
	uv_timer_t end_timer;          /* bounds winding down, then the flushing of last answers */
	int64_t end_deadline_ms;
	uv_signal_t sigterm;
};

/* ---- pod.c */

/* `root` is the state directory. The listening socket is taken over. */
struct hull_pod *hull_pod_new(uv_loop_t *loop, struct hull_config *config, const struct hull_vmm_ops *vmm_ops,
			      const char *root, const char *id, int listen_fd, struct hull_error *err);
struct hull_container *hull_pod_find(struct hull_pod *pod, const char *id);
/* Boots the VM if there is none yet. `netns_fd`: the pod's network namespace on the host, taken over; -1: none. */
int hull_pod_boot(struct hull_pod *pod, const struct hull_oci_spec *spec, int netns_fd, struct hull_error *err);
/* The VM is gone or useless: every process that is not over ends with `reason`. */
void hull_pod_lost(struct hull_pod *pod, const char *reason);
/* The first container ended: kills the others, and ends the pod when all have been reported, or after a while anyway. */
void hull_pod_wind_down(struct hull_pod *pod);
/* Ends the pod when nothing is left to do for it. Called after every change. */
void hull_pod_settle(struct hull_pod *pod);
/* After the loop ended. */
void hull_pod_free(struct hull_pod *pod);

/* ---- fit.c */

/*
 * Makes the VM large enough for the pod's containers, with `demand` in the place of that of `c` (whose own it becomes). `done` runs
 * once, perhaps before this returns; with ECANCELED and c NULL when the container went meanwhile.
 */
typedef void (*hull_pod_fit_fn)(void *data, struct hull_container *c, const struct hull_error *err);
void hull_pod_fit(struct hull_container *c, const struct hull_demand *demand, hull_pod_fit_fn done, void *data);
/* The container goes: whoever waits for its VM to grow is told. */
void hull_pod_fit_cancel(struct hull_container *c);
/* The size for all containers of the pod. */
struct hull_size hull_pod_wanted_size(const struct hull_pod *pod);
/* ---- sharelimits.c */

/*
 * Makes the host keep the pod's limits for every disk that is behind the share now. Called after mounts were added. An error when the
 * host cannot; a directory that is on no disk (a network's file system) is logged.
 */
int hull_pod_limit_share(struct hull_pod *pod, struct hull_error *err);

/* ---- watch.c */

/* Tells the guest from now on what the host changes in volumes. A guest or a host that cannot is logged once. */
void hull_pod_watch_volumes(struct hull_pod *pod);

/* ---- container_create.c */

/* Creates the object, takes the descriptors in `fds` that belong to it. The request is answered later. */
void hull_container_create(struct hull_pod *pod, struct hull_rpc_request *request,
			   const Hull__Pod__V1__CreateRequest *message);
/* Asks for a VM that is large enough for the container, which goes on or fails then. */
void hull_container_fit(struct hull_container *c);
/* The VM is up: asks the agent for the container. */
void hull_container_continue(struct hull_container *c);

/* ---- localise.c */

/*
 * Makes c->spec_json and c->seccomp of the request's config.json: sources of bind mounts are `volumes`, their places in the guest, in the order
 * of the request's mounts; joined namespaces are containers'. Hooks of the host stay here.
 */
int hull_container_localise(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, char *const *volumes, struct hull_error *err);

/* ---- container.c */

/* Answers the pending Create with an error and removes every trace. */
void hull_container_fail(struct hull_container *c, const struct hull_error *err);
void hull_container_set_status(struct hull_container *c, enum hull_status status);
/* A process of the container was reported. */
void hull_container_process_over(struct hull_container *c, struct hull_process *p);
/* Removes a stopped container from agent, share and list. Its pending Delete is answered when its disks are free again. */
void hull_container_remove(struct hull_container *c);
/* Whether a container of that name is still to be taken out of the guest. */
bool hull_container_is_departing(const struct hull_pod *pod, const char *id);
/* The last disk of a container that was removed is unplugged, or never will be. */
void hull_container_disks_free(struct hull_pod *pod, const char *id);
/* The VM is gone, and with it what was still to be taken out of it. */
void hull_container_forget_departed(struct hull_pod *pod);
/* An exec that never started, or whose end has been reported and carried. */
void hull_container_forget_exec(struct hull_container *c, struct hull_process *p);
struct hull_process *hull_container_process(struct hull_container *c, const char *exec_id);

/* ---- hostlimits.c */

/* The limits of `resources` that act on the host, for the processes of the pod's VM. Nothing for a member of a pod. */
int hull_container_limit_host(struct hull_container *c, const struct hull_oci_resources *resources, struct hull_error *err);
/* The VM is about to have so much memory: limits for its processes go up before. */
void hull_pod_widen_host(struct hull_pod *pod, uint64_t memory_bytes);
/* hull_pod_boot() with the VM's processes in the container's control group. */
int hull_container_boot(struct hull_container *c, const struct hull_oci_spec *spec, int netns_fd, struct hull_error *err);

/* ---- oom.c */

struct hull_oom;
/* Answers `request` (an AwaitOom) when the out-of-memory killer has ended more than `known` processes of the container, or with an error. */
void hull_oom_await(struct hull_container *c, uint64_t known, struct hull_rpc_request *request);
/* The container has ended, with so many: answers all. */
void hull_oom_over(struct hull_container *c, uint64_t kills);
void hull_oom_free(struct hull_container *c);

/* ---- oomfile.c */

/*
 * The guest's out-of-memory killer ended the container: leaves the file `oom` in its bundle, as conmon does, which watches a control group of
 * the host and cannot see that. Podman and CRI-O look for it. Other parents of a stand-in do not get one.
 * Source: conmon, cgroup.c, write_oom_files(); podman, libpod, Container.handleExitFile().
 */
void hull_container_tell_oom(struct hull_container *c);

/* ---- process.c */

/* Takes over what is in `fds` and the stand-in's socket. */
struct hull_process *hull_process_new(struct hull_container *c, const char *exec_id, bool terminal,
				      struct hull_stdio_fds *fds, int standin_fd);
/* The agent has the process: carry its stdio, wait for its end. */
void hull_process_attach(struct hull_process *p);
void hull_process_signal(struct hull_process *p, int sig, bool all, struct hull_rpc_request *request);
void hull_process_resize(struct hull_process *p, unsigned rows, unsigned columns);
/* The process is over because its VM is. */
void hull_process_lost(struct hull_process *p, const char *reason);
/* Answers `request` (a Wait) when the process is reported. */
void hull_process_add_waiter(struct hull_process *p, struct hull_rpc_request *request);
/* Reported, and no output is left to carry. */
bool hull_process_settled(const struct hull_process *p);
void hull_process_free(struct hull_process *p);

/* ---- stdiofds.c */

/*
 * Sorts the descriptors that came with a request, as pod.proto's Stdio describes, into their places; all are owned. Behind the *ret_used first
 * ones are the preserved ones, as many as `how` says.
 */
int hull_stdio_fds_sort(const Hull__Pod__V1__Stdio *how, const int *fds, size_t n, struct hull_stdio_fds *ret,
			int *ret_standin, size_t *ret_used);

/* Gives a new process its preserved descriptors; takes them over. */
void hull_process_preserve(struct hull_process *p, const Hull__Pod__V1__Stdio *how, const int *fds);

/* What the agent is told of them: two pieces of memory to free. */
Hull__Agent__V1__Preserved **hull_process_preserved_message(const struct hull_process *p, Hull__Agent__V1__Preserved **ret_memory);

/* ---- service.c */

extern const struct hull_rpc_service hull_pod_services[];
extern const size_t hull_pod_n_services;
