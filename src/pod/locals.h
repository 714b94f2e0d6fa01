/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes whose kind is memory: they are made in the guest and not shared from the host. Private to src/pod. */
#pragma once

#include "pod/pod.h"

/*
 * Whether the source of a bind mount is memory that the guest had better have itself: a hugetlbfs, or an emptyDir of medium Memory, which
 * the kubelet makes as a tmpfs and nobody has written to. Then it is added to the container's locals, and *ret_path is where it will
 * be in the guest. The same source is the same volume for every container of the pod.
 */
bool hull_local_take(struct hull_container *c, int fd, const char *source, char **ret_path);

/* The locals for the agent; the array is the caller's. */
Hull__Agent__V1__LocalVolume **hull_locals_describe(struct hull_container *c);

void hull_locals_free(struct hull_container *c);
