/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofsd holds a descriptor for every file that this kernel remembers, and a kernel with memory to spare forgets none. So
 * when many are remembered the kernel is asked to let go of what nobody uses, before virtiofsd runs out.
 */
#pragma once

#include "agent/agent.h"

/* Begins to watch. `max` is how many files virtiofsd can hold; 0: no need to. */
void hull_inodes_watch(struct hull_agent *agent, uint64_t max);
