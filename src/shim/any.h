/* SPDX-License-Identifier: Apache-2.0 */
/* Small things about containerd's messages: Any, timestamps, packing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shim/containerd.pb-c.h"

/* A message as bytes: new memory, *ret_len set. */
uint8_t *shim_pack(const ProtobufCMessage *message, size_t *ret_len);

/*
 * Whether an Any holds `name`: its URL is the name, or ends in "/" and the name.
 * Source: containerd/typeurl writes bare names, protobuf's Any.pack() prefixes type.googleapis.com.
 */
bool shim_any_is(const Hull__Containerd__Any *any, const char *name);

/* Nanoseconds since 1970, in the two parts of a Timestamp. */
void shim_timestamp(int64_t ns, Hull__Containerd__Timestamp *ret);

/* The host's clock. */
int64_t shim_now_ns(void);
