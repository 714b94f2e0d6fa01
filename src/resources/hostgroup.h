/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's control group on the host (linux.cgroupsPath). What the container may use is the guest's to enforce; this group holds what
 * stands for it on the host: the VM's processes and the stand-in, or for a further container of a pod its stand-in alone. Engines
 * read their statistics here, and limits that only the host can keep apply here.
 *
 * Places as in runc: an absolute path starts at the root of each hierarchy, a relative one at the caller's own group (on cgroup v2 at its
 * parent, because a group with processes cannot have limited children). cgroup v1 has a directory for each controller.
 *
 * Every directory that Hull makes carries an extended attribute. Only such are ever removed, and those that were not there when the group was
 * planned, for who is killed between making and marking. So nothing depends on who is alive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"
#include "oci/spec.h"

struct hull_hostgroup_dir {
	char *controllers;             /* as in /proc/self/cgroup: "memory", "cpu,cpuacct", "name=systemd"; "" on cgroup v2 */
	char *path;                    /* absolute */
	char *mount;                   /* the hierarchy's mount point, a prefix of `path` */
	size_t there;                  /* so much of `path` was there before; 0: not known */
};

struct hull_hostgroup {
	bool unified;                  /* cgroup v2: one directory */
	struct hull_hostgroup_dir *v;
	size_t n;
};

/* ---- hierarchy.c: pure */

/*
 * Finds the directories of `cgroups_path` (NULL or empty: "hull-ID" below the caller's group) from the texts of /proc/self/mountinfo and
 * /proc/self/cgroup. On a host with both versions those of v1, as runc does. -EINVAL: the path names a root; -ENOENT: no hierarchy.
 */
int hull_hostgroup_find(const char *cgroups_path, const char *id, const char *mountinfo, const char *self_cgroup,
			struct hull_hostgroup *ret, struct hull_error *err);

/* The directories of the process whose /proc/PID/cgroup is given. -ENOENT: no hierarchy. */
int hull_hostgroup_find_own(const char *mountinfo, const char *self_cgroup, struct hull_hostgroup *ret, struct hull_error *err);

/* ---- systemd.c */

/* Whether systemd is the host's init. */
bool hull_hostgroup_systemd_runs(void);

/*
 * "slice:prefix:name", as engines write it with --systemd-cgroup, to the absolute path that the scope has: "a-b.slice:x:y" is
 * "/a.slice/a-b.slice/x-y.scope". NULL or empty: "system.slice:hull:ID". *ret is new memory.
 */
int hull_hostgroup_systemd_path(const char *cgroups_path, const char *id, char **ret, struct hull_error *err);

/* ---- hostgroup.c */

/* The same for this process. */
int hull_hostgroup_plan(const char *cgroups_path, const char *id, struct hull_hostgroup *ret, struct hull_error *err);

/* Where this process is: to come back to. */
int hull_hostgroup_own(struct hull_hostgroup *ret, struct hull_error *err);

/* Makes what is not there, parents too. On an error nothing is left. */
int hull_hostgroup_make(const struct hull_hostgroup *group, struct hull_error *err);

/* Moves a process, with all its threads. */
int hull_hostgroup_add(const struct hull_hostgroup *group, pid_t pid, struct hull_error *err);

/*
 * Removes the directories that Hull made, and parents that Hull made and nobody uses any more. Waits a little for processes
 * that are about to be gone. -EBUSY: some stayed; the group stays as well.
 */
int hull_hostgroup_remove(const struct hull_hostgroup *group, struct hull_error *err);

void hull_hostgroup_clear(struct hull_hostgroup *group);

/* ---- limits.c */

/* What the VM itself needs, besides what its containers do. */
struct hull_hostgroup_vm {
	uint64_t memory_bytes;         /* the guest's, all that it can grow to now */
	uint64_t overhead_bytes;       /* of the VMM and virtiofsd */
};

/* One file to write in the directory of one controller. */
struct hull_hostgroup_setting {
	const char *controller;        /* v1's name */
	const char *file, *other_file; /* the second in case the first is not there; NULL: none */
	char *value;                   /* owned */
	const char *field;             /* below linux.resources, for errors */
};

struct hull_hostgroup_settings {
	struct hull_hostgroup_setting *v;
	size_t n;
};

/*
 * What of `resources` applies on the host, in the order of writing. Memory: the VM's size and overhead, never the container's limit.
 * CPU quota and pids: the container's and room for the VM's own work. Not: devices, cpuset, swap, which mean the guest's.
 */
void hull_hostgroup_convert(const struct hull_oci_resources *resources, const struct hull_hostgroup_vm *vm, bool unified,
			    struct hull_hostgroup_settings *ret);
void hull_hostgroup_settings_clear(struct hull_hostgroup_settings *settings);

/* Whether any of it applies on the host: then the group has to exist. */
bool hull_hostgroup_wanted(const struct hull_oci_resources *resources);

/* Writes them. An error names the field. */
int hull_hostgroup_limit(const struct hull_hostgroup *group, const struct hull_oci_resources *resources,
			 const struct hull_hostgroup_vm *vm, struct hull_error *err);
