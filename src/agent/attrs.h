/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a process the one that config.json describes: limits, user, capabilities, seccomp. Runs in the container,
 * for its first process and for exec alike, and ends with the program ready to be executed.
 */
#pragma once

#include "agent/filter.h"
#include "base/error.h"
#include "oci/spec.h"

struct hull_attrs {
	const struct hull_oci_process *process;
	const char *container_id;
	const struct hull_filter *filter;
	bool new_keyring;
	bool user_namespace;           /* resource limits were set by the launcher, who could raise them */
	bool has_personality;
	unsigned long personality;
	size_t n_preserved;            /* descriptors from 3 on that the program keeps */
	bool program_may_follow;       /* one that is not there yet is looked up again when it is to be executed */
};

/* The program and its environment, ready for execve(). */
struct hull_attrs_program {
	char *path;                    /* NULL: it was not there yet */
	char **args, **env;            /* NULL-terminated */
};

/* Sets RLIMIT_… for the calling process. */
int hull_attrs_set_rlimits(const struct hull_oci_process *process, struct hull_error *err);

/*
 * Turns the calling process (root in its user namespace) into the described one. The order is runc's: what needs
 * privileges comes first, seccomp as late as privileges allow. The text of an error is runc's where it has one.
 */
int hull_attrs_apply(const struct hull_attrs *attrs, struct hull_attrs_program *ret, struct hull_error *err);

/* Executes the program, which is looked up now if it was not there before. Returns only on failure. */
int hull_attrs_execute(const struct hull_attrs_program *program, struct hull_error *err);
