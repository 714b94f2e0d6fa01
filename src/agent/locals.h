/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes in the VM's memory that containers of the pod share: each is mounted once, and lives as long as the pod. */
#pragma once

#include "agent/agent.h"

#define HULL_LOCAL_DIR "/run/hull/local"

/* Mounts those that are not there yet at HULL_LOCAL_DIR/NAME. */
int hull_locals_mount(Hull__Agent__V1__LocalVolume *const *locals, size_t n, struct hull_error *err);

/*
 * Lets the kernel make huge pages when a container that mounts them asks, as many as its hugepageLimits allow: memory of huge
 * pages is on no container's account otherwise.
 */
void hull_hugepages_allow(const struct hull_oci_spec *spec);
