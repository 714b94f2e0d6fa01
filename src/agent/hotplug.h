/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that come and go: drivers are loaded, CPUs go online, the memory reserve follows. There is no udev. */
#pragma once

#include "agent/agent.h"

/* Looks at what is there already, and listens to the kernel from now on. */
int hull_hotplug_start(struct hull_agent *agent, struct hull_error *err);
