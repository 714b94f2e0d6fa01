/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory (--root, /run/hull by default):
 *
 *     containers/<id>/state.json      what is known of a container: state.h
 *     containers/<id>/config.json     the configuration as given, for exec and hooks
 *     pods/<id>/pod.sock              the supervisor's socket
 *     pods/<id>/pod.log               its log
 *     pods/<id>/share/, jail/         mount points in the supervisor's own mount namespace, empty on the host
 *     s/<random>                      sockets at which containerd reaches its shims (their path has to be short)
 *     kvm-probe.json                  which accelerator works (vmm/probe.h)
 */
#pragma once

#include "base/error.h"

#define HULL_DEFAULT_ROOT "/run/hull"

/* The state directory when nobody names one: what HULL_ROOT in the environment says, or HULL_DEFAULT_ROOT. */
const char *hull_default_root(void);

/*
 * Whether the state directory, if it is there, is root's (or the caller's) alone to write in. Whoever else could write there, as in a
 * directory that lay ready below /tmp, would choose the processes that Hull kills and the sockets that it talks to.
 */
int hull_paths_check(const char *root, struct hull_error *err);

/* Makes the state directory, 0711, and what belongs in it. */
int hull_paths_prepare(const char *root, struct hull_error *err);

/*
 * Removes what creations and deletions left that were killed before their container had a name, or when it had none any more
 * (containers/:PID:ID).
 */
void hull_paths_sweep(const char *root);

/* New strings, freed by the caller. */
char *hull_path_container(const char *root, const char *id);
char *hull_path_pod(const char *root, const char *pod_id);
/* A name of this process for a container's directory on its way in or out. No id looks like it. */
char *hull_path_passing(const char *root, const char *id);

/*
 * Where the parts of Hull are, found from the running program's own place (PREFIX/bin/hull, PREFIX/libexec/hull/hull-pod), so that an
 * installed tree can be moved. Freed by the caller.
 */
char *hull_path_bin(const char *name);
char *hull_path_libexec(const char *name);
char *hull_path_data(const char *name);
