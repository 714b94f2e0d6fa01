/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that were plugged in for a container, found by their serial numbers. */
#pragma once

#include "agent/agent.h"

/* A root file system on a disk. Strings are borrowed from the request. */
struct hull_disk_root {
	char device[32];               /* "" when the root is in the share */
	const char *fstype, *options;
	bool readonly;                 /* the disk; a root that is to be written to gets a layer in memory on top */
};

/*
 * Puts the guest's names and numbers of the request's disks into the specification (sources of mounts, devices and the rules for
 * them) and describes the root's. All of them must be there.
 */
int hull_disks_resolve(struct hull_oci_spec *spec, Hull__Agent__V1__Disk *const *disks, size_t n, struct hull_disk_root *ret_root,
		       struct hull_error *err);

/* Whether a mount's source is a disk: the name that hull_disks_resolve() gave it. */
bool hull_disk_is_source(const char *source);

void hull_handle_await_disk(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data);
