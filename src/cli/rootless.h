/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Whether this process may do what a VM needs. What stands in the way of others is in docs/rootless.md. */
int hull_check_root(struct hull_error *err);
