/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/*
 * Looks into the network namespace that config.json names. It must be one and hold the loopback interface only: an interface there
 * could not be given to the pod, and a container that silently lacks its network is worse than an error.
 */
int hull_netns_check(const char *path, struct hull_error *err);
