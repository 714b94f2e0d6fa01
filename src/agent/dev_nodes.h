/* SPDX-License-Identifier: Apache-2.0 */
/* What a container finds in /dev: nodes, links, and its console. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "oci/spec.h"

/*
 * Makes the default devices, those of the specification and the usual links below `rootfd`. In a user namespace,
 * where nodes cannot be made, the VM's own are bound. Nothing is done when the specification binds /dev.
 */
int hull_dev_nodes_create(int rootfd, const struct hull_oci_spec *spec, bool user_namespace, struct hull_error *err);

/*
 * Opens a new terminal in the devpts instance whose root is `devpts` (-1: the VM's own). The slave gets the size of the
 * process' console. Both descriptors are CLOEXEC.
 */
int hull_pty_open(int devpts, const struct hull_oci_process *process, int *ret_master, int *ret_slave,
		  struct hull_error *err);

/* Binds the slave at /dev/console of the container. */
int hull_pty_bind_console(int rootfd, int devpts, int master, struct hull_error *err);

/* Makes the slave the controlling terminal and stdin, stdout and stderr of the calling session leader. */
int hull_pty_adopt(int slave, const struct hull_oci_process *process, struct hull_error *err);
