/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connects to a unix socket, "/path" or "unix:///path", without waiting. The descriptor, non-blocking, or -errno. */
int shim_connect(const char *address);
