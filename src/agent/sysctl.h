/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "oci/spec.h"

/* Writes kernel parameters ("net.ipv4.ip_forward") to /proc/sys. The first that fails is the error. */
int hull_sysctl_apply(const struct hull_oci_kvs *values, struct hull_error *err);

/* The same for one. */
int hull_sysctl_set(const char *name, const char *value, struct hull_error *err);
