/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what becomes a disk. A writable one is the guest's alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Opens the block device or regular file at `path`. A block device that is to be written to must not be in use: one that the host
 * has mounted, or that is part of an array, is refused, and stays reserved as long as the descriptor is open.
 */
int hull_block_open(const char *path, bool readonly, int *ret_fd, struct hull_error *err);

/* The same for a block device by its number, wherever its node is. */
int hull_block_open_number(uint32_t major, uint32_t minor, bool readonly, int *ret_fd, struct hull_error *err);

/*
 * Whether one of the comma-separated patterns (fnmatch, no wildcard matches a slash) names the device at `path`, which has to lie
 * on the host's devtmpfs once every link is followed: nobody but the host makes nodes there.
 */
bool hull_block_is_listed(const char *path, const char *patterns);
