/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes and signals as people and engines write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A whole decimal number in [min, max] and nothing else. 0, -EINVAL, -ERANGE. */
int hull_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret);

/* "512M", "4G", "1048576", "64KiB": binary multiples. 0, -EINVAL, -ERANGE. */
int hull_parse_size(const char *text, uint64_t *ret_bytes);

/* "9", "KILL", "SIGKILL", "RTMIN+3". Returns the number or -EINVAL. */
int hull_parse_signal(const char *text);

/* Writes for example "256.0 MiB" into `buf`. */
const char *hull_format_size(uint64_t bytes, char buf[static 32]);

/* Whether `id` can name a container: [A-Za-z0-9_+-.], 1 to 255 characters, not "." or "..".
 * Source: runc's validateID, with a bound on the length. */
bool hull_container_id_valid(const char *id);
